//! The work-order log.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Ending, FailureClass, Time};

/// How a work order ended. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkOrderLog {
    /// The id of the work order.
    pub id: Uuid,
    /// Which executor ran it.
    #[schema(example = "command")]
    pub work_type: String,
    /// When it was submitted.
    pub created_at: Time,
    /// When it was claimed for the last time.
    #[schema(required = true)]
    pub claimed_at: Option<Time>,
    /// When it ended.
    pub completed_at: Time,
    /// The agent that held it last.
    #[schema(required = true)]
    pub claimed_by: Option<Uuid>,
    /// Whether the work was done.
    pub success: bool,
    /// How many retries followed failures.
    pub retries_attempted: i64,
    /// The result in words, or what went wrong.
    #[schema(required = true)]
    pub result_message: Option<String>,
    /// The YAML documents that said what to run.
    pub yaml_content: String,
    /// How it ended.
    pub ending: Ending,
    /// The number of the last attempt, 0 when there was none.
    pub attempt: i64,
    /// Why it failed, when that is known.
    #[schema(required = true)]
    pub class: Option<FailureClass>,
    /// The exit code of the work, where it has one.
    #[schema(required = true)]
    pub exit_code: Option<i64>,
    /// Whatever else the agent reported, as JSON.
    #[schema(value_type = Value, required = true)]
    pub result: Option<Value>,
    /// How many attempts vanished without an outcome.
    pub lost_count: i64,
    /// The ended work order that this one repeated.
    #[schema(required = true)]
    pub retry_of: Option<Uuid>,
    /// How many retries followed failures of the class `infrastructure`; `retries_attempted` leaves them out.
    #[serde(default)]
    #[schema(required = true)]
    pub infrastructure_retries_attempted: i64,
}
