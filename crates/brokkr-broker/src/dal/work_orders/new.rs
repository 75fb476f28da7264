//! Orders that are accepted.

use std::collections::BTreeMap;

use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::{Life, Policy, State};
use brokkr_core::limits::{ClaimTimeoutSeconds, DeadlineSeconds, Priority};
use brokkr_core::names::WorkType;
use brokkr_core::retry::RetryOn;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;

use super::json::{write_metadata, write_retry_on, write_targeting};
use super::row::{OrderHead, QueuedOrder};
use crate::dal::routes::Routed;
use crate::dal::{Value, params};

/// An order that was just accepted. Its checks are behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// A new id, made at `created_at`.
    pub id: WorkOrderId,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Which executor runs it.
    pub work_type: WorkType,
    /// The documents that say what to run.
    pub yaml_content: String,
    /// Higher is claimed first.
    pub priority: Priority,
    /// The rules of its life.
    pub policy: Policy,
    /// How long a claim by id holds, and the most that a claim or a renewal gets.
    pub claim_timeout_seconds: ClaimTimeoutSeconds,
    /// The longest that one attempt may run.
    pub deadline_seconds: Option<DeadlineSeconds>,
    /// It does not start before this time. One that is not after `created_at` makes it PENDING at once.
    pub run_at: Option<Timestamp>,
    /// The classes of failure that are retried.
    pub retry_on: RetryOn,
    /// Facts for people and tools.
    pub metadata: BTreeMap<String, String>,
    /// Whom it is for.
    pub targeting: Targeting,
    /// The ended order that this one repeats.
    pub retry_of: Option<WorkOrderId>,
    /// Who submitted it.
    pub submitted_by: String,
    /// The W3C trace context of its submission.
    pub traceparent: Option<String>,
}

impl From<NewOrder> for QueuedOrder {
    /// The order as reading it back would answer it.
    fn from(order: NewOrder) -> Self {
        Self {
            head: OrderHead {
                id: order.id,
                created_at: order.created_at,
                updated_at: order.created_at,
                work_type: order.work_type,
                priority: order.priority,
                claim_timeout_seconds: order.claim_timeout_seconds,
                deadline_seconds: order.deadline_seconds,
                run_at: order.run_at,
                retry_on: order.retry_on,
                life: Life::begin(order.policy, order.created_at, order.run_at),
                claim: None,
                last_error: None,
                retry_of: order.retry_of,
                submitted_by: order.submitted_by,
                traceparent: order.traceparent,
            },
            yaml_content: order.yaml_content,
            metadata: order.metadata,
            targeting: order.targeting,
        }
    }
}

impl NewOrder {
    /// Its routes, unless it has to wait for its time.
    pub(super) fn routed(&self) -> Option<Routed> {
        let state = Life::begin(self.policy, self.created_at, self.run_at).state;
        (state == State::Pending)
            .then(|| Routed::new(self.id, &self.work_type, self.priority, &self.targeting))
    }

    /// In the order of the columns of the statement that accepts it.
    pub(super) fn values(&self) -> Vec<Value> {
        let policy = &self.policy;
        params![
            self.id,
            self.created_at,
            &self.work_type,
            &self.yaml_content,
            Life::begin(*policy, self.created_at, self.run_at).state.name(),
            i64::from(self.priority.get()),
            policy.delivery,
            self.claim_timeout_seconds.get(),
            policy.max_retries,
            policy.backoff_seconds,
            self.deadline_seconds.map(DeadlineSeconds::get),
            policy.start_by,
            self.run_at,
            write_retry_on(&self.retry_on),
            write_metadata(&self.metadata),
            write_targeting(&self.targeting),
            self.retry_of,
            &self.submitted_by,
            self.traceparent.as_deref(),
            policy.infrastructure_retries_max,
            policy.backoff_jitter,
        ]
    }
}
