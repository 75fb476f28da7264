//! A steady rate with failures that are retried, and cancellations.

use super::traffic::{self, Traffic};
use crate::fleet;
use crate::run::Bench;
use crate::{BenchError, Outcome};

/// How many orders an agent takes at once.
const CLAIM_MAX: u32 = 10;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let traffic = traffic(bench, bench.options.seconds(30, 1));
    let agents = bench.options.agents(32, 4);
    let target = bench.target().await?;
    let fleet = fleet::agents(&target, agents, bench.progress).await?;
    bench.step(&format!(
        "{} orders a second for {} seconds, {agents} agents",
        traffic.rate, traffic.seconds
    ));
    let outcome = traffic::measure(bench, &target, &fleet, traffic).await?;
    target.stop().await?;
    let variant = format!(
        "{} orders/s, 10% retried, 5% cancelled, {agents} agents",
        traffic.rate
    );
    Ok(vec![bench.named(outcome, &variant, "orders ended", None)])
}

pub(super) fn traffic(bench: &Bench<'_>, seconds: u64) -> Traffic {
    Traffic {
        rate: bench.options.rate(200, 40),
        seconds,
        claim_max: CLAIM_MAX,
        trouble: true,
    }
}
