//! Whole lives of orders, by the contract's own calls, in batches, and one order per call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::lifecycles::{self, Lifecycles};
use crate::crew::Crew;
use crate::fleet::{self, Agent, Seat};
use crate::orders::{self, Backlog};
use crate::recorder::{Budget, Measure, Recorder};
use crate::run::Bench;
use crate::target::Target;
use crate::wire::WireError;
use crate::{BenchError, Outcome};

/// An agent looks at the list again when others took so many of the orders before it.
const TRIES_MAX: usize = 64;
/// Each of them always has a call of a hundred orders under way.
const BATCH_WORKERS: u32 = 8;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let mut rows = contract(bench).await?;
    rows.push(batches(bench).await?);
    rows.push(singles(bench).await?);
    Ok(rows)
}

async fn batches(bench: &Bench<'_>) -> Result<Outcome, BenchError> {
    let size = u64::from(bench.options.batch());
    let orders = bench.options.orders(200_000, 100).next_multiple_of(size);
    bench.step(&format!("{orders} lifecycles in batches of {size}"));
    let outcome = whole(bench, BATCH_WORKERS, orders, size).await?;
    let variant = format!("batches of {size}, {BATCH_WORKERS} agents");
    Ok(bench.named(outcome, &variant, "lifecycles", Some("lifecycle_batch")))
}

async fn singles(bench: &Bench<'_>) -> Result<Outcome, BenchError> {
    let callers = bench.options.callers(64, 4);
    let orders = bench.options.orders(40_000, 60);
    bench.step(&format!(
        "{orders} lifecycles, one order per call, {callers} callers"
    ));
    let outcome = whole(bench, callers, orders, 1).await?;
    let variant = format!("one order per call, {callers} callers");
    Ok(bench.named(outcome, &variant, "lifecycles", Some("lifecycle_single")))
}

async fn whole(bench: &Bench<'_>, workers: u32, orders: u64, size: u64) -> Result<Outcome, BenchError> {
    let target = bench.target().await?;
    let agents = fleet::agents(&target, workers, bench.progress).await?;
    let lifecycles = Lifecycles {
        orders,
        size,
        backlog: 0,
    };
    let outcome = lifecycles::measure(&target, &agents, lifecycles).await?;
    target.stop().await?;
    Ok(outcome)
}

/// Agents list what waits, claim the oldest that they can get, and complete it, until `backlog` orders still wait or the time is over.
async fn contract(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let agents = bench.options.agents(32, 4);
    let orders = bench.options.orders(5_000, 40);
    let mut rows = Vec::new();
    for backlog in bench.options.backlogs(&[1_000, 100_000], &[20]) {
        bench.step(&format!(
            "{orders} orders by {agents} agents that list, {backlog} more wait"
        ));
        let target = bench.target().await?;
        let fleet = fleet::agents(&target, agents, bench.progress).await?;
        orders::fill(&target, Backlog::SameLabel, backlog + orders, bench.progress).await?;
        let time = Duration::from_secs(bench.options.seconds(60, 60));
        let outcome = listed(&target, &fleet, orders, time).await?;
        target.stop().await?;
        let variant = format!("list, claim, complete, {agents} agents, {backlog} waiting");
        rows.push(bench.named(outcome, &variant, "orders ended", None));
    }
    Ok(rows)
}

async fn listed(
    target: &Target<'_>,
    fleet: &[Agent],
    orders: u64,
    time: Duration,
) -> Result<Outcome, BenchError> {
    let budget = Budget::new(orders);
    let before = target.census().await?;
    let measure = Measure::begin(target).await?;
    let ends_at = Instant::now() + time;
    let mut crew = Crew::new();
    for (number, agent) in fleet.iter().enumerate() {
        let seat = Seat::new(target, number, agent);
        crew.add(drain(seat, Arc::clone(&budget), ends_at, measure.recorder()));
    }
    crew.finish().await?;
    let mut outcome = measure.end(target).await?;
    let census = target.census().await?;
    let ended = outcome.operations;
    outcome.expect("orders in the log", ended, census.log);
    outcome.expect("orders that wait", before.queue - ended, census.queue);
    Ok(outcome)
}

async fn drain(mut seat: Seat, budget: Arc<Budget>, ends_at: Instant, recorder: Arc<Recorder>) {
    while Instant::now() < ends_at && budget.take().is_some() {
        let begun = Instant::now();
        while !recorder.hopeless() {
            match claim_oldest(&mut seat, &recorder).await {
                Ok(Some(id)) => {
                    match seat.complete(id, true).await {
                        Ok(_) => recorder.done(1),
                        Err(error) => recorder.error(&error),
                    }
                    break;
                }
                Ok(None) => {}
                Err(error) => recorder.error(&error),
            }
        }
        recorder.timed(begun);
    }
}

/// Tries one order of the list after the other; none when other agents were faster each time.
async fn claim_oldest(seat: &mut Seat, recorder: &Recorder) -> Result<Option<Uuid>, WireError> {
    let (ids, _) = seat.pending(TRIES_MAX).await?;
    if ids.is_empty() {
        return Err(WireError::Malformed("the list is empty although orders wait"));
    }
    for id in ids {
        if seat.claim_known(id).await?.is_some() {
            return Ok(Some(id));
        }
        recorder.contention();
    }
    Ok(None)
}
