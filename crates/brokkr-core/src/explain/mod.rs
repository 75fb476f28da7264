//! Why a work order is where it is, and what would change that.
//!
//! [`waiting`], [`claimed`] and [`ended()`] turn what is known into [`Reason`]s. They never guess: what an agent did not say of
//! itself is told as not known. Each answers at least one reason for every order that there can be.

mod agents;
mod ended;
mod facts;
mod near;
mod order;
mod words;

use crate::ids::AgentId;
use crate::time::Timestamp;

pub use self::agents::{SILENT_AFTER, preview};
pub use self::ended::ended;
pub use self::facts::{AgentFacts, ClaimFacts, EndedFacts, Failure, Fleet, HeldOfType, OrderFacts, Term};
pub use self::order::{claimed, waiting};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What kind of reason it is. Programs decide by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReasonCode {
            $($(#[$doc])* $name,)*
        }

        impl ReasonCode {
            /// Every code, in the order in which reasons are listed.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// It waits for the time at which it may start.
    Scheduled = "scheduled";
    /// It failed and waits for its next attempt.
    RetryPending = "retry_pending";
    /// An agent can claim it, and will at its next look.
    Claimable = "claimable";
    /// There are no agents at all.
    NoAgents = "no_agents";
    /// No agent has any of its targets.
    NoMatchingAgent = "no_matching_agent";
    /// Agents that it names were deleted.
    AgentDeleted = "agent_deleted";
    /// Matching agents are paused, or were never activated.
    AgentInactive = "agent_inactive";
    /// Matching agents never gave a sign of life.
    AgentNeverSeen = "agent_never_seen";
    /// Matching agents have been silent for too long.
    AgentNotSeen = "agent_not_seen";
    /// The maintenance window of matching agents is closed.
    WindowClosed = "window_closed";
    /// Matching agents are about to stop.
    AgentDraining = "agent_draining";
    /// Matching agents do not run this type of work.
    WorkTypeNotRun = "work_type_not_run";
    /// Matching agents run this type of work, but cannot now.
    WorkTypeUnavailable = "work_type_unavailable";
    /// Matching agents have no room for it.
    NoFreeSlot = "no_free_slot";
    /// Matching agents do not say what they can do.
    AgentReportsNothing = "agent_reports_nothing";
    /// More agents match than were looked at.
    MoreAgents = "more_agents";
    /// It ends as expired unless it starts in time.
    StartBy = "start_by";
    /// An agent runs it.
    Running = "running";
    /// Its agent has been silent for too long.
    HolderNotSeen = "holder_not_seen";
    /// Its lease has passed, and it is about to be taken back.
    LeasePassed = "lease_passed";
    /// The attempt ends at its deadline.
    Deadline = "deadline";
    /// Somebody wants it stopped, and its agent has not said that it is.
    CancelRequested = "cancel_requested";
    /// It ended: it succeeded.
    Succeeded = "succeeded";
    /// It ended: it failed.
    Failed = "failed";
    /// It ended: somebody cancelled it.
    Cancelled = "cancelled";
    /// It ended: its outcome is not known.
    Lost = "lost";
    /// It ended: it was not started in time.
    Expired = "expired";
}

/// One reason why an order is where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What kind of reason it is.
    pub code: ReasonCode,
    /// Since when it holds, where that is known.
    pub since: Option<Timestamp>,
    /// When it ends by itself, where that is known.
    pub until: Option<Timestamp>,
    /// The reason for people. It names no more than a few agents.
    pub sentence: String,
    /// What would change it, for people.
    pub remedy: String,
    /// The agents that it is about, or that come near, the first [`AGENTS_NAMED_MAX`] of them.
    pub agents: Vec<AgentCause>,
    /// How many agents it is about.
    pub agents_total: u64,
}

/// An agent that a reason is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCause {
    /// The agent.
    pub id: AgentId,
    /// Its name and its cluster's.
    pub name: String,
    /// What is so with this agent, for people.
    pub detail: String,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
}

/// How many agents a reason names.
pub const AGENTS_NAMED_MAX: usize = 10;

impl Reason {
    /// A reason about no agents.
    fn new(code: ReasonCode, sentence: String, remedy: impl Into<String>) -> Self {
        Self {
            code,
            since: None,
            until: None,
            sentence,
            remedy: remedy.into(),
            agents: Vec::new(),
            agents_total: 0,
        }
    }

    fn since(self, since: impl Into<Option<Timestamp>>) -> Self {
        Self {
            since: since.into(),
            ..self
        }
    }

    fn until(self, until: impl Into<Option<Timestamp>>) -> Self {
        Self {
            until: until.into(),
            ..self
        }
    }

    fn about(self, mut agents: Vec<AgentCause>) -> Self {
        let agents_total = agents.len() as u64;
        agents.truncate(AGENTS_NAMED_MAX);
        Self {
            agents,
            agents_total,
            ..self
        }
    }
}
