//! Events: what has happened to work orders and agents.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Time;

/// The names of server-sent events that are no events of a work order or an agent. The others have the type of theirs.
pub mod event_stream {
    /// The first of a stream: everything after its id will be told.
    pub const LISTENING: &str = "listening";
}

/// Which events to read, and from where on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Only events of this work order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_order_id: Option<Uuid>,
    /// Only events of this agent, and of work orders while it holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Uuid>,
    /// Only events of work orders that are for this label, and of agents that have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(min_length = 1, max_length = 64)]
    pub label: Option<String>,
    /// Only events of these types, with commas between them: `work_order.failed,work_order.lost`, `agent.*`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[param(min_length = 1, max_length = 1000, example = "work_order.failed,agent.*")]
    pub types: Option<String>,
    /// Only events after the one with this id. Without it: a list begins with the oldest that is kept, a stream with what happens
    /// from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    pub after: Option<i64>,
    /// How many at most. A stream has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 500)]
    pub limit: Option<i64>,
}

/// Some events, in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The oldest first. There may be more after them, also when there are fewer than were asked for.
    pub events: Vec<Event>,
    /// What to send as `after` to read on.
    pub next: i64,
    /// Whether there is more to read already.
    pub more: bool,
}

/// Something that has happened to a work order or an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Later events have greater ids. There are gaps between them.
    pub id: i64,
    /// When it happened.
    pub at: Time,
    /// What happened, such as `work_order.claimed`. There may be types that are not known yet.
    #[serde(rename = "type")]
    #[schema(example = "work_order.claimed")]
    pub kind: String,
    /// The work order that it happened to.
    #[schema(required = true)]
    pub work_order_id: Option<Uuid>,
    /// The agent that it happened to, or that holds the work order, or held it until then.
    #[schema(required = true)]
    pub agent_id: Option<Uuid>,
    /// Who did it: `admin:<short part of the key>`, `agent:<id>`, `generator:<id>` or `broker`.
    #[schema(example = "broker")]
    pub actor: String,
    /// The state before: of a work order its status, of an agent its status.
    #[schema(required = true)]
    pub before: Option<String>,
    /// The state after it. A work order that has ended is in the state of its ending, one that was removed is `deleted`.
    #[schema(required = true)]
    pub after: Option<String>,
    /// The number of the work order's latest attempt.
    #[schema(required = true)]
    pub attempt: Option<i64>,
    /// The labels that the work order is for, or that the agent has.
    pub labels: Vec<String>,
    /// More about it: never output, contents or secrets.
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
}

impl Event {
    /// Whether nothing happens to the work order any more.
    #[must_use]
    pub fn ends_order(&self) -> bool {
        const ENDS: [&str; 6] = ["succeeded", "failed", "cancelled", "lost", "expired", "deleted"];
        self.kind
            .strip_prefix("work_order.")
            .is_some_and(|what| ENDS.contains(&what))
    }
}
