//! From the creation of an order to its claim by a parked agent.

use super::traffic::{self, Traffic};
use crate::fleet;
use crate::run::Bench;
use crate::{BenchError, Outcome};

pub(super) async fn run(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let mut rows = vec![with_brokers(bench, bench.brokers()).await?];
    if bench.can_have_replicas() && bench.brokers() == 1 && !bench.options.replicas {
        rows.push(with_brokers(bench, 2).await?);
    }
    Ok(rows)
}

/// Orders are created at the first broker, and the agents wait at all of them.
async fn with_brokers(bench: &Bench<'_>, brokers: u32) -> Result<Outcome, BenchError> {
    let agents = bench.options.agents(1_000, 8);
    let traffic = Traffic {
        rate: bench.options.rate(100, 50),
        seconds: bench.options.seconds(30, 1),
        claim_max: 1,
        trouble: false,
    };
    let target = bench.target_with(brokers).await?;
    let fleet = fleet::agents(&target, agents, bench.progress).await?;
    bench.step(&format!(
        "{} orders a second for {} seconds, {agents} parked agents, {} brokers",
        traffic.rate,
        traffic.seconds,
        target.brokers()
    ));
    let outcome = traffic::measure(bench, &target, &fleet, traffic).await?;
    target.stop().await?;
    let at = if brokers == 2 && bench.brokers() == 1 {
        " of two brokers"
    } else {
        ""
    };
    let variant = format!(
        "created to claimed, {agents} agents{at}, {} orders/s",
        traffic.rate
    );
    Ok(bench.named(outcome, &variant, "orders ended", None))
}
