//! The attempts of a work order.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{FailureClass, Time};

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnding {
    /// The work was done.
    Succeeded,
    /// The work failed. The work order may have been retried.
    Failed,
    /// The work was stopped because it was cancelled.
    Cancelled,
    /// The agent vanished and the outcome is unknown.
    Lost,
    /// The agent gave the work order back.
    Released,
}

impl AttemptEnding {
    /// As it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptEnding::Succeeded => "succeeded",
            AttemptEnding::Failed => "failed",
            AttemptEnding::Cancelled => "cancelled",
            AttemptEnding::Lost => "lost",
            AttemptEnding::Released => "released",
        }
    }
}

impl fmt::Display for AttemptEnding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One claim's life. The current attempt has neither `ended_at` nor `ending`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// 1 for the first claim. Numbers of a work order only grow.
    pub attempt: i64,
    /// The agent that claimed it.
    pub agent_id: Uuid,
    /// When it was claimed.
    pub claimed_at: Time,
    /// Until when the claim holds, for the current attempt.
    #[schema(required = true)]
    pub lease_expires_at: Option<Time>,
    /// When it ended.
    #[schema(required = true)]
    pub ended_at: Option<Time>,
    /// How it ended.
    #[schema(required = true)]
    pub ending: Option<AttemptEnding>,
    /// Why it failed, when that is known.
    #[schema(required = true)]
    pub class: Option<FailureClass>,
    /// The result in words, or what went wrong.
    #[schema(required = true)]
    pub message: Option<String>,
    /// The exit code of the work, where it has one.
    #[schema(required = true)]
    pub exit_code: Option<i64>,
    /// Whatever else the agent reported, as JSON.
    #[schema(value_type = Value, required = true)]
    pub result: Option<Value>,
}
