//! Orders that come at a steady rate, and parked agents that take them.
//!
//! The loop is open: an order is due at its time whether or not earlier ones were answered, and its latency counts from then. So a broker
//! that stands still for a second is charged with all orders of that second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokkr_client::api::paths;
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::idle_fleet;
use crate::crew::{Crew, until_done};
use crate::fleet::{Agent, Completed, Held, Seat};
use crate::orders;
use crate::recorder::{Budget, Measure, Recorder};
use crate::run::Bench;
use crate::target::Target;
use crate::wire::{Connection, WireError};
use crate::{BenchError, Outcome};

/// Each creates what is due; enough that one is always free at the rates that one machine can have.
const SENDERS: usize = 64;
/// One order of so many is cancelled at once after its creation.
const CANCELLED_EVERY: u64 = 20;
/// One order of so many fails at its first attempt.
const FAILED_EVERY: u128 = 10;
/// After the last order, and while nothing ends any more.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// What comes, and who takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    /// Orders per second.
    pub(super) rate: u32,
    /// How long orders come.
    pub(super) seconds: u64,
    /// How many orders an agent claims at most.
    pub(super) claim_max: u32,
    /// Whether some fail and some are cancelled.
    pub(super) trouble: bool,
}

/// Lets orders come until the time is over, and waits until all have ended. A latency is that from an order's time to its first claim.
pub(super) async fn measure(
    bench: &Bench<'_>,
    target: &Target<'_>,
    fleet: &[Agent],
    traffic: Traffic,
) -> Result<Outcome, BenchError> {
    let before = target.census().await?;
    let orders = u64::from(traffic.rate) * traffic.seconds;
    let recorder = Recorder::new()?;
    let journal = Arc::new(Journal::new(Arc::clone(&recorder)));
    let mut agents = Crew::new();
    for (number, agent) in fleet.iter().enumerate() {
        let taker = Taker {
            seat: Seat::new(target, number, agent),
            journal: Arc::clone(&journal),
            recorder: Arc::clone(&recorder),
            traffic,
        };
        agents.add(taker.work());
    }
    idle_fleet::parked(target, fleet.len() as u64, bench.progress).await?;

    let measure = Measure::begin_with(target, Arc::clone(&recorder)).await?;
    let begun = Instant::now();
    let budget = Budget::new(orders);
    let mut senders = Crew::new();
    for _ in 0..SENDERS {
        let sender = Sender {
            admin: target.admin(0),
            journal: Arc::clone(&journal),
            recorder: Arc::clone(&recorder),
            traffic,
            body: if traffic.trouble {
                orders::one_with_retries()
            } else {
                orders::one()
            },
        };
        senders.add(sender.work(begun, Arc::clone(&budget)));
    }
    senders.finish().await?;
    until_done(&recorder, orders, PATIENCE).await;
    let mut outcome = measure.end(target).await?;
    agents.dismiss().await;
    let census = target.census().await?;
    outcome.expect("orders ended", orders, outcome.operations);
    outcome.expect("orders in the log", before.log + orders, census.log);
    outcome.expect("orders that wait", before.queue, census.queue);
    Ok(outcome)
}

/// Brings both ends of an order's wait together, whichever is heard of first.
struct Journal {
    halves: Mutex<HashMap<Uuid, Half>>,
    recorder: Arc<Recorder>,
}

#[derive(Debug, Clone, Copy)]
enum Half {
    Due(Instant),
    Claimed(Instant),
}

impl Journal {
    fn new(recorder: Arc<Recorder>) -> Journal {
        Journal {
            halves: Mutex::new(HashMap::new()),
            recorder,
        }
    }

    fn due(&self, id: Uuid, due: Instant) {
        if let Some(Half::Claimed(claimed)) = self.other_half(id, Half::Due(due)) {
            self.recorder.took(claimed.saturating_duration_since(due));
        }
    }

    fn claimed(&self, id: Uuid, claimed: Instant) {
        if let Some(Half::Due(due)) = self.other_half(id, Half::Claimed(claimed)) {
            self.recorder.took(claimed.saturating_duration_since(due));
        }
    }

    /// The other half, or keeps this one until it comes.
    fn other_half(&self, id: Uuid, half: Half) -> Option<Half> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let other = halves.remove(&id);
        if other.is_none() {
            halves.insert(id, half);
        }
        other
    }
}

struct Sender {
    admin: Connection,
    journal: Arc<Journal>,
    recorder: Arc<Recorder>,
    traffic: Traffic,
    body: Vec<u8>,
}

impl Sender {
    async fn work(mut self, begun: Instant, budget: Arc<Budget>) {
        while let Some(number) = budget.take() {
            let mut due = begun + Duration::from_secs_f64(number as f64 / f64::from(self.traffic.rate));
            if Instant::now() < due {
                sleep_until(due).await;
                // The timer rounds up to whole milliseconds, which nobody waits for. A sender that comes late keeps the time that was due.
                due = Instant::now();
            }
            if let Err(error) = self.send(number, due).await {
                self.recorder.error(&error);
            }
        }
    }

    async fn send(&mut self, number: u64, due: Instant) -> Result<(), WireError> {
        #[derive(Deserialize)]
        struct Created {
            id: Uuid,
        }
        let created: Created = self
            .admin
            .post(paths::WORK_ORDERS, &self.body)
            .await?
            .ok()?
            .json()?;
        self.journal.due(created.id, due);
        if self.traffic.trouble && number.is_multiple_of(CANCELLED_EVERY) {
            self.cancel(created.id).await?;
        }
        Ok(())
    }

    /// Counts the order when it waited, so that this ended it. An agent that had it by then ends it, or has ended it.
    async fn cancel(&mut self, id: Uuid) -> Result<(), WireError> {
        let path = orders::path(paths::WORK_ORDER_CANCEL, id);
        let answer = self.admin.post(&path, b"{}").await?;
        match answer.status {
            200 => self.recorder.done(1),
            202 | 409 => {}
            _ => return Err(answer.refused()),
        }
        Ok(())
    }
}

struct Taker {
    seat: Seat,
    journal: Arc<Journal>,
    recorder: Arc<Recorder>,
    traffic: Traffic,
}

impl Taker {
    /// Goes on until it is dismissed.
    async fn work(mut self) {
        loop {
            if let Err(error) = self.take().await {
                self.recorder.error(&error);
                sleep(PAUSE).await;
            }
        }
    }

    async fn take(&mut self) -> Result<(), WireError> {
        let held = self.seat.claim(self.traffic.claim_max, idle_fleet::WAIT).await?;
        let claimed = Instant::now();
        let (firsts, again): (Vec<Held>, Vec<Held>) = held.into_iter().partition(|held| held.attempt == 1);
        for order in &firsts {
            self.journal.claimed(order.id, claimed);
        }
        let fails = |order: &Held| self.traffic.trouble && order.id.as_u128().is_multiple_of(FAILED_EVERY);
        let (failing, mut succeeding): (Vec<Held>, Vec<Held>) = firsts.into_iter().partition(fails);
        succeeding.extend(again);
        for order in failing {
            // Where somebody wants it cancelled, the failure is its end.
            if self.seat.complete(order.id, false).await? == Completed::Ended {
                self.recorder.done(1);
            }
        }
        self.succeed(&succeeding).await
    }

    async fn succeed(&mut self, held: &[Held]) -> Result<(), WireError> {
        if held.is_empty() {
            return Ok(());
        }
        let ended = self.seat.end(held).await?;
        self.recorder.done(ended);
        if ended < held.len() as u64 {
            self.recorder.error("an ending was refused");
        }
        Ok(())
    }
}
