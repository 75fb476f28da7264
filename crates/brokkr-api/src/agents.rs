//! Agents, their labels and annotations.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::{AgentStatus, Label, Name, WorkType};
use crate::whole;
use crate::{KnownFields, PakText, Time};

/// The identity of one cluster or host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Sorts by age.
    pub id: Uuid,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// When it was deleted.
    #[schema(required = true)]
    pub deleted_at: Option<Time>,
    /// Unique within its cluster.
    #[schema(example = "runner")]
    pub name: String,
    /// The cluster or host that it serves.
    #[schema(example = "eu-west-1")]
    pub cluster_name: String,
    /// When it last gave a sign of life.
    #[schema(required = true)]
    pub last_heartbeat: Option<Time>,
    /// Only an `ACTIVE` agent may claim. A new one is `INACTIVE`.
    #[schema(example = "ACTIVE")]
    pub status: String,
    /// Whether it reaches its Kubernetes API, as it said last.
    #[schema(required = true)]
    pub k8s_reachable: Option<bool>,
    /// How long that API took to answer, in milliseconds.
    #[schema(required = true)]
    pub k8s_api_latency_ms: Option<i64>,
    /// When it said so.
    #[schema(required = true)]
    pub k8s_reported_at: Option<Time>,
    /// What its process is doing, as it said last: such as `running`, `draining` or why it claims nothing.
    #[serde(default)]
    #[schema(required = true, example = "running")]
    pub state: Option<String>,
    /// What its process says of itself, as it said last. Nothing when it never said anything.
    #[serde(default)]
    #[schema(required = true)]
    pub report: Option<AgentReport>,
    /// When it said so.
    #[serde(default)]
    #[schema(required = true)]
    pub reported_at: Option<Time>,
}

/// What an agent says of itself: how much it can do at once, of what, and why it claims nothing.
///
/// What is unknown in it is ignored, so that a newer agent can report to an older broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentReport {
    /// How many attempts it runs at the same time, at most.
    #[schema(minimum = 0, maximum = 100000, example = 4)]
    #[serde(deserialize_with = "whole::number")]
    pub slots: i64,
    /// How many it runs now.
    #[schema(minimum = 0, maximum = 100000, example = 1)]
    #[serde(deserialize_with = "whole::number")]
    pub running: i64,
    /// The types of work that it does, at most 100.
    #[schema(max_items = 100)]
    pub work_types: Vec<WorkTypeReport>,
    /// The version of its program: at most 64 printable characters.
    #[schema(max_length = 64, pattern = r"^[^\x00-\x1F\x7F-\x9F]*$", example = "0.1.0")]
    pub version: String,
    /// When its maintenance window opens next, while that is closed. Nothing when none will.
    #[serde(default)]
    pub window_opens_at: Option<Time>,
    /// Why it claims nothing, whatever there is.
    #[serde(default)]
    pub holds_back: Option<HoldsBack>,
}

/// What an agent says of one type of work that it does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkTypeReport {
    /// The type.
    #[schema(value_type = WorkType, example = "command")]
    pub work_type: String,
    /// How many attempts of this type run at the same time, where that is less than the agent's slots.
    #[serde(default, deserialize_with = "whole::optional")]
    #[schema(minimum = 0, maximum = 100000)]
    pub slots: Option<i64>,
    /// Why it cannot do this type now, in its own words: at most 256 printable characters.
    #[serde(default)]
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1F\x7F-\x9F]*$")]
    pub unavailable: Option<String>,
}

/// Why an agent claims nothing, whatever there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldsBack {
    /// Its maintenance window is closed.
    WindowClosed,
    /// It is about to stop, and lets its work finish.
    Draining,
}

impl HoldsBack {
    /// As it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            HoldsBack::WindowClosed => "window_closed",
            HoldsBack::Draining => "draining",
        }
    }
}

impl Agent {
    /// The status in which an agent may claim.
    pub const ACTIVE: &'static str = "ACTIVE";
    /// The status of a new or paused agent.
    pub const INACTIVE: &'static str = "INACTIVE";
}

/// Creates an agent. Name and cluster together are unique among the agents that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateAgent {
    /// 1 to 255 characters.
    #[schema(value_type = Name, example = "runner")]
    pub name: String,
    /// The cluster or host that it serves: 1 to 255 characters.
    #[schema(value_type = Name, example = "eu-west-1")]
    pub cluster_name: String,
    /// The generators that may see it, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Uuid>>)]
    pub generator_ids: Option<Vec<String>>,
}

impl KnownFields for CreateAgent {
    const FIELDS: &'static [&'static str] = &["name", "cluster_name", "generator_ids"];
}

/// A new agent and its PAK, which is shown only now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentCreated {
    /// The agent, still `INACTIVE`.
    pub agent: Agent,
    /// With what it authenticates.
    pub initial_pak: PakText,
}

/// Changes an agent. What is absent stays. It never touches the PAK.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateAgent {
    /// 1 to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub name: Option<String>,
    /// 1 to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub cluster_name: Option<String>,
    /// `ACTIVE` or `INACTIVE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AgentStatus>, example = "ACTIVE")]
    pub status: Option<String>,
}

impl KnownFields for UpdateAgent {
    const FIELDS: &'static [&'static str] = &["name", "cluster_name", "status"];
}

/// A label of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentLabel {
    /// Of the label itself.
    pub id: Uuid,
    /// The agent that has it.
    pub agent_id: Uuid,
    /// 1 to 64 characters without whitespace.
    #[schema(example = "gpu")]
    pub label: String,
}

/// An annotation of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentAnnotation {
    /// Of the annotation itself.
    pub id: Uuid,
    /// The agent that has it.
    pub agent_id: Uuid,
    /// 1 to 64 characters without whitespace.
    #[schema(example = "region")]
    pub key: String,
    /// 1 to 64 characters without whitespace.
    #[schema(example = "eu-west")]
    pub value: String,
}

/// Gives an agent a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddLabel {
    /// The agent of the path again.
    pub agent_id: Uuid,
    /// 1 to 64 characters without whitespace.
    #[schema(value_type = Label, example = "gpu")]
    pub label: String,
}

impl KnownFields for AddLabel {
    const FIELDS: &'static [&'static str] = &["agent_id", "label"];
}

/// Gives an agent an annotation. A key has one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddAnnotation {
    /// The agent of the path again.
    pub agent_id: Uuid,
    /// 1 to 64 characters without whitespace.
    #[schema(value_type = Label, example = "region")]
    pub key: String,
    /// 1 to 64 characters without whitespace.
    #[schema(value_type = Label, example = "eu-west")]
    pub value: String,
}

impl KnownFields for AddAnnotation {
    const FIELDS: &'static [&'static str] = &["agent_id", "key", "value"];
}

/// An agent and its new PAK, which is shown only now. The old one is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotatedAgentPak {
    /// The agent.
    pub agent: Agent,
    /// With what it authenticates from now on.
    pub pak: PakText,
}

/// A sign of life, with what the agent knows of its Kubernetes API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heartbeat {
    /// Whether it reaches its Kubernetes API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k8s_reachable: Option<bool>,
    /// How long that API took to answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2147483647)]
    #[serde(deserialize_with = "whole::optional")]
    pub k8s_api_latency_ms: Option<i64>,
}

impl KnownFields for Heartbeat {
    const FIELDS: &'static [&'static str] = &["k8s_reachable", "k8s_api_latency_ms"];
}
