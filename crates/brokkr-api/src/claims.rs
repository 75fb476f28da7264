//! How agents take work orders and give them back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::{InstanceId, Reason, WorkType};
use crate::whole;
use crate::{KnownFields, WorkOrder};

/// Claims one known work order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimById {
    /// The agent that claims.
    pub agent_id: Uuid,
}

impl KnownFields for ClaimById {
    const FIELDS: &'static [&'static str] = &["agent_id"];
}

/// Claims the next work orders that are meant for the agent, and waits for some when there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100, default = 1)]
    #[serde(deserialize_with = "whole::optional")]
    pub max: Option<i64>,
    /// Only work orders of these types; all types without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<WorkType>>, max_items = 100, example = json!(["command"]))]
    pub work_types: Option<Vec<String>>,
    /// How long each claim holds unless it is renewed. An order's `claim_timeout_seconds` may shorten it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 2592000, default = 30)]
    #[serde(deserialize_with = "whole::optional")]
    pub lease_seconds: Option<i64>,
    /// How long to wait when there is nothing to claim. Zero answers at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 60, default = 0)]
    #[serde(deserialize_with = "whole::optional")]
    pub wait_seconds: Option<i64>,
    /// Names the process, new at each of its starts. The newest one of an agent may claim; older ones are refused
    /// with `superseded_instance`. 1 to 64 visible ASCII characters.
    #[schema(value_type = InstanceId)]
    pub instance_id: String,
}

/// A work order that the agent has just claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimedWorkOrder {
    /// The work order, with the attempt and the lease of this claim.
    #[serde(flatten)]
    pub work_order: WorkOrder,
    /// Earlier attempts with an unknown outcome: their work may still run, or may have run to its end.
    #[schema(example = json!([1]))]
    pub lost_attempts: Vec<i64>,
    /// The process that claimed it or renewed it last; nothing when it was claimed by id.
    #[serde(default)]
    #[schema(required = true)]
    pub instance_id: Option<String>,
    /// The trace that the submitter's request belonged to (W3C Trace Context), for the work to join.
    #[serde(default)]
    #[schema(
        required = true,
        example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    )]
    pub traceparent: Option<String>,
}

/// Gives a claimed work order back. This uses up no retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The agent that holds it.
    pub agent_id: Uuid,
    /// The attempt that it gives up.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    #[serde(deserialize_with = "whole::number")]
    pub attempt: i64,
    /// Why, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Reason>)]
    pub reason: Option<String>,
}

/// Cancels a work order: at once while it waits, else through the agent that holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Why, for the record and for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Reason>)]
    pub reason: Option<String>,
}
