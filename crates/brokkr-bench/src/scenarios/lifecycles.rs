//! Whole lives of orders: created, claimed and ended by workers that each do all three.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brokkr_client::api::paths;

use crate::crew::Crew;
use crate::fleet::{Agent, Items, Seat};
use crate::orders;
use crate::recorder::{Budget, Measure, Recorder};
use crate::target::Target;
use crate::wire::{Connection, WireError};
use crate::{BenchError, Outcome};

/// An order that another worker has not taken yet comes within this time, or never.
const EMPTY_MAX: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// How many lives, and by how many workers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifecycles {
    /// Orders in all; a multiple of `size`.
    pub(super) orders: u64,
    /// Orders of each call.
    pub(super) size: u64,
    /// Orders that wait before and after, for the same agents or for others.
    pub(super) backlog: u64,
}

/// Creates, claims and ends `lifecycles.orders` orders, each worker with an agent of its own. A latency is that of one worker's three calls.
pub(super) async fn measure(
    target: &Target<'_>,
    agents: &[Agent],
    lifecycles: Lifecycles,
) -> Result<Outcome, BenchError> {
    let Lifecycles {
        orders,
        size,
        backlog,
    } = lifecycles;
    let before = target.census().await?;
    let body: Arc<[u8]> = if size == 1 {
        orders::one()
    } else {
        orders::many(size)
    }
    .into();
    let (creations, endings) = (Budget::new(orders / size), Arc::new(Remaining::new(orders)));
    let measure = Measure::begin(target).await?;
    let mut crew = Crew::new();
    for (number, agent) in agents.iter().enumerate() {
        let worker = Worker {
            admin: target.admin(number),
            seat: Seat::new(target, number, agent),
            recorder: measure.recorder(),
            body: Arc::clone(&body),
            size,
            remaining: Arc::clone(&endings),
        };
        crew.add(worker.work(Arc::clone(&creations)));
    }
    crew.finish().await?;
    let mut outcome = measure.end(target).await?;
    let census = target.census().await?;
    outcome.expect("orders ended", orders, outcome.operations);
    outcome.expect("orders in the log", before.log + orders, census.log);
    outcome.expect("orders that wait", backlog, census.queue);
    Ok(outcome)
}

/// How many orders have not ended yet.
#[derive(Debug)]
struct Remaining(AtomicU64);

impl Remaining {
    fn new(orders: u64) -> Remaining {
        Remaining(orders.into())
    }

    fn any(&self) -> bool {
        0 < self.0.load(Ordering::Relaxed)
    }

    /// Takes up to `wanted`, so that all workers together claim no more than were created.
    fn take(&self, wanted: u64) -> u64 {
        let mut taken = 0;
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            taken = wanted.min(left);
            left.checked_sub(taken)
        });
        taken
    }

    fn give_back(&self, orders: u64) {
        self.0.fetch_add(orders, Ordering::Relaxed);
    }
}

struct Worker {
    admin: Connection,
    seat: Seat,
    recorder: Arc<Recorder>,
    body: Arc<[u8]>,
    size: u64,
    remaining: Arc<Remaining>,
}

impl Worker {
    async fn work(mut self, creations: Arc<Budget>) {
        while creations.take().is_some() && !self.recorder.hopeless() {
            let begun = Instant::now();
            if let Err(error) = self.create().await {
                self.recorder.error(&error);
                self.remaining.take(self.size);
                continue;
            }
            self.claim_and_end().await;
            self.recorder.timed(begun);
        }
        self.rest().await;
    }

    /// What this worker claimed too few of, another worker's claim may have left behind.
    async fn rest(&mut self) {
        let mut empty = 0;
        while self.remaining.any() && empty < EMPTY_MAX && !self.recorder.hopeless() {
            if self.claim_and_end().await == 0 {
                empty += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn create(&mut self) -> Result<(), WireError> {
        if self.size == 1 {
            self.admin.post(paths::WORK_ORDERS, &self.body).await?.ok()?;
            return Ok(());
        }
        let answer = self
            .admin
            .post(paths::WORK_ORDERS_BATCH, &self.body)
            .await?
            .ok()?;
        match answer.json::<Items>()?.with_status(201) {
            created if created == self.size => Ok(()),
            _ => Err(WireError::Malformed("not all orders of the batch were created")),
        }
    }

    async fn claim_and_end(&mut self) -> u64 {
        let wanted = self.remaining.take(self.size);
        if wanted == 0 {
            return 0;
        }
        let ended = match self.try_claim_and_end(wanted).await {
            Ok(ended) => ended,
            Err(error) => {
                self.recorder.error(&error);
                0
            }
        };
        self.recorder.done(ended);
        self.remaining.give_back(wanted - ended);
        ended
    }

    async fn try_claim_and_end(&mut self, wanted: u64) -> Result<u64, WireError> {
        let max = u32::try_from(wanted).unwrap_or(u32::MAX);
        let held = self.seat.claim(max, Duration::ZERO).await?;
        if held.is_empty() {
            return Ok(0);
        }
        self.seat.end(&held).await
    }
}
