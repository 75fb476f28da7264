//! Orders of the queue, as they are read.

use std::collections::BTreeMap;
use std::str::FromStr;

use brokkr_core::attempt::{Attempt, Lease};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Life, Policy, State};
use brokkr_core::limits::{ClaimTimeoutSeconds, DeadlineSeconds, Priority};
use brokkr_core::names::WorkType;
use brokkr_core::retry::{RetryOn, UnknownWord};
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;

use super::json;
use crate::dal::routes::Routed;
use crate::dal::{DalError, Row};

/// Everything about an order but what it says to run, which may be large.
macro_rules! head_columns {
    () => {
        "work_orders.id, work_orders.created_at, work_orders.updated_at, work_orders.work_type, work_orders.status,
         work_orders.priority, work_orders.delivery, work_orders.claim_timeout_seconds, work_orders.max_retries,
         work_orders.retry_count, work_orders.lost_count, work_orders.backoff_seconds, work_orders.next_retry_after,
         work_orders.last_error, work_orders.last_error_at, work_orders.attempt, work_orders.claimed_by,
         work_orders.claimed_at, work_orders.claim_instance_id, work_orders.lease_expires_at,
         work_orders.cancel_requested_at, work_orders.cancel_reason, work_orders.deadline_seconds,
         work_orders.start_by, work_orders.run_at, work_orders.retry_on, work_orders.retry_of,
         work_orders.submitted_by, work_orders.traceparent, work_orders.infrastructure_retries_max,
         work_orders.infrastructure_retry_count, work_orders.backoff_jitter"
    };
}

/// A whole order.
macro_rules! order_columns {
    () => {
        concat!(
            $crate::dal::work_orders::head_columns!(),
            ", work_orders.yaml_content, work_orders.metadata, work_orders.targeting"
        )
    };
}

pub(in crate::dal) use {head_columns, order_columns};

/// Where an order of the queue is, in the contract's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueStatus {
    /// Waits for an agent.
    Pending,
    /// An agent holds it.
    Claimed,
    /// Waits before it is tried again.
    RetryPending,
    /// Waits for its time.
    Scheduled,
}

impl QueueStatus {
    /// Every status, in the order in which the documents list them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Claimed, Self::RetryPending, Self::Scheduled];

    /// The word in the contract and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Claimed => "CLAIMED",
            Self::RetryPending => "RETRY_PENDING",
            Self::Scheduled => "SCHEDULED",
        }
    }
}

impl FromStr for QueueStatus {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "status of the queue",
                allowed: "PENDING, CLAIMED, RETRY_PENDING, SCHEDULED",
                found: text.to_owned(),
            })
    }
}

/// Who holds an order, since when, and whether somebody wants it stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The agent.
    pub agent: AgentId,
    /// The agent's process, when it said which one it is.
    pub instance_id: Option<String>,
    /// When it claimed the order.
    pub claimed_at: Timestamp,
    /// Until when the claim holds unless it is renewed.
    pub lease_expires_at: Timestamp,
    /// The wish that the work be stopped.
    pub cancel: Option<CancelRequest>,
}

/// Somebody wants a claimed order stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// When that was asked for, the first time.
    pub requested_at: Timestamp,
    /// Why, when that was said.
    pub reason: Option<String>,
}

/// What the latest failure said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// In words.
    pub message: String,
    /// When it was reported.
    pub at: Timestamp,
}

/// An order of the queue without what it says to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderHead {
    /// Names the order.
    pub id: WorkOrderId,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed; renewals do not count.
    pub updated_at: Timestamp,
    /// Which executor runs it.
    pub work_type: WorkType,
    /// Higher is claimed first.
    pub priority: Priority,
    /// How long a claim by id holds, and the most that a claim or a renewal gets.
    pub claim_timeout_seconds: ClaimTimeoutSeconds,
    /// The longest that one attempt may run.
    pub deadline_seconds: Option<DeadlineSeconds>,
    /// It does not start before this time.
    pub run_at: Option<Timestamp>,
    /// The classes of failure that are retried.
    pub retry_on: RetryOn,
    /// Where it is, by which rules.
    pub life: Life,
    /// Who holds it; there is one exactly while it is claimed.
    pub claim: Option<Claim>,
    /// What the latest failure said.
    pub last_error: Option<LastError>,
    /// The ended order that this one repeats.
    pub retry_of: Option<WorkOrderId>,
    /// Who submitted it.
    pub submitted_by: String,
    /// The W3C trace context of its submission.
    pub traceparent: Option<String>,
}

/// An order of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedOrder {
    /// Everything but what it says to run.
    pub head: OrderHead,
    /// The documents that say what to run.
    pub yaml_content: String,
    /// Facts for people and tools.
    pub metadata: BTreeMap<String, String>,
    /// Whom it is for.
    pub targeting: Targeting,
}

