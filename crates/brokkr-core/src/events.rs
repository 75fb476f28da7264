//! What a change of an order or an agent is called once it has happened.
//!
//! The words of [`EventType`] are the contract of the event stream and of whatever is sent elsewhere because of an event.

use std::fmt;
use std::str::FromStr;

use crate::life::{Ending, Event, State};
use crate::retry::UnknownWord;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// An order was accepted and may be claimed.
    WorkOrderCreated,
    /// An order was accepted and waits for its time.
    WorkOrderScheduled,
    /// The time came of an order that waited for it, or for its retry: it may be claimed.
    WorkOrderDue,
    /// An agent took an order.
    WorkOrderClaimed,
    /// An agent gave an order back, not having run it.
    WorkOrderReleased,
    /// An attempt was lost, and the order may be claimed again.
    WorkOrderReturned,
    /// An attempt failed or was lost, and the order waits for its retry.
    WorkOrderRetryScheduled,
    /// Somebody asked for an order to be cancelled that an agent holds.
    WorkOrderCancelRequested,
    /// An order is for somebody else now.
    WorkOrderRetargeted,
    /// An order's work was done.
    WorkOrderSucceeded,
    /// An order failed, and is not tried again.
    WorkOrderFailed,
    /// An order was cancelled.
    WorkOrderCancelled,
    /// An order's outcome is not known, and it is not tried again.
    WorkOrderLost,
    /// An order was not started in time.
    WorkOrderExpired,
    /// An administrator removed an order.
    WorkOrderDeleted,
    /// An agent was created.
    AgentCreated,
    /// An agent's name or cluster was changed.
    AgentUpdated,
    /// An agent may claim now.
    AgentActivated,
    /// An agent may not claim any more.
    AgentPaused,
    /// An agent was deleted.
    AgentDeleted,
    /// An agent was given a label, or lost one.
    AgentLabelsChanged,
    /// An agent was given an annotation, or lost one.
    AgentAnnotationsChanged,
    /// An agent was given a new key, and its others are dead.
    AgentPakRotated,
    /// Another process acts for an agent.
    AgentInstanceChanged,
}

impl EventType {
    /// Every type, in the order in which the documents list them.
    pub const ALL: [Self; 24] = [
        Self::WorkOrderCreated,
        Self::WorkOrderScheduled,
        Self::WorkOrderDue,
        Self::WorkOrderClaimed,
        Self::WorkOrderReleased,
        Self::WorkOrderReturned,
        Self::WorkOrderRetryScheduled,
        Self::WorkOrderCancelRequested,
        Self::WorkOrderRetargeted,
        Self::WorkOrderSucceeded,
        Self::WorkOrderFailed,
        Self::WorkOrderCancelled,
        Self::WorkOrderLost,
        Self::WorkOrderExpired,
        Self::WorkOrderDeleted,
        Self::AgentCreated,
        Self::AgentUpdated,
        Self::AgentActivated,
        Self::AgentPaused,
        Self::AgentDeleted,
        Self::AgentLabelsChanged,
        Self::AgentAnnotationsChanged,
        Self::AgentPakRotated,
        Self::AgentInstanceChanged,
    ];

