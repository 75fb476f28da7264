//! The one loop that takes work: as much as there are free slots, and never more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::attempt::{AttemptId, Claim};
use crate::availability::Unavailable;
use crate::backoff::Backoff;
use crate::broker::{CallError, Holder};
use crate::condition::Condition;
use crate::schedule::{Chance, Schedule, Situation};
use crate::work::{Start, Workshop};

/// How often orphans are looked for once the first time has passed.
const TIDY_INTERVAL: Duration = Duration::from_secs(600);
/// The longest that an agent that cannot claim leaves other things to be looked after undone.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How long an agent that claims no more takes to give back what it was given at the last moment.
const GIVE_BACK_LIMIT: Duration = Duration::from_secs(5);
/// How long the broker may still be at work on a request that was dropped.
const LAST_CLAIM: Duration = Duration::from_millis(200);
/// A broker that stops answers everybody who waits at once; over so long they come back.
const RETURN_SPREAD: Duration = Duration::from_secs(2);
/// An answer that comes earlier than the wait by more than this was cut short.
const CUT_SHORT: Duration = Duration::from_secs(1);
/// How often a claim that was long in coming is confirmed before it is given back.
const CONFIRMATIONS_MAX: usize = 3;

/// Takes work and adopts what is there.
pub(crate) struct Claimer {
    pub(crate) workshop: Arc<Workshop>,
    pub(crate) schedule: Schedule,
    pub(crate) wait_seconds: i64,
    /// Told to the broker.
    pub(crate) condition: watch::Sender<Condition>,
    /// The types that the agent can and may do.
    pub(crate) work_types: Vec<String>,
    /// Those that cannot be done now.
    pub(crate) unavailable: watch::Receiver<Unavailable>,
    pub(crate) backoff: Backoff,
    pub(crate) tidy_at: Instant,
    /// Ended already; their endings are on their way.
    pub(crate) ended: HashSet<AttemptId>,
}

