//! What an order costs while many others wait.

use std::time::Instant;

use super::lifecycles::{self, Lifecycles};
use crate::fleet::{self, Agent, Seat};
use crate::orders::{self, Backlog};
use crate::recorder::Measure;
use crate::run::Bench;
use crate::target::Target;
use crate::{BenchError, Outcome};

/// How often the list is asked for.
const LISTS: u64 = 50;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let mut rows = Vec::new();
    for kind in [Backlog::OtherLabels, Backlog::SameLabel] {
        rows.extend(growing(bench, kind).await?);
    }
    Ok(rows)
}

/// Lets the queue grow from one size to the next, and measures at each.
async fn growing(bench: &Bench<'_>, kind: Backlog) -> Result<Vec<Outcome>, BenchError> {
    let callers = bench.options.callers(64, 4);
    let size = u64::from(bench.options.batch());
    let singles = bench.options.orders(20_000, 20);
    let batched = bench.options.orders(50_000, 40).next_multiple_of(size);
    let target = bench.target().await?;
    let agents = fleet::agents(&target, callers, bench.progress).await?;
    let mut rows = Vec::new();
    let mut waiting = 0;
    for backlog in bench.options.backlogs(&[1_000, 10_000, 100_000], &[10, 30]) {
        bench.step(&format!("{backlog} orders wait, {}", kind.name()));
        orders::fill(&target, kind, backlog - waiting, bench.progress).await?;
        waiting = backlog;
        let place = format!("{backlog} waiting, {}", kind.name());

        let lives = Lifecycles {
            orders: singles,
            size: 1,
            backlog,
        };
        let single = lifecycles::measure(&target, &agents, lives).await?;
        let variant = format!("{place}: one order per call");
        rows.push(bench.named(single, &variant, "lifecycles", Some("lifecycle_single")));

        let lives = Lifecycles {
            orders: batched,
            size,
            backlog,
        };
        let workers = &agents[..agents.len().min(8)];
        let batches = lifecycles::measure(&target, workers, lives).await?;
        let variant = format!("{place}: batches of {size}");
        rows.push(bench.named(batches, &variant, "lifecycles", Some("lifecycle_batch")));

        let lists = list(&target, &agents[0], kind == Backlog::SameLabel).await?;
        rows.push(bench.named(lists, &format!("{place}: a lone pending list"), "lists", None));
    }
    target.stop().await?;
    Ok(rows)
}

async fn list(target: &Target<'_>, agent: &Agent, found: bool) -> Result<Outcome, BenchError> {
    let mut seat = Seat::new(target, 0, agent);
    let measure = Measure::begin(target).await?;
    let recorder = measure.recorder();
    let mut bytes_max = 0;
    for _ in 0..LISTS {
        let begun = Instant::now();
        match seat.pending(1).await {
            Ok((ids, bytes)) if ids.is_empty() != found => {
                bytes_max = bytes_max.max(bytes);
                recorder.done(1);
            }
            Ok(_) => recorder.error("the list has not what it should have"),
            Err(error) => recorder.error(&error),
        }
        recorder.timed(begun);
    }
    let mut outcome = measure.end(target).await?;
    outcome.note("bytes of a list", bytes_max.to_string());
    Ok(outcome)
}
