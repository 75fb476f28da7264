//! The query parameters of lists.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::texts::{Label, Sought, WorkType};
use crate::{Ending, WorkOrderStatus};

/// Which work orders of the queue to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListWorkOrders {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkOrderStatus>,
    /// Only those of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<WorkType>)]
    pub work_type: Option<String>,
    /// Only those that this agent holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Uuid>,
    /// Only those that are for this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Label>)]
    pub label: Option<String>,
    /// Only those of this caller, as `submitted_by` of a work order names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Sought>)]
    pub submitted_by: Option<String>,
    /// Only those with this text in their id, their metadata or their YAML, in letters of any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Sought>)]
    pub text: Option<String>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 500)]
    pub limit: Option<i64>,
    /// Where to go on, as the `Link` header of the page before said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which of the work orders to list that the agent could claim now, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListPending {
    /// Only those of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<WorkType>)]
    pub work_type: Option<String>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<i64>,
    /// Where to go on, as the `Link` header of the page before said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which log entries to list, the latest ending first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListLog {
    /// Only those of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<WorkType>)]
    pub work_type: Option<String>,
    /// Only successes, or only the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// Only those that ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Only those that lost an attempt, whether it was tried again or not, or only the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_attempt: Option<bool>,
    /// Only those that this agent held last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Uuid>,
    /// Only those that were for this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Label>)]
    pub label: Option<String>,
    /// Only those of this caller, as `submitted_by` of a work order names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Sought>)]
    pub submitted_by: Option<String>,
    /// Only those with this text in their id, their metadata or their YAML, in letters of any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Sought>)]
    pub text: Option<String>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 500)]
    pub limit: Option<i64>,
    /// Where to go on, as the `Link` header of the page before said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How many agents to list, and from where on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListAgents {
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 500)]
    pub limit: Option<i64>,
    /// Where to go on, as the `Link` header of the page before said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How many generators to list, and from where on.
pub type ListGenerators = ListAgents;

/// How many PAKs to list, and from where on.
pub type ListPaks = ListAgents;

/// How many webhooks to list, and from where on.
pub type ListWebhooks = ListAgents;

/// The one agent with this name in this cluster. Both are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AgentByName {
    /// The name of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The cluster that it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
}
