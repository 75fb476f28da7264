//! Mixed traffic for long: what lives with the queue must stay small, and the second half must be as quick as the first.

use super::{mixed, traffic};
use crate::fleet;
use crate::run::Bench;
use crate::{BenchError, Outcome};

pub(super) async fn run(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let seconds = bench.options.seconds(600, 2);
    let agents = bench.options.agents(32, 4);
    let target = bench.target().await?;
    let fleet = fleet::agents(&target, agents, bench.progress).await?;
    let mut rows = Vec::new();
    let mut sizes = target.sizes().await?;
    for half in ["first half", "second half"] {
        let traffic = mixed::traffic(bench, (seconds / 2).max(1));
        bench.step(&format!(
            "{half}: {} orders a second for {} seconds",
            traffic.rate, traffic.seconds
        ));
        let mut outcome = traffic::measure(bench, &target, &fleet, traffic).await?;
        let now = target.sizes().await?;
        for ((name, before), (_, after)) in sizes.iter().zip(&now) {
            outcome.note(name, format!("{before} -> {after}"));
        }
        sizes = now;
        let variant = format!(
            "{half} of {seconds} s, {} orders/s, {agents} agents",
            traffic.rate
        );
        rows.push(bench.named(outcome, &variant, "orders ended", None));
    }
    target.stop().await?;
    Ok(rows)
}
