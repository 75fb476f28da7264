//! The life of a work order: the only place that says which step may follow which.
//!
//! [`Life`] is the part of an order that changes, together with the policy that decides how. [`Life::apply`] is the one
//! transition function; the broker asks it before it writes, and the stores repeat its guards in their WHERE clauses.

mod apply;

use std::fmt;
use std::str::FromStr;

use crate::attempt::{Attempt, Epoch, Lease};
use crate::ids::AgentId;
use crate::retry::{Budget, FailureClass, UnknownWord};
use crate::time::Timestamp;

/// What happens when an attempt is lost, that is, when its outcome cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// The order runs again, within its retries.
    #[default]
    AtLeastOnce,
    /// The order ends as lost. Nothing runs again unless a person retries it.
    AtMostOnce,
}

impl Delivery {
    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::AtMostOnce => "at_most_once",
        }
    }
}

impl FromStr for Delivery {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::AtLeastOnce, Self::AtMostOnce]
            .into_iter()
            .find(|delivery| delivery.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "delivery",
                allowed: "at_least_once, at_most_once",
                found: text.to_owned(),
            })
    }
}

/// How a work order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// The work was done.
    Succeeded,
    /// The work failed, and no retry is left or wanted.
    Failed,
    /// Somebody cancelled the order.
    Cancelled,
    /// The outcome is unknown: the agent vanished and the order must not or can no longer run again.
    Lost,
    /// The order was not started in time.
    Expired,
}

impl Ending {
    /// Every ending, in the order in which the documents list them.
    pub const ALL: [Self; 5] = [
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
        Self::Expired,
    ];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Ending {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|ending| ending.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "ending",
                allowed: "succeeded, failed, cancelled, lost, expired",
                found: text.to_owned(),
            })
    }
}

/// How one attempt ended. An order that is tried again has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptEnding {
    /// The work was done.
    Succeeded,
    /// The attempt failed; the order may have been tried again.
    Failed,
    /// The attempt was stopped because the order was cancelled.
    Cancelled,
    /// The lease passed without a word from the agent.
    Lost,
    /// The agent gave the order back.
    Released,
}

impl AttemptEnding {
    /// Every ending of an attempt.
    pub const ALL: [Self; 5] = [
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
        Self::Released,
    ];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Released => "released",
        }
    }
}

impl FromStr for AttemptEnding {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|ending| ending.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "attempt's ending",
                allowed: "succeeded, failed, cancelled, lost, released",
                found: text.to_owned(),
            })
    }
}

/// How long after an attempt's deadline its agent may still say how it ended, in seconds: the time to stop the work, to store its
/// evidence and to reach the broker again.
pub const DEADLINE_MARGIN_SECONDS: u64 = 300;

/// The rules that an order's life follows. They never change after its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What a lost attempt means.
    pub delivery: Delivery,
    /// The most that failures and losses together may send the order back to the queue.
    pub max_retries: u32,
    /// The most that failures around the work may send it back besides.
    pub infrastructure_retries_max: u32,
    /// The base of the waiting time before a retry, in seconds.
    pub backoff_seconds: u32,
    /// Whether each waiting time is shortened at random ([`crate::retry::jittered`]).
    pub backoff_jitter: bool,
    /// The latest time at which the order may still start for the first time.
    pub start_by: Option<Timestamp>,
}

/// Where a work order is in its life. `Ended` and `Deleted` accept no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for its time.
    Scheduled {
        /// When it may be claimed.
        run_at: Timestamp,
    },
    /// Waits for an agent. Only now does it have routes.
    Pending,
    /// An agent holds it.
    Claimed(Lease),
    /// Waits before it is tried again.
    RetryPending {
        /// When it may be claimed again.
        not_before: Timestamp,
    },
    /// Is in the log, for ever.
    Ended(Ending),
    /// Was removed by an administrator.
    Deleted,
}

impl State {
    /// The state's name in the contract (`PENDING`, `CLAIMED`, ...), as it is stored for orders in the queue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled { .. } => "SCHEDULED",
            Self::Pending => "PENDING",
            Self::Claimed(_) => "CLAIMED",
            Self::RetryPending { .. } => "RETRY_PENDING",
            Self::Ended(Ending::Succeeded) => "COMPLETED",
            Self::Ended(Ending::Failed) => "FAILED",
            Self::Ended(Ending::Cancelled) => "CANCELLED",
            Self::Ended(Ending::Lost) => "LOST",
            Self::Ended(Ending::Expired) => "EXPIRED",
            Self::Deleted => "DELETED",
        }
    }

    /// Whether an order in this state is in the queue.
    #[must_use]
    pub const fn queued(self) -> bool {
        !matches!(self, Self::Ended(_) | Self::Deleted)
    }
}

