//! How attempts end: reports of success and failure, and orders that are given back.

mod batch;

use std::collections::{BTreeMap, HashMap};

use brokkr_core::attempt::{Attempt, Lease};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Event, IllegalEvent, Life, State};
use brokkr_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub(super) use self::batch::Endings;
use self::batch::Reported;
use super::App;
use super::caller::{Caller, Role};
use super::steps::{Actor, Steps};
use crate::dal::attempts::{self, EndedAttempt, Report};
use crate::dal::log::{self, LogEntry};
use crate::dal::work_orders::{self, OrderHead};
use crate::dal::{DalError, Tx};
use crate::guards::Guard;

/// What somebody reports of an order's attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingReport {
    /// The order.
    pub id: WorkOrderId,
    /// The attempt that ended; without it, the current one of whoever reports.
    pub attempt: Option<Attempt>,
    /// Whether the work was done.
    pub success: bool,
    /// Whether a failure may be retried, when that was said.
    pub retryable: Option<bool>,
    /// What else there is to tell.
    pub report: Report,
}

/// What a report led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The order is in the log.
    Logged(Box<LogEntry>),
    /// The failure was recorded, and the order will be tried again.
    RetryScheduled,
}

/// Why a report changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// There is no such order.
    #[error("there is no such work order")]
    Absent,
    /// The reporter is an agent that does not hold the order.
    #[error("the agent does not hold the work order")]
    NotHolder,
    /// Nobody holds the order.
    #[error("nobody holds the work order")]
    NotClaimed,
    /// Another attempt is current, or none: the one that was named is over.
    #[error("the attempt is not the current one")]
    StaleAttempt,
    /// The order has ended, and not as reported.
    #[error("the work order has ended otherwise")]
    EndedOtherwise,
    /// The database did not do its part.
    #[error("could not record the ending")]
    Storage(#[from] DalError),
}

/// Why an order was not taken back from its holder.
pub type ReleaseError = EndError;

/// The verdict on one report, before anything is written.
enum Verdict {
    /// It ends the current attempt.
    Ends,
    /// It came before, and has its answer.
    Repeated(Ended),
    /// The same report stands earlier in this batch.
    SameAs(usize),
    /// It changes nothing.
    Refused(EndError),
}

impl App {
    /// Records the outcome of one order.
    ///
    /// # Errors
    /// [`EndError`]; nothing is changed then.
    pub async fn complete_work_order(
        &self,
        caller: &Caller,
        report: EndingReport,
    ) -> Result<Ended, EndError> {
        self.end_work_orders(caller, vec![report])
            .await?
            .pop()
            .unwrap_or(Err(EndError::Absent))
    }

    /// Records the outcomes of many orders in one transaction. Each is recorded or refused on its own, as if it had been
    /// reported alone.
    ///
    /// # Errors
    /// When none could be recorded.
    pub async fn end_work_orders(
        &self,
        caller: &Caller,
        reports: Vec<EndingReport>,
    ) -> Result<Vec<Result<Ended, EndError>>, DalError> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let caller = caller.clone();
        let request = Reported { caller, reports };
        self.coalescers
            .endings
            .submit(&Endings(self.clone()), request)
            .await
    }

    /// Gives an order back that an agent holds and has not run. It uses up no retry.
    ///
    /// # Errors
    /// [`EndError`]; nothing is changed then.
    pub async fn release_work_order(
        &self,
        caller: &Caller,
        agent: AgentId,
        id: WorkOrderId,
        attempt: Attempt,
        reason: Option<String>,
    ) -> Result<(), ReleaseError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let Some(head) = work_orders::get_for_update(&mut tx, &[id]).await?.pop() else {
            let Some(entry) = log::get(&mut tx, id).await? else {
                return Err(EndError::Absent);
            };
            let held = entry.claimed_by == Some(agent);
            return Err(if held {
                EndError::StaleAttempt
            } else {
                EndError::NotHolder
            });
        };
        if holder(&head) != Some(agent) {
            let past = attempts::find(&mut tx, id, attempt).await?;
            let held = past.is_some_and(|past| past.agent == agent);
            return Err(if held {
                EndError::StaleAttempt
            } else {
                EndError::NotHolder
            });
        }
        let event = Event::Release { attempt };
        let life = head.life().apply(event).map_err(|_| EndError::StaleAttempt)?;
        let mut steps = Steps::new(self, Actor::Caller(caller), now);
        steps.add(
            &head,
            event,
            life,
            Report {
                message: reason,
                ..Report::default()
            },
            None,
        );
        let settled = steps.write(&mut tx).await?;
        tx.commit().await?;
        self.settled(settled);
        Ok(())
    }
}

