//! One attempt at an order: its name, and what the agent was given to do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names one attempt at one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The order.
    pub order: Uuid,
    /// The fencing token, from 1.
    pub attempt: i64,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.order, self.attempt)
    }
}

/// A text that names no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this names no attempt; it would be an order's id, a full stop and a number")]
pub struct NoAttemptId;

impl FromStr for AttemptId {
    type Err = NoAttemptId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (order, attempt) = text.split_once('.').ok_or(NoAttemptId)?;
        let order = order.parse().map_err(|_| NoAttemptId)?;
        let attempt = attempt.parse().map_err(|_| NoAttemptId)?;
        Ok(Self { order, attempt })
    }
}

/// What the agent holds: an order and its attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which attempt at which order.
    pub id: AttemptId,
    /// The agent that holds it.
    pub agent: Uuid,
    /// Decides which executor does it.
    pub work_type: String,
    /// What to do. Never logged, since it may hold secrets.
    pub document: String,
    /// The longest this attempt may run.
    pub deadline_seconds: Option<u64>,
    /// The longest lease that the order allows.
    pub lease_seconds_max: i64,
    /// Earlier attempts of the order whose outcome nobody knows.
    pub lost_attempts: Vec<i64>,
    /// The trace that the submission belongs to (W3C Trace Context).
    pub traceparent: Option<String>,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({}, {})", self.id, self.work_type)
    }
}