/// What can happen to a work order. Time is part of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An agent takes the order.
    Claim {
        /// The agent.
        agent: AgentId,
        /// When.
        now: Timestamp,
        /// Until when the claim holds unless it is renewed.
        lease_expires_at: Timestamp,
        /// What the new attempt is numbered above.
        epoch: Epoch,
    },
    /// The holder asks for more time.
    Renew {
        /// The attempt that asks.
        attempt: Attempt,
        /// Until when the claim is to hold. A lease never becomes shorter.
        lease_expires_at: Timestamp,
    },
    /// The holder gives the order back, not having run it.
    Release {
        /// The attempt that is given back.
        attempt: Attempt,
    },
    /// The holder reports that the work is done.
    Succeed {
        /// The attempt that did it.
        attempt: Attempt,
    },
    /// The holder reports that the attempt failed.
    Fail {
        /// The attempt that failed.
        attempt: Attempt,
        /// What made it fail, if that was said. `Cancelled` confirms a cancellation.
        class: Option<FailureClass>,
        /// What pays for a retry, if it is to be retried ([`crate::retry::RetryOn::budget`] decides this).
        retry: Option<Budget>,
        /// When.
        now: Timestamp,
        /// A random number, which chooses the waiting time of an order with jitter.
        random: u64,
    },
    /// The lease is looked at, to see whether it has passed.
    LeasePassed {
        /// When.
        now: Timestamp,
    },
    /// The deadline of the attempt is looked at, to see whether it passed so long ago that its agent will not report it.
    DeadlinePassed {
        /// When.
        now: Timestamp,
        /// The deadline.
        deadline: Timestamp,
        /// Whether the order wants attempts retried that ran past their deadline.
        retry: bool,
    },
    /// The holder was removed; whether its work still runs cannot be known.
    HolderRemoved,
    /// The database was restored from a backup; what became of the attempt since that was taken cannot be known.
    Restored,
    /// Somebody asks for the order to be cancelled.
    Cancel,
    /// The start-by time is looked at, to see whether it has passed.
    StartByPassed {
        /// When.
        now: Timestamp,
    },
    /// The waiting time is looked at, to see whether it is over.
    Due {
        /// When.
        now: Timestamp,
    },
    /// An administrator removes the order.
    Delete,
}

impl Event {
    /// The event's name, for messages and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claim { .. } => "claim",
            Self::Renew { .. } => "renew",
            Self::Release { .. } => "release",
            Self::Succeed { .. } => "succeed",
            Self::Fail { .. } => "fail",
            Self::LeasePassed { .. } => "lease passed",
            Self::DeadlinePassed { .. } => "deadline passed",
            Self::HolderRemoved => "holder removed",
            Self::Restored => "restored",
            Self::Cancel => "cancel",
            Self::StartByPassed { .. } => "start-by passed",
            Self::Due { .. } => "due",
            Self::Delete => "delete",
        }
    }
}

/// The part of a work order that changes, and the policy that decides how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// The rules.
    pub policy: Policy,
    /// The number of the latest attempt.
    pub attempt: Attempt,
    /// How often a failure sent the order back to wait for a retry.
    pub retry_count: u32,
    /// How often a failure around the work did, which the other count leaves out.
    pub infrastructure_retry_count: u32,
    /// How often a lost attempt sent the order back to the queue.
    pub lost_count: u32,
    /// Where the order is.
    pub state: State,
}

/// Why an event cannot happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing of the kind can happen in this state.
    WrongState,
    /// Another attempt is current, or none.
    StaleAttempt {
        /// The attempt that is current.
        current: Attempt,
    },
    /// The time that the event waits for has not come.
    TooEarly,
    /// The latest time to start has passed.
    TooLate,
}

/// An event that cannot happen, with the life that it met. The life is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot happen to an order that is {}", event.name(), life.state.name())]
pub struct IllegalEvent {
    /// The life as it was and is.
    pub life: Life,
    /// What was tried.
    pub event: Event,
    /// Why it cannot be.
    pub refusal: Refusal,
}

impl Life {
    /// The life of an order that was just accepted.
    #[must_use]
    pub fn begin(policy: Policy, now: Timestamp, run_at: Option<Timestamp>) -> Self {
        let state = match run_at {
            Some(run_at) if run_at > now => State::Scheduled { run_at },
            _ => State::Pending,
        };
        Self {
            policy,
            attempt: Attempt::NONE,
            retry_count: 0,
            infrastructure_retry_count: 0,
            lost_count: 0,
            state,
        }
    }

    /// Whether something that this budget pays for may send the order back once more. Losses are paid for by the retries.
    #[must_use]
    pub fn retries_left(&self, budget: Budget) -> bool {
        match budget {
            Budget::Retries => self.retry_count.saturating_add(self.lost_count) < self.policy.max_retries,
            Budget::Infrastructure => {
                self.infrastructure_retry_count < self.policy.infrastructure_retries_max
            }
        }
    }

    /// Whether both budgets are kept to, so that no order cycles for ever.
    #[must_use]
    pub fn within_budgets(&self) -> bool {
        self.retry_count.saturating_add(self.lost_count) <= self.policy.max_retries
            && self.infrastructure_retry_count <= self.policy.infrastructure_retries_max
    }

    /// Whether an attempt has run: it failed or was lost. One that was given back has not.
    #[must_use]
    pub fn started(&self) -> bool {
        self.retry_count > 0 || self.infrastructure_retry_count > 0 || self.lost_count > 0
    }
}
