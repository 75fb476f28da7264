//! Who may run a work order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::Label;

/// Who may run a new work order: any agent that matches at least one of these. At least one is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetingRequest {
    /// These agents. None may be named twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ids: Option<Vec<Uuid>>,
    /// Agents with any of these labels: 1 to 64 characters without whitespace each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Label>>, example = json!(["gpu"]))]
    pub labels: Option<Vec<String>>,
    /// Agents with any of these annotations, by key and value: 1 to 64 characters without whitespace each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<Label, Label>>, example = json!({"region": "eu-west"}))]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Who may run a work order. An agent matches by any one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Targeting {
    /// These agents.
    pub agent_ids: Vec<Uuid>,
    /// Agents with any of these labels.
    pub labels: Vec<String>,
    /// Agents with any of these annotations, by key and value.
    pub annotations: BTreeMap<String, String>,
}

/// Replaces who may run a work order that is still waiting. At least one target is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTargeting {
    /// These agents. None may be named twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ids: Option<Vec<Uuid>>,
    /// Agents with any of these labels: 1 to 64 characters without whitespace each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Label>>)]
    pub labels: Option<Vec<String>>,
    /// Agents with any of these annotations, by key and value: 1 to 64 characters without whitespace each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<Label, Label>>)]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl From<SetTargeting> for TargetingRequest {
    fn from(set: SetTargeting) -> TargetingRequest {
        TargetingRequest {
            agent_ids: set.agent_ids,
            labels: set.labels,
            annotations: set.annotations,
        }
    }
}

impl From<Targeting> for SetTargeting {
    fn from(targeting: Targeting) -> SetTargeting {
        SetTargeting {
            agent_ids: Some(targeting.agent_ids),
            labels: Some(targeting.labels),
            annotations: Some(targeting.annotations),
        }
    }
}
