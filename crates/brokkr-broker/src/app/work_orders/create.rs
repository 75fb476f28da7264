//! Accepting work orders.

mod batch;

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Delivery, Policy};
use brokkr_core::limits::{
    BackoffSeconds, ClaimTimeoutSeconds, DeadlineSeconds, InfrastructureRetriesMax, MaxRetries, Priority,
    StartBySeconds,
};
use brokkr_core::names::WorkType;
use brokkr_core::retry::RetryOn;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;
use serde_json::json;

use self::batch::Accepting;
pub(in crate::app) use self::batch::Creates;
use super::work_in;
use crate::app::App;
use crate::app::caller::Caller;
use crate::app::events::created;
use crate::app::idempotency::{Answer, Idempotency, IdempotencyError};
use crate::app::yaml::{self, YamlError};
use crate::dal::audit::{self, AuditEntry};
use crate::dal::work_orders::{self, NewOrder, QueuedOrder};
use crate::dal::{DalError, Tx, agents, events};

/// What somebody wants done. Every part is valid by itself; what depends on the broker is checked when it is accepted.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Which executor runs it.
    pub work_type: WorkType,
    /// The documents that say what to run.
    pub yaml_content: String,
    /// Whom it is for.
    pub targeting: Targeting,
    /// How often failures and losses may send it back.
    pub max_retries: MaxRetries,
    /// How often failures around the work may send it back besides.
    pub infrastructure_retries_max: InfrastructureRetriesMax,
    /// The base of the pause before a retry. Without it, it is the default, and each pause is shortened at random.
    pub backoff_seconds: Option<BackoffSeconds>,
    /// How long a claim by id holds, and the most that a lease may ask for.
    pub claim_timeout_seconds: ClaimTimeoutSeconds,
    /// Higher is claimed first.
    pub priority: Priority,
    /// The longest that one attempt may run.
    pub deadline_seconds: Option<DeadlineSeconds>,
    /// The latest time at which it may still start.
    pub start_by: Option<StartBy>,
    /// It does not start before this time.
    pub run_at: Option<Timestamp>,
    /// What an attempt without an outcome means.
    pub delivery: Delivery,
    /// The classes of failure that are retried.
    pub retry_on: RetryOn,
    /// Facts for people and tools.
    pub metadata: BTreeMap<String, String>,
}

/// The latest time at which an order may still start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartBy {
    /// A point in time.
    At(Timestamp),
    /// So long after the order was accepted.
    Within(StartBySeconds),
}

impl StartBy {
    fn of_order(self, accepted_at: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Within(seconds) => accepted_at.plus_seconds(seconds.get().into()),
        }
    }
}

