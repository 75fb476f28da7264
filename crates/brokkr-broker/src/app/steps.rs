//! Steps in the lives of orders that are locked: decided by the pure model, written in batches, counted.
//!
//! Whatever ends an attempt or an order goes through here: reports, releases, cancellations, the sweeps and the removal of an
//! agent. A step that the database did not take fails the whole transaction: then model and store disagree.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::{AttemptEnding, Ending, Event, Life, State};
use brokkr_core::retry::Budget;
use brokkr_core::time::Timestamp;
use serde_json::json;

use super::App;
use super::audit::BROKER;
use super::caller::Caller;
use super::events::{Outcome, labelled, labels_of};
use super::work_orders::work_on;
use crate::dal::attempts::{self, EndedAttempt, Report};
use crate::dal::audit::{self, AuditEntry};
use crate::dal::endings::{self, EndingOrder, Retry, Return, Returned};
use crate::dal::events::{self, OrderEvent};
use crate::dal::log::LogEntry;
use crate::dal::routes::Routed;
use crate::dal::work_orders::OrderHead;
use crate::dal::{DalError, Tx};

/// What is told of a failure that came without words.
const UNKNOWN_ERROR: &str = "Unknown error";

/// Who makes the steps, for the audit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Actor<'a> {
    /// Somebody who called.
    Caller(&'a Caller),
    /// The broker, in a sweep.
    Broker,
}

impl Actor<'_> {
    /// The actor in one word.
    pub(super) fn word(self) -> String {
        match self {
            Self::Caller(caller) => caller.actor(),
            Self::Broker => BROKER.to_owned(),
        }
    }
}

/// Steps to be written together.
pub(super) struct Steps<'a> {
    app: &'a App,
    actor: Actor<'a>,
    now: Timestamp,
    ending: Vec<EndingOrder>,
    retries: Vec<Retry>,
    returns: Vec<Return>,
    attempts: Vec<EndedAttempt>,
    facts: Vec<AuditEntry>,
    events: Vec<OrderEvent>,
}

