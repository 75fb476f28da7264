//! What an agent says of itself: how much it can do at once, of what, and why it takes nothing at all.

use std::fmt;
use std::str::FromStr;

use crate::names::WorkType;
use crate::retry::UnknownWord;
use crate::time::Timestamp;

/// What an agent says of itself with its signs of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentReport {
    /// How many attempts it runs at the same time, at most.
    pub slots: u32,
    /// How many it runs now.
    pub running: u32,
    /// The types of work that it does.
    pub work_types: Vec<WorkTypeReport>,
    /// The version of its program.
    pub version: String,
    /// When its maintenance window opens next, while that is closed. Nothing when none will.
    pub window_opens_at: Option<Timestamp>,
    /// Why it takes nothing, whatever there is.
    pub holds_back: Option<HoldsBack>,
}

/// What an agent says of one type of work that it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkTypeReport {
    /// The type.
    pub work_type: WorkType,
    /// How many attempts of this type run at the same time, where that is less than the agent's slots.
    pub slots: Option<u32>,
    /// Why it cannot do this type now, in its own words.
    pub unavailable: Option<String>,
}

/// Why an agent takes nothing, whatever there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldsBack {
    /// Its maintenance window is closed.
    WindowClosed,
    /// It is about to stop, and lets its work finish.
    Draining,
}

impl HoldsBack {
    /// Every cause, in the order in which the documents list them.
    pub const ALL: [Self; 2] = [Self::WindowClosed, Self::Draining];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WindowClosed => "window_closed",
            Self::Draining => "draining",
        }
    }
}

impl fmt::Display for HoldsBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HoldsBack {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "cause of holding back",
                allowed: "window_closed, draining",
                found: text.to_owned(),
            })
    }
}
