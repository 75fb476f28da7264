//! Why work orders are where they are, and what would become of new ones.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::ReasonCode;
use crate::{Attempt, Time, WorkOrderStatus};

/// Why a work order is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The work order.
    pub work_order_id: Uuid,
    /// Where it is in its life.
    pub status: WorkOrderStatus,
    /// Since when it is there.
    pub since: Time,
    /// When the broker looked, by its clock.
    pub as_of: Time,
    /// Why it is there: at least one reason.
    pub reasons: Vec<ExplanationReason>,
    /// Its attempts, the first one first: the first 100, and the current one last.
    pub attempts: Vec<Attempt>,
    /// The ended work order that it repeats.
    #[schema(required = true)]
    pub retry_of: Option<Uuid>,
    /// The work orders that repeat it: the first 10.
    pub retried_as: Vec<Uuid>,
}

/// Who could run a work order that is not submitted yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// When the broker looked, by its clock.
    pub as_of: Time,
    /// How many agents match the targets.
    pub matching: i64,
    /// How many of them could claim it now.
    pub able: i64,
    /// Which agents could claim it now, and why others could not: at least one reason.
    pub reasons: Vec<ExplanationReason>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplanationReason {
    /// What kind of reason it is, for programs. Others may be added.
    #[schema(value_type = ReasonCode, example = "no_matching_agent")]
    pub code: String,
    /// Since when it holds, where that is known.
    #[schema(required = true)]
    pub since: Option<Time>,
    /// When it ends by itself, where that is known.
    #[schema(required = true)]
    pub until: Option<Time>,
    /// The reason, for people.
    #[schema(example = "None of the 3 agents has the label gpu.")]
    pub sentence: String,
    /// What would change it, for people.
    pub remedy: String,
    /// The agents that it is about, or that come near: the first 10.
    pub agents: Vec<ReasonAgent>,
    /// How many agents it is about.
    pub agents_total: i64,
}

/// An agent that a reason is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonAgent {
    /// The agent.
    pub id: Uuid,
    /// Its name and its cluster's, as `brokkr` takes them.
    #[schema(example = "runner/eu-west-1")]
    pub name: String,
    /// What is so with this agent, for people.
    pub detail: String,
    /// Since when, where that is known.
    #[schema(required = true)]
    pub since: Option<Time>,
}
