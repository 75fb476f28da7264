//! Orders created one per call, then in batches.

use std::sync::Arc;
use std::time::Instant;

use brokkr_client::api::paths;

use crate::crew::Crew;
use crate::fleet::Items;
use crate::orders;
use crate::recorder::{Budget, Measure, Recorder};
use crate::run::Bench;
use crate::wire::{Connection, WireError};
use crate::{BenchError, Outcome};

/// More callers than this do not help when each call brings a hundred orders.
const BATCH_CALLERS_MAX: u32 = 8;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let callers = bench.options.callers(64, 4);
    let singles = bench.options.orders(50_000, 100);
    bench.step(&format!("{singles} orders, one per call, {callers} callers"));
    let single = create(bench, callers, singles, 1).await?;

    let batch = u64::from(bench.options.batch());
    let calls = bench.options.orders(200_000, 100).div_ceil(batch);
    let batch_callers = callers.min(BATCH_CALLERS_MAX);
    bench.step(&format!("{calls} batches of {batch}, {batch_callers} callers"));
    let batched = create(bench, batch_callers, calls, batch).await?;

    let variants = [
        format!("one per call, {callers} callers"),
        format!("batches of {batch}, {batch_callers} callers"),
    ];
    Ok(vec![
        bench.named(single, &variants[0], "orders created", Some("create_single")),
        bench.named(batched, &variants[1], "orders created", Some("create_batch")),
    ])
}

/// Makes `calls` calls with `size` orders each on a fresh database.
async fn create(bench: &Bench<'_>, callers: u32, calls: u64, size: u64) -> Result<Outcome, BenchError> {
    let target = bench.target().await?;
    let body: Arc<[u8]> = if size == 1 {
        orders::one()
    } else {
        orders::many(size)
    }
    .into();
    let budget = Budget::new(calls);
    let measure = Measure::begin(&target).await?;
    let mut crew = Crew::new();
    for number in 0..callers as usize {
        let caller = Caller {
            connection: target.admin(number),
            recorder: measure.recorder(),
            body: Arc::clone(&body),
            size,
        };
        crew.add(caller.work(Arc::clone(&budget)));
    }
    crew.finish().await?;
    let mut outcome = measure.end(&target).await?;
    let census = target.census().await?;
    outcome.expect("orders created", calls * size, outcome.operations);
    outcome.expect("orders that wait", calls * size, census.queue);
    outcome.expect("routes that wait", calls * size, census.routes);
    target.stop().await?;
    Ok(outcome)
}

struct Caller {
    connection: Connection,
    recorder: Arc<Recorder>,
    body: Arc<[u8]>,
    size: u64,
}

impl Caller {
    async fn work(mut self, budget: Arc<Budget>) {
        while budget.take().is_some() && !self.recorder.hopeless() {
            let begun = Instant::now();
            let created = self.create().await;
            self.recorder.timed(begun);
            match created {
                Ok(created) => self.recorder.done(created),
                Err(error) => self.recorder.error(&error),
            }
        }
    }

    async fn create(&mut self) -> Result<u64, WireError> {
        if self.size == 1 {
            self.connection.post(paths::WORK_ORDERS, &self.body).await?.ok()?;
            return Ok(1);
        }
        let answer = self
            .connection
            .post(paths::WORK_ORDERS_BATCH, &self.body)
            .await?
            .ok()?;
        Ok(answer.json::<Items>()?.with_status(201))
    }
}
