//! Cancelling many work orders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::{Label, Reason, Sought, WorkType};
use crate::{Time, WorkOrderStatus};

/// Which work orders to cancel: those that are named, or all that are in the queue and as it is said. At least one of both is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancellationsRequest {
    /// These, and nothing else is said of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 1000)]
    pub ids: Option<Vec<Uuid>>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkOrderStatus>,
    /// Only those of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WorkType>)]
    pub work_type: Option<String>,
    /// Only those that this agent holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Uuid>,
    /// Only those that are for this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Label>, example = json!("gpu"))]
    pub label: Option<String>,
    /// Only those of this caller, as `submitted_by` of a work order names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Sought>)]
    pub submitted_by: Option<String>,
    /// Only those with this text in their id, their metadata or their YAML, in letters of any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Sought>)]
    pub text: Option<String>,
    /// Only those that were accepted at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_from: Option<Time>,
    /// Only those that were accepted before this time: before now unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Time>,
    /// Why, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Reason>)]
    pub reason: Option<String>,
    /// How many at most, the oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000, default = 500)]
    pub limit: Option<i64>,
    /// Only count them.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was cancelled. To go on with what is left, send the same request with this `created_before`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancellationsAnswer {
    /// How many there were to cancel before this request.
    pub matching: i64,
    /// They were accepted before this time.
    pub created_before: Time,
    /// Those that waited, and have ended.
    pub ended: Vec<Uuid>,
    /// Those that an agent has to stop first.
    pub requested: Vec<Uuid>,
}