    /// The word on the wire and in the database: `noun.what_happened`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkOrderCreated => "work_order.created",
            Self::WorkOrderScheduled => "work_order.scheduled",
            Self::WorkOrderDue => "work_order.due",
            Self::WorkOrderClaimed => "work_order.claimed",
            Self::WorkOrderReleased => "work_order.released",
            Self::WorkOrderReturned => "work_order.returned",
            Self::WorkOrderRetryScheduled => "work_order.retry_scheduled",
            Self::WorkOrderCancelRequested => "work_order.cancel_requested",
            Self::WorkOrderRetargeted => "work_order.retargeted",
            Self::WorkOrderSucceeded => "work_order.succeeded",
            Self::WorkOrderFailed => "work_order.failed",
            Self::WorkOrderCancelled => "work_order.cancelled",
            Self::WorkOrderLost => "work_order.lost",
            Self::WorkOrderExpired => "work_order.expired",
            Self::WorkOrderDeleted => "work_order.deleted",
            Self::AgentCreated => "agent.created",
            Self::AgentUpdated => "agent.updated",
            Self::AgentActivated => "agent.activated",
            Self::AgentPaused => "agent.paused",
            Self::AgentDeleted => "agent.deleted",
            Self::AgentLabelsChanged => "agent.labels_changed",
            Self::AgentAnnotationsChanged => "agent.annotations_changed",
            Self::AgentPakRotated => "agent.pak_rotated",
            Self::AgentInstanceChanged => "agent.instance_changed",
        }
    }

    /// What has happened to an order that the step `step` brought to `after`. Nothing, if that is a renewal.
    #[must_use]
    pub const fn of_step(step: Event, after: State) -> Option<Self> {
        Some(match (after, step) {
            (_, Event::Renew { .. }) | (State::Scheduled { .. }, _) => return None,
            (State::Ended(ending), _) => Self::of_ending(ending),
            (State::Deleted, _) => Self::WorkOrderDeleted,
            (State::RetryPending { .. }, _) => Self::WorkOrderRetryScheduled,
            (State::Claimed(_), Event::Cancel) => Self::WorkOrderCancelRequested,
            (State::Claimed(_), _) => Self::WorkOrderClaimed,
            (State::Pending, Event::Due { .. }) => Self::WorkOrderDue,
            (State::Pending, Event::Release { .. }) => Self::WorkOrderReleased,
            (State::Pending, _) => Self::WorkOrderReturned,
        })
    }

    /// The end of an order.
    #[must_use]
    pub const fn of_ending(ending: Ending) -> Self {
        match ending {
            Ending::Succeeded => Self::WorkOrderSucceeded,
            Ending::Failed => Self::WorkOrderFailed,
            Ending::Cancelled => Self::WorkOrderCancelled,
            Ending::Lost => Self::WorkOrderLost,
            Ending::Expired => Self::WorkOrderExpired,
        }
    }

    /// Whether nothing happens to the order any more after it.
    #[must_use]
    pub const fn ends_order(self) -> bool {
        matches!(
            self,
            Self::WorkOrderSucceeded
                | Self::WorkOrderFailed
                | Self::WorkOrderCancelled
                | Self::WorkOrderLost
                | Self::WorkOrderExpired
                | Self::WorkOrderDeleted
        )
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "type of event",
                allowed: "the types that docs/events.md lists",
                found: text.to_owned(),
            })
    }
}

/// The state of an order as its events tell it: the contract's word while it is in the queue, then its ending, or `deleted`.
#[must_use]
pub const fn state_word(state: State) -> &'static str {
    match state {
        State::Ended(ending) => ending.as_str(),
        State::Deleted => "deleted",
        queued => queued.name(),
    }
}

/// Which types somebody wants to hear of: one of them, all of a noun (`work_order.*`), or all (`*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPattern(String);

/// A pattern that no event has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no type of event: give one such as work_order.failed, or work_order.*, agent.* or *")]
pub struct UnknownPattern(String);

impl EventPattern {
    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// [`UnknownPattern`] when it stands for no type.
    pub fn parse(text: &str) -> Result<Self, UnknownPattern> {
        let pattern = Self(text.to_owned());
        if EventType::ALL.iter().any(|kind| pattern.matches(*kind)) {
            Ok(pattern)
        } else {
            Err(UnknownPattern(text.chars().take(100).collect()))
        }
    }

    /// Whether it stands for this type.
    #[must_use]
    pub fn matches(&self, kind: EventType) -> bool {
        let word = kind.as_str();
        match self.0.strip_suffix('*') {
            Some("") => true,
            Some(noun) => noun.ends_with('.') && word.starts_with(noun),
            None => self.0 == word,
        }
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_back_from_its_word() {
        for kind in EventType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("work_order.renewed".parse::<EventType>().is_err());
    }

    #[test]
    fn a_pattern_stands_for_a_type_for_a_noun_or_for_all() {
        let of = |text: &str| {
            let pattern = EventPattern::parse(text).unwrap();
            EventType::ALL
                .iter()
                .filter(|kind| pattern.matches(**kind))
                .count()
        };
        assert_eq!(
            (
                of("work_order.failed"),
                of("work_order.*"),
                of("agent.*"),
                of("*")
            ),
            (1, 15, 9, 24)
        );
        for nonsense in [
            "",
            "work_order",
            "work*",
            "work_order.f*",
            "failed",
            "*.*",
            "generator.*",
        ] {
            assert!(EventPattern::parse(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn every_ending_has_its_type_which_ends_the_order() {
        for ending in Ending::ALL {
            let kind = EventType::of_ending(ending);
            assert_eq!(kind.as_str(), format!("work_order.{ending}"));
            assert!(kind.ends_order());
        }
    }
}