impl Claimer {
    /// Adopts what the agent holds, then claims until it is told to drain.
    ///
    /// # Errors
    /// When a newer process of the same agent has taken over.
    pub(crate) async fn run(mut self) -> Result<(), CallError> {
        let shutdown = self.workshop.shutdown.clone();
        let result = tokio::select! {
            error = self.claim_for_ever() => Err(error),
            () = shutdown.draining() => Ok(()),
        };
        if result.is_ok() {
            match timeout(GIVE_BACK_LIMIT, self.give_back()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn!(%error, "could not ask which claims came too late, they will be found lost");
                }
                Err(_) => warn!(
                    "the broker did not say in time which claims came too late, they will be found lost"
                ),
            }
        }
        result
    }

    /// The broker may have answered the request that was just dropped, or be about to.
    async fn give_back(&mut self) -> Result<(), CallError> {
        self.reconcile().await?;
        sleep(LAST_CLAIM).await;
        self.reconcile().await
    }

    async fn claim_for_ever(&mut self) -> CallError {
        // What an answer that never arrived may have given to the agent has to be looked at before more is claimed.
        let mut reconciled = false;
        loop {
            let result = if reconciled {
                self.claim().await
            } else {
                self.reconcile().await
            };
            match result {
                Ok(()) => {
                    reconciled = true;
                    self.backoff.reset();
                }
                Err(error) if error.is_superseded() => return error,
                Err(error) => {
                    reconciled &= !error.may_have_been_done();
                    let wait = self.backoff.next(error.retry_after());
                    warn!(%error, wait_seconds = wait.as_secs_f64(), "could not claim work");
                    sleep(wait).await;
                }
            }
            self.tidy_when_due().await;
        }
    }

    /// One request for as much as there is room for, or waiting until there may be.
    async fn claim(&mut self) -> Result<(), CallError> {
        let mut changed = self.workshop.held.watch();
        changed.mark_unchanged();
        let chance = self.look();
        if chance.max == 0 {
            tokio::select! {
                // The sender lives as long as the workshop.
                _ = changed.changed() => {}
                Ok(()) = self.unavailable.changed() => {}
                () = sleep(chance.holds.min(LOOK_INTERVAL)) => {}
            }
            return Ok(());
        }
        let wait_seconds = self.patience(chance.holds);
        // Taken before the request leaves, so that the lease is never believed to be longer than it is.
        let since = Instant::now();
        let broker = &self.workshop.broker;
        let claims = broker
            .claim(
                chance.max,
                chance.work_types,
                self.workshop.lease_seconds,
                wait_seconds,
            )
            .await?;
        let wait = Duration::from_secs(wait_seconds.unsigned_abs());
        if claims.is_empty() && since.elapsed() + CUT_SHORT < wait {
            sleep(self.backoff.spread(RETURN_SPREAD)).await;
        }
        self.begin_all(claims, since).await;
        Ok(())
    }

    /// How long to wait for work, in seconds: not always as long as it may be, or agents that began to wait together would ask
    /// together for ever.
    fn patience(&mut self, holds: Duration) -> i64 {
        let longest =
            i64::try_from(holds.as_secs()).map_or(self.wait_seconds, |holds| holds.min(self.wait_seconds));
        let quarter = Duration::from_secs(longest.unsigned_abs() / 4);
        longest - i64::try_from(self.backoff.spread(quarter).as_millis() / 1_000).unwrap_or(0)
    }

    /// What may be claimed now. The broker is told with the next renewal.
    fn look(&mut self) -> Chance {
        let chance = self.schedule.chance(&Situation {
            held: self.workshop.held.count_by_type(),
            work_types: self.work_types.clone(),
            unavailable: self.unavailable.borrow_and_update().clone(),
        });
        let found = Condition {
            state: chance.state.clone(),
            report: chance.report.clone(),
        };
        let mut changed = false;
        self.condition.send_if_modified(|condition| {
            changed = condition.state != found.state;
            let told = *condition != found;
            *condition = found;
            told
        });
        if changed {
            info!(state = chance.state, "what the agent claims has changed");
        }
        chance
    }

    async fn begin_all(&self, claims: Vec<Claim>, since: Instant) {
        let (fresh, late): (Vec<_>, Vec<_>) = claims.into_iter().partition(|claim| {
            let third = crate::lease::lease(claim, self.workshop.lease_seconds) / 3;
            since.elapsed() < third
        });
        for claim in fresh {
            self.workshop.begin(claim, Start::New, since);
        }
        if !late.is_empty() {
            self.begin_late(late).await;
        }
    }

    /// After a long wait too little of the lease is certain, so these are renewed before they begin.
    async fn begin_late(&self, mut claims: Vec<Claim>) {
        let workshop = &self.workshop;
        let mut backoff = self.backoff.clone();
        for _ in 0..CONFIRMATIONS_MAX {
            let since = Instant::now();
            match workshop.broker.confirm(&claims, workshop.lease_seconds).await {
                Ok(renewed) => {
                    for claim in claims.into_iter().filter(|claim| renewed.contains(&claim.id)) {
                        workshop.begin(claim, Start::New, since);
                    }
                    return;
                }
                Err(error) => {
                    warn!(%error, "could not confirm claims");
                    sleep(backoff.next(error.retry_after())).await;
                }
            }
        }
        for claim in claims.drain(..) {
            self.release(&claim, "the agent could not be sure of its lease")
                .await
                .ok();
        }
    }

    /// Adopts what the broker says is held and is here, and gives back what this process was given and has not begun. What
    /// another process held and is not here may have run, or still run, elsewhere: the broker finds it lost when its lease passes.
    async fn reconcile(&mut self) -> Result<(), CallError> {
        let claims = self.workshop.broker.held_claims().await?;
        for (claim, holder) in claims {
            if self.workshop.held.contains(claim.id) || self.ended.contains(&claim.id) {
                continue;
            }
            match self.workshop.work_of(&claim).await {
                // Its own attempt may run elsewhere, so the outcome of an earlier one must not end it.
                Ok(Some(attempt)) if holder == Holder::Another && attempt != claim.id.attempt => warn!(
                    work_order.id = %claim.id.order, attempt = claim.id.attempt,
                    "another process of this agent held a claim of which only an earlier attempt is here, it will be found lost"
                ),
                Ok(Some(attempt)) => {
                    // How much of the lease is left is not known, so the keeper renews it at once.
                    let third = crate::lease::lease(&claim, self.workshop.lease_seconds) / 3;
                    let since = Instant::now().checked_sub(third).unwrap_or_else(Instant::now);
                    self.workshop.begin(claim, Start::Adopt(attempt), since);
                }
                Ok(None) if holder == Holder::ThisProcess => {
                    self.release(&claim, "the agent had not begun it").await?;
                }
                Ok(None) => warn!(
                    work_order.id = %claim.id.order, attempt = claim.id.attempt,
                    "another process of this agent held a claim whose work is not here, it will be found lost"
                ),
                Err(error) => warn!(work_order.id = %claim.id.order, %error, "could not adopt a claim"),
            }
        }
        Ok(())
    }

    async fn release(&self, claim: &Claim, reason: &str) -> Result<(), CallError> {
        match self.workshop.broker.release(claim.id, reason).await {
            Ok(()) => {
                info!(work_order.id = %claim.id.order, attempt = claim.id.attempt, reason, "gave a claim back");
                Ok(())
            }
            // Somebody else has settled it.
            Err(error) if error.is_final() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn tidy_when_due(&mut self) {
        if self.tidy_at <= Instant::now() {
            self.workshop.tidy().await;
            self.tidy_at = Instant::now() + TIDY_INTERVAL;
        }
    }
}
