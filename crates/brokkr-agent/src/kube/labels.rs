//! How objects say which attempt at which order they belong to.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::attempt::AttemptId;

/// Who made the object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`], and the field manager of what is applied.
pub const BROKKR: &str = "brokkr";
/// The order.
pub const WORK_ORDER: &str = "brokkr.io/work-order";
/// The attempt at it.
pub const ATTEMPT: &str = "brokkr.io/attempt";
/// The agent that answers for the object.
pub const AGENT: &str = "brokkr.io/agent";
/// The document of the order that the object comes from, counted from 1.
pub const DOCUMENT: &str = "brokkr.io/document";

/// The attempt that an object was created for, and the agent that created it. Unlike the labels these never change: another agent
/// may answer for the object later.
pub const CREATED_FOR: &str = "brokkr.io/created-for";
/// See [`CREATED_FOR`].
pub const CREATED_BY: &str = "brokkr.io/created-by";

/// What an object of an attempt is labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The attempt.
    pub id: AttemptId,
    /// The agent.
    pub agent: Uuid,
    /// The document, counted from 1.
    pub document: usize,
}

impl Owner {
    /// All labels of the object.
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            (MANAGED_BY, BROKKR.to_owned()),
            (WORK_ORDER, self.id.order.to_string()),
            (ATTEMPT, self.id.attempt.to_string()),
            (AGENT, self.agent.to_string()),
            (DOCUMENT, self.document.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// What stays true of the object whoever answers for it.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (CREATED_FOR.to_owned(), self.id.to_string()),
            (CREATED_BY.to_owned(), self.agent.to_string()),
        ])
    }

    /// Whether these labels are those of the same document of the same attempt, whichever agent made the object.
    pub fn made(&self, labels: &BTreeMap<String, String>) -> bool {
        let own = self.labels();
        [WORK_ORDER, ATTEMPT, DOCUMENT]
            .into_iter()
            .all(|key| labels.get(key) == own.get(key))
    }
}

/// Selects the objects of one attempt.
pub fn of_attempt(id: AttemptId) -> String {
    format!("{WORK_ORDER}={},{ATTEMPT}={}", id.order, id.attempt)
}

/// Selects the objects of all attempts at one order.
pub fn of_order(order: Uuid) -> String {
    format!("{WORK_ORDER}={order}")
}

/// Selects everything that an agent answers for.
pub fn of_agent(agent: Uuid) -> String {
    format!("{MANAGED_BY}={BROKKR},{AGENT}={agent}")
}
