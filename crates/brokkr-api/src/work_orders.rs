//! Work orders: how they are submitted and how they are seen.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::{MetadataKey, MetadataValue, RetryClass, WorkType};
use crate::whole;
use crate::{FailureClass, KnownFields, Problem, Targeting, TargetingRequest, Time};

/// Submits a piece of work. At least one target is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateWorkOrder {
    /// Which executor runs it: 1 to 50 characters, such as `command`, `custom` or `build`.
    #[schema(value_type = WorkType, example = "command")]
    pub work_type: String,
    /// The YAML documents that say what to run.
    #[schema(example = "apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  command: [echo, hello]\n")]
    pub yaml_content: String,
    /// How many attempts after the first one may follow failures and losses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1000, default = 3)]
    #[serde(deserialize_with = "whole::optional")]
    pub max_retries: Option<i64>,
    /// How many attempts may follow failures of the class `infrastructure` besides; these use up no other retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1000, default = 5)]
    pub infrastructure_retries_max: Option<i64>,
    /// The base of the pause before a retry: retry n waits this times 2^n seconds, at most a day. When it is left out, each pause
    /// is shortened at random, by up to half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 86400, default = 60)]
    #[serde(deserialize_with = "whole::optional")]
    pub backoff_seconds: Option<i64>,
    /// How long a claim by id holds, and the most that a claim's lease may ask for, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2592000, default = 3600)]
    #[serde(deserialize_with = "whole::optional")]
    pub claim_timeout_seconds: Option<i64>,
    /// Who may run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<TargetingRequest>,
    /// An older way to name agents; they are added to those of `targeting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_agent_ids: Option<Vec<Uuid>>,
    /// Higher is claimed first; equal ones by age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -100, maximum = 100, default = 0)]
    #[serde(deserialize_with = "whole::optional")]
    pub priority: Option<i64>,
    /// The longest that one attempt may run, in seconds. Without it nothing bounds an attempt that keeps its lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2592000)]
    #[serde(deserialize_with = "whole::optional")]
    pub deadline_seconds: Option<i64>,
    /// The latest time at which it may still start; later it ends as `expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_by: Option<Time>,
    /// The same, in seconds from the time at which it is accepted. Only one of the two may be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2592000)]
    pub start_by_seconds: Option<i64>,
    /// It does not start before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Time>,
    /// What to do when the outcome of an attempt cannot be known. `at_least_once` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// The classes of failure that may be retried: `infrastructure` (the default), `work`, `deadline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<RetryClass>>, example = json!(["infrastructure"]))]
    pub retry_on: Option<Vec<FailureClass>>,
    /// Facts for people and tools. The broker does not read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<MetadataKey, MetadataValue>>, example = json!({"ticket": "OPS-42"}))]
    pub metadata: Option<BTreeMap<String, String>>,
}

impl KnownFields for CreateWorkOrder {
    const FIELDS: &'static [&'static str] = &[
        "work_type",
        "yaml_content",
        "max_retries",
        "infrastructure_retries_max",
        "backoff_seconds",
        "claim_timeout_seconds",
        "targeting",
        "target_agent_ids",
        "priority",
        "deadline_seconds",
        "start_by",
        "start_by_seconds",
        "run_at",
        "delivery",
        "retry_on",
        "metadata",
    ];
    const NESTED: &'static [(&'static str, &'static [&'static str])] =
        &[("targeting", &["agent_ids", "labels", "annotations"])];
}

/// Submits many work orders at once. Each is created or refused on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchCreate {
    /// 1 to 1,000 work orders. Unknown fields in them are refused.
    #[schema(min_items = 1, max_items = 1000)]
    pub work_orders: Vec<CreateWorkOrder>,
}

/// What became of each work order of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchAnswer {
    /// One item for each work order of the request, in its order.
    pub items: Vec<BatchItem>,
}

/// What became of one work order of a batch: either `work_order` or `error` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchItem {
    /// The status code with which the single call would have answered.
    #[schema(example = 201)]
    pub status: u16,
    /// The work order, when it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub work_order: Option<WorkOrder>,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<Problem>,
}

/// What to do when the outcome of an attempt cannot be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Run it again, as long as retries are left.
    #[default]
    AtLeastOnce,
    /// Never run it again: it ends as `lost`.
    AtMostOnce,
}