impl OrderHead {
    /// Where the order is in its life, for the transition function.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.life
    }

    /// The number of the latest attempt.
    #[must_use]
    pub const fn attempt(&self) -> Attempt {
        self.life.attempt
    }

    /// The time at which the current attempt must have ended, if it has a deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let claim = self.claim.as_ref()?;
        let seconds = self.deadline_seconds?.get();
        Some(claim.claimed_at.plus_seconds(seconds.into()))
    }

    /// Where the order is, in one word.
    ///
    /// The life of an order that was read from the queue is never an ended one.
    #[must_use]
    pub const fn status(&self) -> QueueStatus {
        match self.life.state {
            State::Claimed(_) => QueueStatus::Claimed,
            State::RetryPending { .. } => QueueStatus::RetryPending,
            State::Scheduled { .. } => QueueStatus::Scheduled,
            State::Pending | State::Ended(_) | State::Deleted => QueueStatus::Pending,
        }
    }
}

impl QueuedOrder {
    /// Names the order.
    #[must_use]
    pub const fn id(&self) -> WorkOrderId {
        self.head.id
    }

    /// Where the order is in its life, for the transition function.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.head.life
    }
}

impl From<&QueuedOrder> for Routed {
    fn from(order: &QueuedOrder) -> Self {
        Self::new(
            order.head.id,
            &order.head.work_type,
            order.head.priority,
            &order.targeting,
        )
    }
}

/// Reads what the statement answers of an order in `id`, `work_type`, `priority` and `targeting`.
impl TryFrom<&Row> for Routed {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        let targeting = row.get_with("targeting", |text: String| json::read_targeting(&text))?;
        let priority = row.get_with("priority", Priority::new)?;
        Ok(Self::new(
            row.get("id")?,
            &row.get("work_type")?,
            priority,
            &targeting,
        ))
    }
}

impl TryFrom<&Row> for OrderHead {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        let claim = claim(row)?;
        Ok(Self {
            id: row.get("id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            work_type: row.get("work_type")?,
            priority: row.get_with("priority", Priority::new)?,
            claim_timeout_seconds: row.get_with("claim_timeout_seconds", ClaimTimeoutSeconds::new)?,
            deadline_seconds: row.get_with("deadline_seconds", |seconds: Option<i64>| {
                seconds.map(DeadlineSeconds::new).transpose()
            })?,
            run_at: row.get("run_at")?,
            retry_on: row.get_with("retry_on", |text: String| json::read_retry_on(&text))?,
            life: life(row, claim.as_ref())?,
            claim,
            last_error: last_error(row)?,
            retry_of: row.get("retry_of")?,
            submitted_by: row.get("submitted_by")?,
            traceparent: row.get("traceparent")?,
        })
    }
}

impl TryFrom<&Row> for QueuedOrder {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            head: OrderHead::try_from(row)?,
            yaml_content: row.get("yaml_content")?,
            metadata: row.get_with("metadata", |text: String| json::read_metadata(&text))?,
            targeting: row.get_with("targeting", |text: String| json::read_targeting(&text))?,
        })
    }
}

/// A failure's message and its time, which are there together.
pub(in crate::dal) fn last_error(row: &Row) -> Result<Option<LastError>, DalError> {
    let Some(message) = row.get("last_error")? else {
        return Ok(None);
    };
    Ok(Some(LastError {
        message,
        at: row.get("last_error_at")?,
    }))
}

/// A wish to cancel, and why.
pub(in crate::dal) fn cancel_request(row: &Row) -> Result<Option<CancelRequest>, DalError> {
    let Some(requested_at) = row.get("cancel_requested_at")? else {
        return Ok(None);
    };
    Ok(Some(CancelRequest {
        requested_at,
        reason: row.get("cancel_reason")?,
    }))
}

fn claim(row: &Row) -> Result<Option<Claim>, DalError> {
    let Some(agent) = row.get("claimed_by")? else {
        return Ok(None);
    };
    Ok(Some(Claim {
        agent,
        instance_id: row.get("claim_instance_id")?,
        claimed_at: row.get("claimed_at")?,
        lease_expires_at: row.get("lease_expires_at")?,
        cancel: cancel_request(row)?,
    }))
}

fn life(row: &Row, claim: Option<&Claim>) -> Result<Life, DalError> {
    let status = row.get_with("status", |text: String| QueueStatus::from_str(&text))?;
    let state = match (status, claim) {
        (QueueStatus::Pending, None) => State::Pending,
        (QueueStatus::Claimed, Some(claim)) => State::Claimed(Lease {
            agent: claim.agent,
            expires_at: claim.lease_expires_at,
            cancel_requested: claim.cancel.is_some(),
        }),
        (QueueStatus::RetryPending, None) => State::RetryPending {
            not_before: row.get("next_retry_after")?,
        },
        (QueueStatus::Scheduled, None) => State::Scheduled {
            run_at: row.get("run_at")?,
        },
        (_, Some(_)) => return Err(row.corrupt("claimed_by", "only a claimed order has a holder")),
        (_, None) => return Err(row.corrupt("claimed_by", "a claimed order has a holder")),
    };
    Ok(Life {
        policy: Policy {
            delivery: row.get("delivery")?,
            max_retries: row.get("max_retries")?,
            infrastructure_retries_max: row.get("infrastructure_retries_max")?,
            backoff_seconds: row.get("backoff_seconds")?,
            backoff_jitter: row.get("backoff_jitter")?,
            start_by: row.get("start_by")?,
        },
        attempt: row.get("attempt")?,
        retry_count: row.get("retry_count")?,
        infrastructure_retry_count: row.get("infrastructure_retry_count")?,
        lost_count: row.get("lost_count")?,
        state,
    })
}
