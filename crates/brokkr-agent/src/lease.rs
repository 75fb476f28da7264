//! Holding what was claimed: one renewal for all attempts, and stopping those that can no longer be held.
//!
//! A lease is believed to run from the moment *before* the request left that got or renewed it, by the monotonic clock. So the
//! agent never believes in it for longer than the broker does, and stops the work a margin earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_api::{HeldClaim, Renewals};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use crate::alive::Pulse;
use crate::attempt::{AttemptId, Claim};
use crate::backoff::Backoff;
use crate::broker::{Broker, CallError};
use crate::condition::Condition;
use crate::stop::{StopHandle, StopReason, StopSignal};

/// How often the broker hears of an agent that holds nothing.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// The most claims of one request.
const RENEWALS_MAX: usize = 1000;
/// What a broker answers that does not know a member of the request.
const NOT_UNDERSTOOD: &str = "invalid_body";
/// The longest that one renewal may take.
const RENEWAL_LIMIT: Duration = Duration::from_secs(10);

/// Everything that the agent holds. What is in here occupies a slot.
#[derive(Debug)]
pub(crate) struct Held {
    entries: Mutex<BTreeMap<AttemptId, Entry>>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Entry {
    /// Before this moment the request left that last got or renewed the lease.
    since: Instant,
    lease: Duration,
    stop: StopHandle,
    work_type: String,
    /// Not any more once the lease is lost.
    renewed: bool,
}

impl Entry {
    fn due_at(&self) -> Instant {
        self.since + self.lease / 3
    }

    /// The work is stopped a third of the lease before another agent may have it.
    fn given_up_at(&self) -> Instant {
        self.since + self.lease * 2 / 3
    }

    fn lose(&mut self) {
        self.renewed = false;
        self.stop.stop(StopReason::LeaseLost);
    }
}

/// One attempt that is held, until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    held: Arc<Held>,
    id: AttemptId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.entries().remove(&self.id);
        self.held.changed.send_replace(());
    }
}

impl Held {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    /// Holds a claim whose lease has run since `since`. Nothing when it is held already.
    pub(crate) fn hold(
        self: &Arc<Self>,
        claim: &Claim,
        since: Instant,
        lease_seconds: i64,
    ) -> Option<(Hold, StopSignal)> {
        let (stop, signal) = StopHandle::new();
        let lease = lease(claim, lease_seconds);
        {
            let mut entries = self.entries();
            if entries.contains_key(&claim.id) {
                return None;
            }
            entries.insert(
                claim.id,
                Entry {
                    since,
                    lease,
                    stop,
                    work_type: claim.work_type.clone(),
                    renewed: true,
                },
            );
        }
        self.changed.send_replace(());
        Some((
            Hold {
                held: Arc::clone(self),
                id: claim.id,
            },
            signal,
        ))
    }

    pub(crate) fn count(&self) -> usize {
        self.entries().len()
    }

    /// How many attempts of each type are held.
    pub(crate) fn count_by_type(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.entries().values() {
            *counts.entry(entry.work_type.clone()).or_default() += 1;
        }
        counts
    }

    pub(crate) fn contains(&self, id: AttemptId) -> bool {
        self.entries().contains_key(&id)
    }

    pub(crate) fn orders(&self) -> BTreeSet<Uuid> {
        self.entries().keys().map(|id| id.order).collect()
    }

    /// Gives up every other attempt at the order: the broker gave out a new one, so it has taken them back.
    pub(crate) fn supersede(&self, id: AttemptId) {
        for (other, entry) in self.entries().iter_mut() {
            if other.order == id.order && *other != id {
                entry.lose();
            }
        }
    }

    /// Completes when no other attempt at the order is held.
    pub(crate) async fn only(&self, id: AttemptId) {
        let mut changed = self.watch();
        while self
            .entries()
            .keys()
            .any(|other| other.order == id.order && *other != id)
        {
            // The sender lives as long as this.
            let _ = changed.changed().await;
        }
    }

    /// Tells every attempt to stop.
    pub(crate) fn stop_all(&self, reason: StopReason) {
        for entry in self.entries().values_mut() {
            entry.stop.stop(reason);
        }
    }

