//! Attempts and the leases that hold them.

use std::fmt;

use crate::ids::AgentId;
use crate::time::Timestamp;

/// The number of an attempt at an order: 0 before the first claim, 1 for the first, and so on. It only grows, and begins anew
/// above every earlier one when the database was restored from a backup ([`Epoch`]).
///
/// It is the fencing token (Kleppmann, "How to do distributed locking"): whatever an attempt does to its order carries the
/// number, and the broker refuses every number but the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attempt(i64);

impl Attempt {
    /// Before the first claim.
    pub const NONE: Self = Self(0);
    /// The largest number: the largest that every reader of JSON understands.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The attempt with this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The attempt that the next claim makes in this epoch.
    #[must_use]
    pub const fn next_in(self, epoch: Epoch) -> Self {
        let latest = if self.0 < epoch.0 { epoch.0 } else { self.0 };
        Self(latest.saturating_add(1))
    }
}

/// What every attempt that is made from now on is numbered above. It is raised when the database is restored from a backup,
/// which does not know the attempts that were made after it was taken.
///
/// An epoch is the milliseconds of the time at which it began, so that it is above the last one even when the same backup is
/// restored twice, and above the number of every attempt before it: nobody claims an order a thousand times in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(i64);

impl Epoch {
    /// The epoch of a database that was never restored.
    pub const FIRST: Self = Self(0);

    /// The epoch with this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The epoch that a restoration at `now` begins.
    #[must_use]
    pub fn raised(self, now: Timestamp) -> Self {
        Self((now.as_micros() / 1_000).max(self.0.saturating_add(1)))
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_123_456);

    #[test]
    fn attempts_are_numbered_from_one_until_the_database_is_restored() {
        let first = Attempt::NONE.next_in(Epoch::FIRST);
        assert_eq!(
            (first, first.next_in(Epoch::FIRST)),
            (Attempt::new(1), Attempt::new(2))
        );
        let epoch = Epoch::FIRST.raised(NOW);
        let after = first.next_in(epoch);
        assert_eq!(after, Attempt::new(1_700_000_000_124));
        assert_eq!(after.next_in(epoch), Attempt::new(1_700_000_000_125));
    }

    #[test]
    fn an_epoch_is_above_the_last_one_and_above_one_that_the_backup_does_not_know() {
        let first = Epoch::FIRST.raised(NOW);
        assert!(first < first.raised(NOW));
        // The same backup once more, a moment later.
        assert!(first < Epoch::FIRST.raised(NOW.plus_seconds(1)));
        assert!(Epoch::FIRST.raised(Timestamp::MAX).number() < Attempt::MAX.number());
    }
}
