//! How attempts and work orders end.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::Message;
use crate::whole;
use crate::{KnownFields, Problem, WorkOrderLog};

/// How a work order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The work was done.
    Succeeded,
    /// The work failed, and no retry was left or allowed.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// The agent vanished and the outcome is unknown.
    Lost,
    /// It never started in time.
    Expired,
}

impl Ending {
    /// As it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Succeeded => "succeeded",
            Ending::Failed => "failed",
            Ending::Cancelled => "cancelled",
            Ending::Lost => "lost",
            Ending::Expired => "expired",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an attempt failed. It decides whether the work order is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Something around the work failed: an eviction, a node, an API.
    Infrastructure,
    /// The work itself failed.
    Work,
    /// The agent would not run it: policy, an invalid document, a missing permission. Never retried.
    Refused,
    /// The attempt ran longer than `deadline_seconds`.
    Deadline,
    /// The agent stopped it because it was told to. Never retried.
    Cancelled,
}

impl FailureClass {
    /// As it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureClass::Infrastructure => "infrastructure",
            FailureClass::Work => "work",
            FailureClass::Refused => "refused",
            FailureClass::Deadline => "deadline",
            FailureClass::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reports the outcome of a claimed work order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Complete {
    /// Whether the work was done.
    pub success: bool,
    /// The result in words, or what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Message>)]
    pub message: Option<String>,
    /// Whether a failure may be retried. Without it `class` decides, and without both it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(default = true)]
    pub retryable: Option<bool>,
    /// The attempt that ended. A report for another attempt than the current one is refused with `stale_attempt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    #[serde(deserialize_with = "whole::optional")]
    pub attempt: Option<i64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<FailureClass>,
    /// The exit code of the work, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "whole::optional")]
    pub exit_code: Option<i64>,
    /// Anything else worth keeping, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub result: Option<Value>,
}

impl KnownFields for Complete {
    const FIELDS: &'static [&'static str] = &[
        "success",
        "message",
        "retryable",
        "attempt",
        "class",
        "exit_code",
        "result",
    ];
}

/// The status word of [`RetryScheduled`].
pub const RETRY_SCHEDULED: &str = "retry_scheduled";

/// The failure was recorded, and the work order will be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryScheduled {
    /// Always `retry_scheduled`.
    #[schema(example = "retry_scheduled")]
    pub status: String,
}

impl Default for RetryScheduled {
    fn default() -> RetryScheduled {
        RetryScheduled {
            status: RETRY_SCHEDULED.to_owned(),
        }
    }
}

/// Reports the outcomes of many attempts at once. Each is recorded or refused on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndingsRequest {
    /// 1 to 1,000 endings.
    #[schema(min_items = 1, max_items = 1000)]
    pub endings: Vec<EndingItem>,
}

/// The outcome of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndingItem {
    /// The work order.
    pub id: Uuid,
    /// The attempt that ended.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    #[serde(deserialize_with = "whole::number")]
    pub attempt: i64,
    /// Whether the work was done.
    pub success: bool,
    /// The result in words, or what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Message>)]
    pub message: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<FailureClass>,
    /// Whether a failure may be retried. Without it `class` decides, and without both it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// The exit code of the work, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "whole::optional")]
    pub exit_code: Option<i64>,
    /// Anything else worth keeping, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub result: Option<Value>,
}

/// What became of each reported ending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndingsAnswer {
    /// One item for each ending of the request, in its order.
    pub items: Vec<EndingResult>,
}

/// What became of one reported ending, as the call to complete a work order would have answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndingResult {
    /// The work order.
    pub id: Uuid,
    /// The attempt.
    pub attempt: i64,
    /// The status code of the single call: 200 with `work_order_log`, 202 with `retry`, or that of `error`.
    #[schema(example = 200)]
    pub status: u16,
    /// The log entry, when the work order ended with this attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub work_order_log: Option<WorkOrderLog>,
    /// Set when the work order will be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry: Option<RetryScheduled>,
    /// Why the ending was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<Problem>,
}

impl From<EndingItem> for Complete {
    fn from(item: EndingItem) -> Complete {
        Complete {
            success: item.success,
            message: item.message,
            retryable: item.retryable,
            attempt: Some(item.attempt),
            class: item.class,
            exit_code: item.exit_code,
            result: item.result,
        }
    }
}
