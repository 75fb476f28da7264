//! Attempts and the leases that hold them.

use std::fmt;

use crate::ids::AgentId;
use crate::time::Timestamp;

/// The number of an attempt at an order: 0 before the first claim, 1 for the first, and so on. It only grows.
///
/// It is the fencing token (Kleppmann, "How to do distributed locking"): whatever an attempt does to its order carries the
/// number, and the broker refuses every number but the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attempt(u32);

impl Attempt {
    /// Before the first claim.
    pub const NONE: Self = Self(0);

    /// The attempt with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The attempt that the next claim makes.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Who holds an order and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The agent that claimed the order.
    pub agent: AgentId,
    /// When the claim ends unless it is renewed.
    pub expires_at: Timestamp,
    /// Whether somebody asked for the order to be cancelled; the agent hears it at its next renewal.
    pub cancel_requested: bool,
}

impl Lease {
    /// Whether the lease has run out at `now`. It does so at its expiry time, not after it.
    #[must_use]
    pub fn passed(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}
