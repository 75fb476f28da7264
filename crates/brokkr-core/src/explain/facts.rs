//! What has to be known to explain an order.

use crate::attempt::Attempt;
use crate::ids::{AgentId, WorkOrderId};
use crate::life::{Ending, Life, Policy};
use crate::names::{AgentName, AnnotationKey, AnnotationValue, ClusterName, Label, WorkType};
use crate::report::AgentReport;
use crate::retry::{FailureClass, RetryOn};
use crate::time::Timestamp;

/// An agent, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFacts {
    /// Names it.
    pub id: AgentId,
    /// What people call it.
    pub name: AgentName,
    /// The cluster or host that it lives in.
    pub cluster_name: ClusterName,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its name, cluster or status last changed.
    pub updated_at: Timestamp,
    /// Whether it may claim.
    pub active: bool,
    /// When it was last heard.
    pub last_heartbeat: Option<Timestamp>,
    /// What it said of itself last, and when.
    pub report: Option<(AgentReport, Timestamp)>,
    /// What it holds, by type of work.
    pub held: Vec<HeldOfType>,
}

/// What an agent holds of one type of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOfType {
    /// The type.
    pub work_type: WorkType,
    /// How many orders.
    pub orders: u32,
    /// One of them, the oldest.
    pub oldest: WorkOrderId,
    /// When the latest of them was claimed.
    pub latest_claimed_at: Timestamp,
}

/// A label or an annotation of an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// A label.
    Label(Label),
    /// An annotation.
    Annotation(AnnotationKey, AnnotationValue),
}

/// The agents, as far as they matter to one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// How many agents there are.
    pub agents_total: u64,
    /// How many of them match.
    pub matching_total: u64,
    /// Those that match, or the first of them: what is ACTIVE and was heard last comes first.
    pub matching: Vec<AgentFacts>,
    /// Those that the order names and that were deleted, and when.
    pub deleted: Vec<(AgentId, String, Timestamp)>,
    /// What agents have, when none matches, or a part of that.
    pub terms: Vec<(AgentId, String, Term)>,
}

/// An order of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFacts {
    /// Names it.
    pub id: WorkOrderId,
    /// Where it is, by which rules.
    pub life: Life,
    /// Which type of work it is.
    pub work_type: WorkType,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Since when it is where it is.
    pub updated_at: Timestamp,
    /// What the latest failure said, and when.
    pub last_error: Option<(String, Timestamp)>,
}

/// Who holds an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimFacts {
    /// The agent; nothing when it is not there any more.
    pub agent: Option<AgentFacts>,
    /// When it claimed the order.
    pub claimed_at: Timestamp,
    /// Until when the claim holds unless it is renewed.
    pub lease_expires_at: Timestamp,
    /// The time at which the attempt must have ended.
    pub deadline: Option<Timestamp>,
    /// When somebody asked for the work to be stopped, and why.
    pub cancel: Option<(Timestamp, Option<String>)>,
}

/// An order that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedFacts {
    /// Names it.
    pub id: WorkOrderId,
    /// How.
    pub ending: Ending,
    /// When.
    pub ended_at: Timestamp,
    /// The number of the latest attempt, none when there was none.
    pub attempt: Attempt,
    /// The agent that held it at its end, by name.
    pub agent: Option<(AgentId, String)>,
    /// What the agent said.
    pub failure: Failure,
    /// The rules that it followed.
    pub policy: Policy,
    /// The classes of failure that it wanted retried.
    pub retry_on: RetryOn,
    /// How often failures and losses sent it back to the queue.
    pub retries: u32,
    /// How often failures around the work did.
    pub infrastructure_retries: u32,
    /// When somebody asked for it to be cancelled, and why.
    pub cancel: Option<(Timestamp, Option<String>)>,
}

/// What an agent said of an ending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// What made it fail.
    pub class: Option<FailureClass>,
    /// The exit code of the work.
    pub exit_code: Option<i64>,
    /// In words.
    pub message: Option<String>,
}

impl AgentFacts {
    /// Its name and its cluster's, as the command line takes them.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.name, self.cluster_name)
    }
}
