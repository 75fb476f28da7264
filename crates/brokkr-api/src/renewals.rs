//! How an agent keeps what it has claimed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::InstanceId;
use crate::{AgentReport, Time, whole};

/// Renews the leases of everything that the agent holds, and counts as its heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewalsRequest {
    /// Names the process, as in its claims.
    #[schema(value_type = InstanceId)]
    pub instance_id: String,
    /// How long the claims hold from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 2592000, default = 30)]
    #[serde(deserialize_with = "whole::optional")]
    pub lease_seconds: Option<i64>,
    /// What it holds, at most 1,000. None is fine: then this is only a heartbeat.
    #[schema(max_items = 1000)]
    pub claims: Vec<HeldClaim>,
    /// What the process is doing, for people: such as `running` or `draining`. At most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, pattern = r"^[^\x00-\x1F\x7F-\x9F]*$", example = "running")]
    pub state: Option<String>,
    /// What the process says of itself. Without it the broker keeps what it said before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<AgentReport>,
}

/// One claim that the agent believes to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldClaim {
    /// The work order.
    pub id: Uuid,
    /// The attempt.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    #[serde(deserialize_with = "whole::number")]
    pub attempt: i64,
}

/// What became of each claim. Every claim of the request is either in `renewed` or in `lost`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Renewals {
    /// These still hold.
    pub renewed: Vec<Renewed>,
    /// These do not: the agent has to stop their work.
    pub lost: Vec<Lost>,
    /// These still hold, but somebody wants the work stopped: the agent stops it and reports the ending.
    pub cancel: Vec<CancelRequested>,
}

/// A claim that still holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Renewed {
    /// The work order.
    pub id: Uuid,
    /// The attempt.
    pub attempt: i64,
    /// Until when the claim holds now, by the broker's clock.
    pub lease_expires_at: Time,
}

/// A claim that the agent does not hold any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lost {
    /// The work order.
    pub id: Uuid,
    /// The attempt.
    pub attempt: i64,
    /// Why, as the code of a problem.
    #[schema(example = "stale_attempt")]
    pub code: String,
}

/// A claim whose work has to be stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelRequested {
    /// The work order.
    pub id: Uuid,
    /// The attempt.
    pub attempt: i64,
    /// Why, when a reason was given.
    #[schema(required = true)]
    pub reason: Option<String>,
}