/// What the written steps led to.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The orders that ended, in the order of their ids.
    pub(super) entries: Vec<LogEntry>,
    /// The orders that can be claimed again.
    pub(super) reopened: Vec<Routed>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(app: &'a App, actor: Actor<'a>, now: Timestamp) -> Self {
        Self {
            app,
            actor,
            now,
            ending: Vec::new(),
            retries: Vec::new(),
            returns: Vec::new(),
            attempts: Vec::new(),
            facts: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Whoever makes the steps from now on.
    pub(super) fn act_as(&mut self, actor: Actor<'a>) {
        self.actor = actor;
    }

    /// A random number for a step.
    pub(super) fn random(&self) -> u64 {
        u64::from_le_bytes(self.app.random_bytes())
    }

    /// Adds the step from `head` to `after`, which the model answered to `event`. `report` is what there is to tell of it,
    /// and `outcome_hash` knows the same report when it comes again.
    pub(super) fn add(
        &mut self,
        head: &OrderHead,
        event: Event,
        after: Life,
        report: Report,
        outcome_hash: Option<String>,
    ) {
        debug_assert!(
            after.attempt == head.attempt(),
            "no step but a claim makes an attempt"
        );
        debug_assert!(after.within_budgets(), "no order cycles for ever");
        let (id, attempt) = (head.id, head.attempt());
        let outcome = Outcome {
            class: report.class,
            exit_code: report.exit_code,
        };
        self.events.extend(
            self.app
                .stepped(self.actor, self.now, head, event, after, outcome),
        );
        match after.state {
            State::Ended(ending) => {
                let status = head.status();
                self.ending.push(EndingOrder {
                    id,
                    status,
                    attempt,
                    ending,
                    report,
                    attempt_ending: head
                        .claim
                        .is_some()
                        .then(|| (attempt_ending(event, after), outcome_hash)),
                });
                self.tell(id, event, after);
                return;
            }
            State::RetryPending { not_before } => {
                let last_error = report.message.clone().unwrap_or_else(|| UNKNOWN_ERROR.to_owned());
                let before = head.life().infrastructure_retry_count;
                self.retries.push(Retry {
                    id,
                    attempt,
                    budget: if after.infrastructure_retry_count > before {
                        Budget::Infrastructure
                    } else {
                        Budget::Retries
                    },
                    not_before,
                    last_error,
                });
            }
            State::Pending => {
                let lost = after.lost_count > head.life().lost_count;
                let reason = if lost { Returned::Lost } else { Returned::Released };
                self.returns.push(Return { id, attempt, reason });
            }
            State::Scheduled { .. } | State::Claimed(_) | State::Deleted => return,
        }
        self.tell(id, event, after);
        self.end_attempt(head, event, after, report, outcome_hash);
    }

    fn tell(&mut self, id: WorkOrderId, event: Event, after: Life) {
        let details =
            json!({"attempt": after.attempt.number(), "event": event.name(), "status": after.state.name()});
        let action = match event {
            Event::Cancel => "work_order.cancel",
            Event::Release { .. } => "work_order.release",
            Event::LeasePassed { .. }
            | Event::DeadlinePassed { .. }
            | Event::HolderRemoved
            | Event::Restored => "work_order.take_back",
            Event::StartByPassed { .. } => "work_order.expire",
            _ => "work_order.complete",
        };
        self.facts.push(match self.actor {
            Actor::Caller(caller) => self.app.fact(caller, self.now, action, id, details),
            Actor::Broker => self.app.own_fact(self.now, action, id, details),
        });
    }

    fn end_attempt(
        &mut self,
        head: &OrderHead,
        event: Event,
        after: Life,
        report: Report,
        outcome_hash: Option<String>,
    ) {
        let Some(claim) = &head.claim else { return };
        self.attempts.push(EndedAttempt {
            id: head.id,
            attempt: head.attempt(),
            agent: claim.agent,
            instance_id: claim.instance_id.clone(),
            started_at: claim.claimed_at,
            ended_at: self.now,
            ending: attempt_ending(event, after),
            report,
            outcome_hash,
        });
    }

    /// Writes all steps.
    ///
    /// # Errors
    /// [`DalError::Miscounted`] when the database did not take every one of them; the transaction is to be dropped.
    pub(super) async fn write(self, tx: &mut Tx) -> Result<Settled, DalError> {
        let entries = endings::move_to_log_many(tx, &self.ending, self.now).await?;
        counted("endings.move_to_log", self.ending.len(), entries.len())?;
        let retried = endings::schedule_retry_many(tx, &self.retries, self.now).await?;
        counted("endings.schedule_retries", self.retries.len(), retried.len())?;
        let reopened = endings::return_to_pending_many(tx, &self.returns, self.now).await?;
        counted("endings.return_to_pending", self.returns.len(), reopened.len())?;
        attempts::insert_many(tx, &self.attempts).await?;
        audit::insert(tx, &self.facts).await?;
        let labels = labels_of(&entries, &retried, &reopened);
        events::insert(tx, &labelled(self.events, labels)).await?;
        Ok(Settled { entries, reopened })
    }
}

fn attempt_ending(event: Event, after: Life) -> AttemptEnding {
    let cancelled = after.state == State::Ended(Ending::Cancelled);
    match event {
        Event::Succeed { .. } => AttemptEnding::Succeeded,
        Event::Fail { .. } | Event::Release { .. } if cancelled => AttemptEnding::Cancelled,
        Event::Fail { .. } => AttemptEnding::Failed,
        Event::Release { .. } => AttemptEnding::Released,
        // Even when the order ends as cancelled: whether its work was stopped is not known.
        _ => AttemptEnding::Lost,
    }
}

fn counted(statement: &'static str, expected: usize, changed: usize) -> Result<(), DalError> {
    if expected == changed {
        return Ok(());
    }
    Err(DalError::Miscounted {
        statement,
        expected: expected as u64,
        changed: changed as u64,
    })
}

impl App {
    /// Tells whoever waits, after the commit.
    pub(super) fn settled(&self, settled: Settled) {
        self.ended(&settled.entries);
        self.waiters.wake(work_on(settled.reopened));
    }

    /// Counts orders that ended, and tells those who follow them, after the commit.
    pub(super) fn ended<'e>(&self, entries: impl IntoIterator<Item = &'e LogEntry>) {
        for entry in entries {
            self.metrics().ended(entry.ending.as_str(), 1);
            self.followers.tell([entry.id]);
        }
    }
}