fn holder(head: &OrderHead) -> Option<AgentId> {
    head.claim.as_ref().map(|claim| claim.agent)
}

/// What is known of the orders of a batch of reports: locked, so that it stays right until the commit.
struct Seen {
    heads: HashMap<WorkOrderId, OrderHead>,
    entries: HashMap<WorkOrderId, LogEntry>,
    attempts: BTreeMap<(WorkOrderId, Attempt), EndedAttempt>,
}

impl Seen {
    async fn of<'r>(
        tx: &mut Tx,
        reports: impl Iterator<Item = &'r EndingReport> + Clone,
    ) -> Result<Self, DalError> {
        let ids: Vec<_> = reports.clone().map(|report| report.id).collect();
        let heads: HashMap<_, _> = work_orders::get_for_update(tx, &ids)
            .await?
            .into_iter()
            .map(|head| (head.id, head))
            .collect();
        let gone: Vec<_> = ids.iter().filter(|id| !heads.contains_key(id)).copied().collect();
        let entries: HashMap<_, _> = log::get_many(tx, &gone)
            .await?
            .into_iter()
            .map(|entry| (entry.id, entry))
            .collect();
        let mut seen = Self {
            heads,
            entries,
            attempts: BTreeMap::new(),
        };
        // The current attempt has not ended, so it is not looked for: the common case reads one table.
        let past: Vec<_> = reports.filter_map(|report| seen.past_attempt(report)).collect();
        for attempt in attempts::find_many(tx, &past).await? {
            seen.attempts.insert((attempt.id, attempt.attempt), attempt);
        }
        Ok(seen)
    }

    /// The attempt that a report is about, unless that is a current one.
    fn past_attempt(&self, report: &EndingReport) -> Option<(WorkOrderId, Attempt)> {
        let (latest, claimed) = match (self.heads.get(&report.id), self.entries.get(&report.id)) {
            (Some(head), _) => (head.attempt(), head.claim.is_some()),
            (None, Some(entry)) => (entry.attempt, false),
            (None, None) => return None,
        };
        let about = report.attempt.unwrap_or(latest);
        let current = claimed && about == latest;
        (!current).then_some((report.id, about))
    }

    fn judge_all<'r>(&self, request: &'r Reported, steps: &mut Steps<'r>, now: Timestamp) -> Vec<Verdict> {
        let Reported { caller, reports } = request;
        steps.act_as(Actor::Caller(caller));
        // Where the report stands that ends an order's attempt. One that changes nothing stands in nobody's way.
        let mut counted: HashMap<WorkOrderId, usize> = HashMap::with_capacity(reports.len());
        let judge = |(index, report): (usize, &EndingReport)| {
            let earlier = counted.get(&report.id).copied();
            match (self.heads.get(&report.id), earlier) {
                (Some(head), None) if may_end(caller, head, report) => {
                    let verdict = end(head, report, steps, now);
                    if !matches!(verdict, Verdict::Refused(_)) {
                        counted.insert(report.id, index);
                    }
                    verdict
                }
                (_, Some(earlier)) if reports[earlier].attempt == report.attempt => {
                    again(&reports[earlier], report, earlier)
                }
                _ => self.past(caller, report),
            }
        };
        reports.iter().enumerate().map(judge).collect()
    }

    /// Judges a report that is not about a current attempt of its reporter.
    fn past(&self, caller: &Caller, report: &EndingReport) -> Verdict {
        let entry = self.entries.get(&report.id);
        if entry.is_none() && !self.heads.contains_key(&report.id) {
            return Verdict::Refused(EndError::Absent);
        }
        let past = self.past_attempt(report).and_then(|key| self.attempts.get(&key));
        let own = |agent: AgentId| match caller.role {
            Role::Agent(id) => id == agent,
            _ => true,
        };
        let Some(past) = past.filter(|past| own(past.agent)) else {
            let holds = self.heads.get(&report.id).and_then(holder).is_some_and(own);
            return Verdict::Refused(match (caller.role, report.attempt) {
                (Role::Agent(_), _) if !holds => EndError::NotHolder,
                (_, Some(_)) => EndError::StaleAttempt,
                (_, None) => EndError::NotClaimed,
            });
        };
        if past.outcome_hash.as_deref() == Some(&outcome_hash(report)) {
            return Verdict::Repeated(match entry.filter(|entry| entry.attempt == past.attempt) {
                Some(entry) => Ended::Logged(Box::new(entry.clone())),
                None => Ended::RetryScheduled,
            });
        }
        Verdict::Refused(match (caller.role, report.attempt, entry) {
            (Role::Agent(_), _, Some(entry)) if entry.attempt == past.attempt => EndError::EndedOtherwise,
            (Role::Agent(_), None, _) => EndError::NotHolder,
            (_, None, _) => EndError::NotClaimed,
            (_, Some(_), _) => EndError::StaleAttempt,
        })
    }
}