/// Where a work order is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkOrderStatus {
    /// An agent may claim it now.
    Pending,
    /// An agent holds it.
    Claimed,
    /// It failed and waits for its next attempt.
    RetryPending,
    /// It waits for its `run_at`.
    Scheduled,
    /// Ended: it succeeded.
    Completed,
    /// Ended: it failed.
    Failed,
    /// Ended: it was cancelled.
    Cancelled,
    /// Ended: its outcome is unknown.
    Lost,
    /// Ended: it never started in time.
    Expired,
}

impl WorkOrderStatus {
    /// As it is written on the wire, such as `RETRY_PENDING`.
    pub fn as_str(self) -> &'static str {
        match self {
            WorkOrderStatus::Pending => "PENDING",
            WorkOrderStatus::Claimed => "CLAIMED",
            WorkOrderStatus::RetryPending => "RETRY_PENDING",
            WorkOrderStatus::Scheduled => "SCHEDULED",
            WorkOrderStatus::Completed => "COMPLETED",
            WorkOrderStatus::Failed => "FAILED",
            WorkOrderStatus::Cancelled => "CANCELLED",
            WorkOrderStatus::Lost => "LOST",
            WorkOrderStatus::Expired => "EXPIRED",
        }
    }

    /// Whether the work order is in the log and will never change again.
    pub fn ended(self) -> bool {
        use WorkOrderStatus::{Cancelled, Completed, Expired, Failed, Lost};
        matches!(self, Completed | Failed | Cancelled | Lost | Expired)
    }
}

impl fmt::Display for WorkOrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A work order. One that has ended is told from the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkOrder {
    /// Sorts by age.
    pub id: Uuid,
    /// When it was submitted.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Which executor runs it.
    #[schema(example = "command")]
    pub work_type: String,
    /// The YAML documents that say what to run.
    pub yaml_content: String,
    /// Where it is in its life.
    pub status: WorkOrderStatus,
    /// The agent that holds it, or that held it last when it has ended.
    #[schema(required = true)]
    pub claimed_by: Option<Uuid>,
    /// When that agent claimed it.
    #[schema(required = true)]
    pub claimed_at: Option<Time>,
    /// How long a claim by id holds, and the most that a claim's lease may ask for, in seconds.
    pub claim_timeout_seconds: i64,
    /// How many attempts after the first one may follow failures and losses.
    pub max_retries: i64,
    /// How many retries followed failures so far.
    pub retry_count: i64,
    /// The base of the pause before a retry, in seconds.
    pub backoff_seconds: i64,
    /// When the next attempt may start, while it waits for that.
    #[schema(required = true)]
    pub next_retry_after: Option<Time>,
    /// The message of the latest failure.
    #[schema(required = true)]
    pub last_error: Option<String>,
    /// When that failure was reported.
    #[schema(required = true)]
    pub last_error_at: Option<Time>,
    /// The number of the latest claim, 0 before the first. The claimer names it in everything it says about the order.
    pub attempt: i64,
    /// Until when the claim holds unless it is renewed.
    #[schema(required = true)]
    pub lease_expires_at: Option<Time>,
    /// How many attempts vanished without an outcome.
    pub lost_count: i64,
    /// When its cancellation was asked for, while an agent still has to stop it.
    #[schema(required = true)]
    pub cancel_requested_at: Option<Time>,
    /// Higher is claimed first: -100 to 100.
    pub priority: i64,
    /// The longest that one attempt may run, in seconds.
    #[schema(required = true)]
    pub deadline_seconds: Option<i64>,
    /// The latest time at which it may still start.
    #[schema(required = true)]
    pub start_by: Option<Time>,
    /// It does not start before this time.
    #[schema(required = true)]
    pub run_at: Option<Time>,
    /// What to do when the outcome of an attempt cannot be known.
    pub delivery: Delivery,
    /// Who may run it.
    pub targeting: Targeting,
    /// Facts for people and tools.
    pub metadata: BTreeMap<String, String>,
    /// The ended work order that this one repeats.
    #[schema(required = true)]
    pub retry_of: Option<Uuid>,
    /// Who submitted it, such as `admin:<short>` or `generator:<id>`.
    pub submitted_by: String,
    /// How many attempts may follow failures of the class `infrastructure`; these use up none of `max_retries`.
    #[serde(default)]
    #[schema(required = true)]
    pub infrastructure_retries_max: i64,
    /// How many retries followed failures of the class `infrastructure` so far.
    #[serde(default)]
    #[schema(required = true)]
    pub infrastructure_retry_count: i64,
    /// Whether each pause before a retry is shortened at random, by up to half: when `backoff_seconds` was not stated.
    #[serde(default)]
    #[schema(required = true)]
    pub backoff_jitter: bool,
}
