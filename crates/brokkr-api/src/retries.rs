//! Repeating many work orders that have ended.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::{Label, Sought};
use crate::{Ending, Problem, Time};

/// Which of the ended work orders to repeat. One that was repeated already is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetriesRequest {
    /// Those that ended so: `failed`, `lost` and `expired` unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["failed"]))]
    pub endings: Option<Vec<Ending>>,
    /// Only those of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_type: Option<String>,
    /// Only those that were for this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Label>)]
    pub label: Option<String>,
    /// Only those of this caller, as `submitted_by` of a work order names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Sought>)]
    pub submitted_by: Option<String>,
    /// Only those with this text in their id, their metadata or their YAML, in letters of any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Sought>)]
    pub text: Option<String>,
    /// Only those that this agent held last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Uuid>,
    /// Only those that ended at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_from: Option<Time>,
    /// Only those that ended before this time: before now unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_before: Option<Time>,
    /// How many at most, the earliest ending first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000, default = 500)]
    pub limit: Option<i64>,
    /// Only count them.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was repeated. To go on with what is left, send the same request with this `ended_before`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetriesAnswer {
    /// How many there were to repeat before this request.
    pub matching: i64,
    /// They ended before this time.
    pub ended_before: Time,
    /// The work orders that were repeated by this request.
    pub retried: Vec<RetriedOrder>,
    /// The work orders that cannot be repeated.
    pub refused: Vec<RefusedRetry>,
}

/// A work order that was repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetriedOrder {
    /// The one that has ended.
    pub id: Uuid,
    /// The new one.
    pub retry_id: Uuid,
}

/// A work order that cannot be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedRetry {
    /// The one that has ended.
    pub id: Uuid,
    /// Why not.
    pub error: Problem,
}
