//! What time brings about: leases that pass, retries that come due, orders that never started, things to forget.
//!
//! Every sweep does one bounded batch, may run at any time on every replica at once, and answers how many rows it changed.
//! It looks before it locks, so that an idle broker writes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use brokkr_core::ids::AgentId;
use brokkr_core::life::{DEADLINE_MARGIN_SECONDS, Event};
use brokkr_core::names::WorkType;
use brokkr_core::retry::FailureClass;
use brokkr_core::routing::Route;
use brokkr_core::time::Timestamp;
use tracing::info;

use super::App;
use super::caller::Caller;
use super::steps::{Actor, Settled, Steps};
use super::waiters::Work;
use crate::dal::attempts::Report;
use crate::dal::routes::{self, Listening};
use crate::dal::sweeps::{self, NextDue};
use crate::dal::work_orders::OrderHead;
use crate::dal::{DalError, Tx, agents, claims, idempotency_keys, vacuum};
use crate::guards::Guard;

/// How long an idempotency key is kept.
const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// By so much the sweep is early where the guard of the lease is missing.
const LONGER_THAN_ANY_LEASE: u64 = 100 * 24 * 3_600;
/// How long a superseded process of an agent is remembered: longer than any of them lives on unheard.
const INSTANCES_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

impl App {
    /// Takes orders back from agents that stopped renewing: they run again, or end as lost, or as cancelled.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn release_expired_leases(&self, limit: u32) -> Result<u64, DalError> {
        let now = self.now();
        let passed_at = if Guard::LeaseOfSweep.stands() {
            now
        } else {
            now.plus_seconds(LONGER_THAN_ANY_LEASE)
        };
        if !due(sweeps::next_lease(&mut self.db.read().await?).await?, passed_at) {
            return Ok(0);
        }
        let mut tx = self.db.begin().await?;
        let heads = sweeps::expired_leases(&mut tx, passed_at, limit).await?;
        let settled = self
            .step_all(
                &mut tx,
                Actor::Broker,
                &heads,
                |_| Some(Event::LeasePassed { now: passed_at }),
                now,
            )
            .await?;
        tx.commit().await?;
        for head in &heads {
            let holder = head.claim.as_ref().map(|claim| claim.agent.to_string());
            info!(work_order.id = %head.id, agent.id = holder, "lease expired, work order {} was taken back", head.id);
        }
        self.metrics().leases_lost(heads.len() as u64);
        self.settled(settled);
        Ok(heads.len() as u64)
    }

    /// Takes orders back from agents that hold them long after the deadline of the attempt, whether or not they renew: such an agent
    /// will not end it any more. What the attempt came to is not known, so it is lost.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn end_overdue_attempts(&self, limit: u32) -> Result<u64, DalError> {
        let now = self.now();
        let until = now.minus(Duration::from_secs(DEADLINE_MARGIN_SECONDS));
        if !due(sweeps::next_deadline(&mut self.db.read().await?).await?, until) {
            return Ok(0);
        }
        let mut tx = self.db.begin().await?;
        let heads = sweeps::overdue_attempts(&mut tx, until, limit).await?;
        let event = |head: &OrderHead| {
            Some(Event::DeadlinePassed {
                now,
                deadline: head.deadline()?,
                retry: head.retry_on.contains(FailureClass::Deadline),
            })
        };
        let settled = self.step_all(&mut tx, Actor::Broker, &heads, event, now).await?;
        tx.commit().await?;
        for head in &heads {
            info!(work_order.id = %head.id, "deadline passed unreported, work order {} was taken back", head.id);
        }
        self.settled(settled);
        Ok(heads.len() as u64)
    }

    /// Makes orders claimable whose retry or run-at time has come, and wakes who waits for them.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn promote_due(&self, limit: u32) -> Result<u64, DalError> {
        let now = self.now();
        let next = self.next_due().await?;
        if !due(next.promotion(), now) {
            return Ok(0);
        }
        let mut tx = self.db.begin().await?;
        let mut heads = sweeps::due_retries(&mut tx, now, limit).await?;
        heads.extend(sweeps::due_scheduled(&mut tx, now, limit).await?);
        debug_assert!(
            heads
                .iter()
                .all(|head| head.life().apply(Event::Due { now }).is_ok())
        );
        let reopened = sweeps::promote_many(&mut tx, heads.iter().map(|head| head.id), now).await?;
        let promoted = reopened.len() as u64;
        self.tell_due(&mut tx, &heads, &reopened, now).await?;
        tx.commit().await?;
        self.settled(Settled {
            reopened,
            ..Settled::default()
        });
        Ok(promoted)
    }

    /// Ends orders that were not started in time.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn expire_unstarted(&self, limit: u32) -> Result<u64, DalError> {
        let now = self.now();
        if self
            .next_due()
            .await?
            .start_by
            .is_none_or(|start_by| now <= start_by)
        {
            return Ok(0);
        }
        let mut tx = self.db.begin().await?;
        let heads = sweeps::start_by_passed(&mut tx, now, limit).await?;
        let settled = self
            .step_all(
                &mut tx,
                Actor::Broker,
                &heads,
                |_| Some(Event::StartByPassed { now }),
                now,
            )
            .await?;
        tx.commit().await?;
        self.settled(settled);
        Ok(heads.len() as u64)
    }

    /// Forgets what is kept only for a while: idempotency keys and superseded processes.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn prune(&self, limit: u32) -> Result<u64, DalError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let keys = idempotency_keys::prune(&mut tx, now.minus(IDEMPOTENCY_KEPT), limit).await?;
        let instances = agents::prune_instances(&mut tx, now.minus(INSTANCES_KEPT), limit).await?;
        tx.commit().await?;
        Ok(keys + instances)
    }

    /// Sweeps what claims have left in the index that they read, when there are at least `dead_min` of it. Answers how often.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn vacuum_routes(&self, dead_min: u32) -> Result<u64, DalError> {
        vacuum::routes(&self.db, dead_min).await.map(u64::from)
    }

    /// Wakes claims that wait on routes on which an order waits: one query for the whole replica. It makes up for nudges
    /// that never came, from other replicas above all. Answers how many were woken for.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn wake_waiting_claims(&self) -> Result<u64, DalError> {
        let listening: BTreeSet<Listening> = self.waiters.wanted().into_iter().flat_map(listening).collect();
        if listening.is_empty() {
            return Ok(0);
        }
        let mut tx = self.db.read().await?;
        let waiting = routes::waiting(&mut tx, &listening).await?;
        let found = waiting.len() as u64;
        self.waiters
            .wake(waiting.into_iter().map(|(route, work_type)| Work {
                routes: vec![route],
                work_type,
            }));
        Ok(found)
    }

    /// When each sweep but that of leases has something to do next.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn next_due(&self) -> Result<NextDue, DalError> {
        let mut tx = self.db.read().await?;
        sweeps::next_due(&mut tx).await
    }

    /// Takes everything back that an agent holds, which is about to be gone. What its work came to cannot be known. Call
    /// [`App::settled`] with the answer after the commit.
    pub(super) async fn take_back_claims_of(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        agent: AgentId,
        now: Timestamp,
    ) -> Result<Settled, DalError> {
        let mut all = Settled::default();
        loop {
            let heads = claims::held_for_update(tx, agent, HELD_BATCH).await?;
            let settled = self
                .step_all(
                    tx,
                    Actor::Caller(caller),
                    &heads,
                    |_| Some(Event::HolderRemoved),
                    now,
                )
                .await?;
            all.entries.extend(settled.entries);
            all.reopened.extend(settled.reopened);
            if heads.len() < HELD_BATCH as usize {
                return Ok(all);
            }
        }
    }

    pub(super) async fn step_all(
        &self,
        tx: &mut Tx,
        actor: Actor<'_>,
        heads: &[OrderHead],
        event: impl Fn(&OrderHead) -> Option<Event>,
        now: Timestamp,
    ) -> Result<Settled, DalError> {
        let mut steps = Steps::new(self, actor, now);
        for head in heads {
            let Some(event) = event(head) else { continue };
            // What the model refuses is left as it is; the statement that found it is no more than a hint.
            if let Ok(after) = head.life().apply(event) {
                let message = message(event).map(str::to_owned);
                steps.add(
                    head,
                    event,
                    after,
                    Report {
                        message,
                        class: class(event),
                        ..Report::default()
                    },
                    None,
                );
            }
        }
        steps.write(tx).await
    }
}

/// How many claims of one agent are taken back by one statement.
const HELD_BATCH: u32 = 1_000;

fn due(next: Option<Timestamp>, now: Timestamp) -> bool {
    next.is_some_and(|next| next <= now)
}

fn message(event: Event) -> Option<&'static str> {
    match event {
        Event::LeasePassed { .. } => Some("The lease passed without a word from the agent."),
        Event::DeadlinePassed { .. } => {
            Some("The deadline passed, and the agent did not say how the attempt ended.")
        }
        Event::HolderRemoved => Some("The agent was deleted."),
        Event::Restored => {
            Some("The database was restored from a backup, so what became of the attempt is not known.")
        }
        Event::StartByPassed { .. } => Some("It was not started in time."),
        _ => None,
    }
}

fn class(event: Event) -> Option<FailureClass> {
    matches!(event, Event::DeadlinePassed { .. }).then_some(FailureClass::Deadline)
}

fn listening((route, types): (Route, Option<BTreeSet<WorkType>>)) -> Vec<Listening> {
    match types {
        None => vec![(route, None)],
        Some(types) => types
            .into_iter()
            .map(|work_type| (route.clone(), Some(work_type)))
            .collect(),
    }
}