/// Judges a second report about an attempt that one before it in the same request ends.
fn again(earlier: &EndingReport, report: &EndingReport, at: usize) -> Verdict {
    if outcome_hash(earlier) == outcome_hash(report) {
        Verdict::SameAs(at)
    } else {
        Verdict::Refused(EndError::StaleAttempt)
    }
}

/// Whether the report is about the current attempt and its reporter may end that.
fn may_end(caller: &Caller, head: &OrderHead, report: &EndingReport) -> bool {
    let Some(holder) = holder(head) else {
        return !Guard::StatusOfEnding.stands() && report.attempt == Some(head.attempt());
    };
    let own = match caller.role {
        Role::Agent(id) => id == holder,
        _ => true,
    };
    let current = |attempt| attempt == head.attempt() || !Guard::AttemptOfEnding.stands();
    own && report.attempt.is_none_or(current)
}

fn end(head: &OrderHead, report: &EndingReport, steps: &mut Steps<'_>, now: Timestamp) -> Verdict {
    let attempt = head.attempt();
    let event = if report.success {
        Event::Succeed { attempt }
    } else {
        let class = report.report.class;
        Event::Fail {
            attempt,
            class,
            retry: head.retry_on.budget(report.retryable, class),
            now,
            random: steps.random(),
        }
    };
    match life_of(head, now).apply(event) {
        Ok(after) => {
            steps.add(head, event, after, told(report), Some(outcome_hash(report)));
            match after.state {
                State::RetryPending { .. } => Verdict::Repeated(Ended::RetryScheduled),
                _ => Verdict::Ends,
            }
        }
        Err(IllegalEvent { .. }) => Verdict::Refused(EndError::StaleAttempt),
    }
}

/// The life of the order, which is taken for a claimed one where the guard of the status is missing.
fn life_of(head: &OrderHead, now: Timestamp) -> Life {
    let life = head.life();
    if Guard::StatusOfEnding.stands() || holder(head).is_some() {
        return life;
    }
    let state = State::Claimed(Lease {
        agent: AgentId::new(Uuid::nil()),
        expires_at: now,
        cancel_requested: false,
    });
    Life { state, ..life }
}

/// A success has no class of failure, whatever was sent.
fn told(report: &EndingReport) -> Report {
    let class = report.report.class.filter(|_| !report.success);
    Report {
        class,
        ..report.report.clone()
    }
}

/// Knows the same outcome when it is reported again. The words may differ: what happened is the same.
fn outcome_hash(report: &EndingReport) -> String {
    let class = told(report).class.map_or("", |class| class.as_str());
    let text = format!(
        "{}|{class}|{:?}|{:?}",
        report.success, report.retryable, report.report.exit_code
    );
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn answers(
    reports: &[EndingReport],
    verdicts: Vec<Verdict>,
    entries: &[LogEntry],
) -> Vec<Result<Ended, EndError>> {
    let mut answers: Vec<Result<Ended, EndError>> = Vec::with_capacity(verdicts.len());
    for (report, verdict) in reports.iter().zip(verdicts) {
        answers.push(match verdict {
            Verdict::Ends => match entries.binary_search_by_key(&report.id, |entry| entry.id) {
                Ok(at) => Ok(Ended::Logged(Box::new(entries[at].clone()))),
                Err(_) => Err(EndError::Absent),
            },
            Verdict::Repeated(ended) => Ok(ended),
            Verdict::SameAs(earlier) => match &answers[earlier] {
                Ok(ended) => Ok(ended.clone()),
                Err(_) => Err(EndError::StaleAttempt),
            },
            Verdict::Refused(error) => Err(error),
        });
    }
    answers
}