    /// Completes when something was taken or given back since `watch` was made or last looked at.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due_at(&self) -> Option<Instant> {
        self.entries()
            .values()
            .filter(|entry| entry.renewed)
            .map(Entry::due_at)
            .min()
    }

    fn shortest_lease(&self) -> Option<Duration> {
        self.entries()
            .values()
            .filter(|entry| entry.renewed)
            .map(|entry| entry.lease)
            .min()
    }

    fn to_renew(&self) -> Vec<HeldClaim> {
        let entries = self.entries();
        let renewed = entries.iter().filter(|(_, entry)| entry.renewed);
        renewed
            .map(|(id, _)| HeldClaim {
                id: id.order,
                attempt: id.attempt,
            })
            .take(RENEWALS_MAX)
            .collect()
    }

    /// Notes an answer to a request that left after `since`.
    fn note(&self, since: Instant, answer: &Renewals) {
        let mut entries = self.entries();
        for renewed in &answer.renewed {
            let id = AttemptId {
                order: renewed.id,
                attempt: renewed.attempt,
            };
            if let Some(entry) = entries.get_mut(&id).filter(|entry| entry.renewed) {
                entry.since = since;
            }
        }
        for lost in &answer.lost {
            let id = AttemptId {
                order: lost.id,
                attempt: lost.attempt,
            };
            if let Some(entry) = entries.get_mut(&id) {
                warn!(work_order.id = %id.order, attempt = id.attempt, code = lost.code, "the broker took an attempt back, its work is stopped");
                entry.lose();
            }
        }
        for cancel in &answer.cancel {
            let id = AttemptId {
                order: cancel.id,
                attempt: cancel.attempt,
            };
            if entries
                .get(&id)
                .is_some_and(|entry| entry.stop.stop(StopReason::Cancelled))
            {
                info!(work_order.id = %id.order, attempt = id.attempt, "the order was cancelled, its work is stopped");
            }
        }
    }

    /// Gives up what may no longer be held. Answers when to look again.
    fn give_up(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for (id, entry) in self.entries().iter_mut().filter(|(_, entry)| entry.renewed) {
            let given_up_at = entry.given_up_at();
            if given_up_at <= now {
                warn!(work_order.id = %id.order, attempt = id.attempt, "the lease could not be renewed in time, the work is stopped");
                entry.lose();
            } else {
                next = Some(next.map_or(given_up_at, |earlier: Instant| earlier.min(given_up_at)));
            }
        }
        next
    }
}

/// How long a claim holds, as the agent may believe.
pub(crate) fn lease(claim: &Claim, lease_seconds: i64) -> Duration {
    Duration::from_secs(lease_seconds.min(claim.lease_seconds_max).max(1).unsigned_abs())
}

/// Renews what is held. Executors never do.
pub(crate) struct LeaseKeeper {
    pub(crate) broker: Arc<Broker>,
    pub(crate) held: Arc<Held>,
    pub(crate) lease_seconds: i64,
    pub(crate) backoff: Backoff,
    /// Told to the broker.
    pub(crate) condition: watch::Receiver<Condition>,
    /// Whether the broker takes reports: not any more once it has refused one.
    pub(crate) reports: bool,
    pub(crate) pulse: Pulse,
}

impl LeaseKeeper {
    /// Runs until a newer process of the same agent has taken over.
    pub(crate) async fn run(mut self) -> CallError {
        let held = Arc::clone(&self.held);
        tokio::select! {
            error = self.renew() => error,
            () = give_up(&held) => unreachable_end().await,
        }
    }

    async fn renew(&mut self) -> CallError {
        let mut changed = self.held.watch();
        let mut heartbeat_at = Instant::now();
        loop {
            changed.mark_unchanged();
            let due_at = self
                .held
                .due_at()
                .map_or(heartbeat_at, |due_at| due_at.min(heartbeat_at));
            tokio::select! {
                () = sleep_until(due_at) => {}
                Ok(()) = changed.changed() => continue,
                Ok(()) = self.condition.changed() => {}
            }
            match self.renew_once().await {
                Ok(()) => {
                    self.backoff.reset();
                    heartbeat_at = Instant::now() + HEARTBEAT;
                }
                Err(Some(error)) if error.is_superseded() => return error,
                Err(error) => {
                    let wait = self.backoff.next(error.as_ref().and_then(CallError::retry_after));
                    // Longer than this there may be no time for.
                    sleep(wait.min(self.limit())).await;
                }
            }
        }
    }

    /// One request for everything. No error is given when it took too long.
    async fn renew_once(&mut self) -> Result<(), Option<CallError>> {
        let since = Instant::now();
        let condition = self.condition.borrow_and_update().clone();
        let report = condition.report(self.held.count()).filter(|_| self.reports);
        let reported = report.is_some();
        let request = self.broker.renew(
            self.held.to_renew(),
            self.lease_seconds,
            Some(&condition.state),
            report,
        );
        let answer = timeout(self.limit(), request).await;
        self.pulse.beat(&condition.state, matches!(answer, Ok(Ok(_))));
        match answer {
            Ok(Ok(answer)) => {
                self.held.note(since, &answer);
                Ok(())
            }
            Ok(Err(error)) if reported && error.code() == NOT_UNDERSTOOD => {
                info!("the broker is older than the agent and takes no reports, so it is sent none");
                self.reports = false;
                Err(None)
            }
            Ok(Err(error)) => {
                warn!(%error, "could not renew leases");
                Err(Some(error))
            }
            Err(_) => {
                warn!("the broker did not answer a renewal in time");
                Err(None)
            }
        }
    }

    fn limit(&self) -> Duration {
        self.held
            .shortest_lease()
            .map_or(RENEWAL_LIMIT, |lease| (lease / 6).min(RENEWAL_LIMIT))
    }
}

/// Stops what could not be renewed in time, also while a renewal hangs.
async fn give_up(held: &Held) {
    let mut changed = held.watch();
    loop {
        changed.mark_unchanged();
        match held.give_up(Instant::now()) {
            Some(next) => tokio::select! {
                () = sleep_until(next) => {}
                _ = changed.changed() => {}
            },
            None => {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn unreachable_end() -> CallError {
    std::future::pending().await
}

#[cfg(test)]
mod tests;