/// Why an order was not accepted. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// What to run is not acceptable.
    #[error("the order's content is not acceptable")]
    Yaml(#[from] YamlError),
    /// The metadata is too large or has a blank key.
    #[error("metadata {0}")]
    Metadata(String),
    /// It could never start.
    #[error("the order could never start: {0}")]
    NeverStarts(&'static str),
    /// It is for an agent that does not exist.
    #[error("agent {0} does not exist")]
    UnknownAgent(AgentId),
    /// The idempotency key cannot be used.
    #[error("the request cannot be told from another one")]
    Idempotency(#[from] IdempotencyError),
    /// The database did not do its part.
    #[error("could not accept the order")]
    Storage(#[from] DalError),
}

/// The longest key and value of an order's metadata, in characters.
const METADATA_KEY_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 4_096;

/// Content above this size is checked away from the threads that serve requests.
const CHECK_INLINE_BYTES_MAX: usize = 64 * 1024;

impl App {
    /// Accepts an order: with its routes, its audit and the answer to a repetition of the request in one transaction.
    /// `answer` renders the order as it is answered now and again later.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind.
    pub async fn create_work_order(
        &self,
        caller: &Caller,
        submission: Submission,
        idempotency: Option<Idempotency>,
        answer: impl FnOnce(&QueuedOrder) -> Answer + Send,
    ) -> Result<Answer, CreateError> {
        let submission = self.checked(vec![submission]).await.remove(0)?;
        if idempotency.is_none() {
            let order = self
                .create_with_others(caller, vec![submission])
                .await?
                .remove(0)?;
            return Ok(answer(&order));
        }
        let now = self.now();
        let mut tx = self.db.begin().await?;
        if let Some(replayed) = self.replay(&mut tx, caller, idempotency.as_ref(), now).await? {
            return Ok(replayed);
        }
        startable(&submission, now)?;
        let unknown = unknown_agents(&mut tx, [&submission]).await?;
        known(&submission, &unknown)?;
        let order = self
            .accept(&mut tx, caller, vec![submission], now)
            .await?
            .remove(0);
        let answer = answer(&order);
        self.keep_answer(&mut tx, caller, idempotency.as_ref(), &answer)
            .await?;
        tx.commit().await?;
        self.waiters.wake(work_in(&order));
        Ok(answer)
    }

    /// Checks an order as if it were submitted, and accepts nothing.
    ///
    /// # Errors
    /// [`CreateError`], as [`App::create_work_order`] would answer.
    pub async fn check_work_order(&self, submission: Submission) -> Result<Submission, CreateError> {
        let submission = self.checked(vec![submission]).await.remove(0)?;
        let mut tx = self.db.read().await?;
        startable(&submission, self.now())?;
        let unknown = unknown_agents(&mut tx, [&submission]).await?;
        known(&submission, &unknown)?;
        Ok(submission)
    }

    /// Accepts many orders in one transaction. Each is accepted or refused on its own; the errors of those that were
    /// refused before stay in their places.
    ///
    /// # Errors
    /// [`CreateError::Idempotency`] and [`CreateError::Storage`], after which none was accepted.
    pub async fn create_work_orders<E: From<CreateError> + Send>(
        &self,
        caller: &Caller,
        submissions: Vec<Result<Submission, E>>,
        idempotency: Option<Idempotency>,
        answer: impl FnOnce(Vec<Result<QueuedOrder, E>>) -> Answer + Send,
    ) -> Result<Answer, CreateError> {
        let checked = self.checked_among(submissions).await;
        if idempotency.is_none() {
            let (good, places) = split(checked.into_iter());
            let created = self.create_with_others(caller, good).await?;
            return Ok(answer(fill(created, places)));
        }
        let now = self.now();
        let mut tx = self.db.begin().await?;
        if let Some(replayed) = self.replay(&mut tx, caller, idempotency.as_ref(), now).await? {
            return Ok(replayed);
        }
        let unknown = unknown_agents(&mut tx, checked.iter().flatten()).await?;
        let decide = |submission: Submission| {
            startable(&submission, now)?;
            known(&submission, &unknown)?;
            Ok::<_, CreateError>(submission)
        };
        let (good, places) = split(
            checked
                .into_iter()
                .map(|item| item.and_then(|item| decide(item).map_err(E::from))),
        );
        let orders = self.accept(&mut tx, caller, good, now).await?;
        let work: Vec<_> = orders.iter().filter_map(work_in).collect();
        let answer = answer(merge(orders, places));
        self.keep_answer(&mut tx, caller, idempotency.as_ref(), &answer)
            .await?;
        tx.commit().await?;
        self.waiters.wake(work);
        Ok(answer)
    }

    /// Accepts orders whose contents were checked, in one transaction with what others submit at the same time.
    async fn create_with_others(
        &self,
        caller: &Caller,
        submissions: Vec<Submission>,
    ) -> Result<Vec<Result<QueuedOrder, CreateError>>, DalError> {
        if submissions.is_empty() {
            return Ok(Vec::new());
        }
        let caller = caller.clone();
        let request = Accepting { caller, submissions };
        self.coalescers
            .creates
            .submit(&Creates(self.clone()), request)
            .await
    }

    /// Writes orders that are acceptable, and the audit of it.
    pub(super) async fn accept(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        submissions: Vec<Submission>,
        now: Timestamp,
    ) -> Result<Vec<QueuedOrder>, DalError> {
        let orders: Vec<_> = submissions
            .into_iter()
            .map(|item| self.new_order(caller, item, now))
            .collect();
        self.write_orders(tx, caller, orders, now).await
    }

    pub(in crate::app) async fn write_orders(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        orders: Vec<NewOrder>,
        now: Timestamp,
    ) -> Result<Vec<QueuedOrder>, DalError> {
        work_orders::insert_many(tx, &orders).await?;
        let facts: Vec<_> = orders
            .iter()
            .map(|order| self.created(caller, order, now))
            .collect();
        audit::insert(tx, &facts).await?;
        let events: Vec<_> = orders
            .iter()
            .map(|order| created(&caller.actor(), order, now))
            .collect();
        events::insert(tx, &events).await?;
        Ok(orders.into_iter().map(QueuedOrder::from).collect())
    }

    fn created(&self, caller: &Caller, order: &NewOrder, now: Timestamp) -> AuditEntry {
        let details = json!({"work_type": order.work_type.as_str(), "retry_of": order.retry_of.map(|id| id.to_string())});
        self.fact(caller, now, "work_order.create", order.id, details)
    }

    fn new_order(&self, caller: &Caller, submission: Submission, now: Timestamp) -> NewOrder {
        NewOrder {
            id: WorkOrderId::new(self.next_id(now)),
            created_at: now,
            work_type: submission.work_type,
            yaml_content: submission.yaml_content,
            priority: submission.priority,
            policy: Policy {
                delivery: submission.delivery,
                max_retries: submission.max_retries.get(),
                infrastructure_retries_max: submission.infrastructure_retries_max.get(),
                backoff_seconds: submission.backoff_seconds.unwrap_or_default().get(),
                backoff_jitter: submission.backoff_seconds.is_none(),
                start_by: submission.start_by.map(|start_by| start_by.of_order(now)),
            },
            claim_timeout_seconds: submission.claim_timeout_seconds,
            deadline_seconds: submission.deadline_seconds,
            run_at: submission.run_at,
            retry_on: submission.retry_on,
            metadata: submission.metadata,
            targeting: submission.targeting,
            retry_of: None,
            submitted_by: caller.actor(),
            traceparent: caller.traceparent.clone(),
        }
    }

    /// Checks what needs neither time nor database.
    async fn checked(&self, submissions: Vec<Submission>) -> Vec<Result<Submission, CreateError>> {
        self.checked_among(submissions.into_iter().map(Ok).collect())
            .await
    }

    async fn checked_among<E: From<CreateError> + Send>(
        &self,
        submissions: Vec<Result<Submission, E>>,
    ) -> Vec<Result<Submission, E>> {
        let bytes: usize = submissions
            .iter()
            .flatten()
            .map(|item| item.yaml_content.len())
            .sum();
        let contents: Vec<_> = submissions
            .iter()
            .flatten()
            .map(|item| item.yaml_content.clone())
            .collect();
        let limits = std::sync::Arc::clone(&self.limits);
        let check = move || {
            contents
                .iter()
                .map(|content| yaml::check(content, &limits))
                .collect::<Vec<_>>()
        };
        let verdicts = if bytes > CHECK_INLINE_BYTES_MAX {
            tokio::task::spawn_blocking(check).await.unwrap_or_default()
        } else {
            check()
        };
        let mut verdicts = verdicts.into_iter();
        let mut verdict = |submission: Submission| {
            // Without a verdict the check was cut off by the broker's own stop: nothing unchecked is accepted. It is taken
            // before anything can refuse the order, or the next order would get it.
            verdicts.next().unwrap_or(Err(YamlError::Overrun("parts")))?;
            metadata(&submission.metadata, self.limits.metadata_entries_max)?;
            Ok::<_, CreateError>(submission)
        };
        submissions
            .into_iter()
            .map(|item| item.and_then(|item| verdict(item).map_err(E::from)))
            .collect()
    }
}

fn metadata(entries: &BTreeMap<String, String>, entries_max: usize) -> Result<(), CreateError> {
    let refused = |reason: String| Err(CreateError::Metadata(reason));
    if entries.len() > entries_max {
        return refused(format!(
            "must have at most {entries_max} entries, not {}",
            entries.len()
        ));
    }
    for (key, value) in entries {
        if key.trim().is_empty()
            || key.chars().count() > METADATA_KEY_MAX
            || key.chars().any(char::is_control)
        {
            return refused(format!(
                "keys must have 1 to {METADATA_KEY_MAX} printable characters"
            ));
        }
        if value.chars().count() > METADATA_VALUE_MAX || value.contains('\0') {
            return refused(format!(
                "values must have at most {METADATA_VALUE_MAX} characters and no NUL"
            ));
        }
    }
    Ok(())
}

fn startable(submission: &Submission, now: Timestamp) -> Result<(), CreateError> {
    let start_by = submission.start_by.map(|start_by| start_by.of_order(now));
    match (start_by, submission.run_at) {
        (Some(start_by), _) if start_by < now => Err(CreateError::NeverStarts("start_by has passed")),
        (Some(start_by), Some(run_at)) if start_by < run_at => {
            Err(CreateError::NeverStarts("start_by comes before run_at"))
        }
        _ => Ok(()),
    }
}

/// The agents among the targets that do not exist.
pub(super) async fn unknown_agents<'s>(
    tx: &mut Tx,
    submissions: impl IntoIterator<Item = &'s Submission>,
) -> Result<BTreeSet<AgentId>, DalError> {
    let named = submissions
        .into_iter()
        .flat_map(|submission| submission.targeting.agents().iter().copied());
    unknown_among(tx, named.collect()).await
}

pub(in crate::app) async fn unknown_among(
    tx: &mut Tx,
    mut named: BTreeSet<AgentId>,
) -> Result<BTreeSet<AgentId>, DalError> {
    let ids: Vec<_> = named.iter().copied().collect();
    for existing in agents::existing(tx, &ids).await? {
        named.remove(&existing);
    }
    Ok(named)
}

fn known(submission: &Submission, unknown: &BTreeSet<AgentId>) -> Result<(), CreateError> {
    match submission
        .targeting
        .agents()
        .iter()
        .find(|agent| unknown.contains(agent))
    {
        Some(agent) => Err(CreateError::UnknownAgent(*agent)),
        None => Ok(()),
    }
}

/// The good ones, and for each place whether a good one belongs there.
fn split<T, E>(items: impl Iterator<Item = Result<T, E>>) -> (Vec<T>, Vec<Result<(), E>>) {
    let mut good = Vec::new();
    let places = items.map(|item| item.map(|item| good.push(item))).collect();
    (good, places)
}

fn merge<T, E>(good: Vec<T>, places: Vec<Result<(), E>>) -> Vec<Result<T, E>> {
    placed(&mut good.into_iter(), places)
}

/// Takes the next good one for each place of one.
fn placed<T, E>(good: &mut impl Iterator<Item = T>, places: Vec<Result<(), E>>) -> Vec<Result<T, E>> {
    let mut next = |place: Result<(), E>| match place {
        Ok(()) => good.next().map(Ok),
        Err(error) => Some(Err(error)),
    };
    places.into_iter().filter_map(&mut next).collect()
}

/// As [`merge`], where the good ones may still have been refused.
fn fill<T, E: From<CreateError>>(
    good: Vec<Result<T, CreateError>>,
    places: Vec<Result<(), E>>,
) -> Vec<Result<T, E>> {
    merge(good, places)
        .into_iter()
        .map(|item| item.and_then(|item| item.map_err(E::from)))
        .collect()
}
