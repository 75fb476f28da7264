//! Guards that the simulation can take away, so that it is known to notice when one is missing.
//!
//! They can be taken away only where the feature `simulation` was compiled in, which no build of the product has.

#[cfg(feature = "simulation")]
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether guards can be taken away in this build.
pub const REMOVABLE: bool = cfg!(feature = "simulation");

#[cfg(feature = "simulation")]
static TAKEN_AWAY: AtomicU8 = AtomicU8::new(0);

/// What keeps a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Guard {
    /// An ending counts only for the attempt that it names.
    AttemptOfEnding = 1,
    /// An ending counts only while its order is claimed.
    StatusOfEnding = 2,
    /// Only an attempt whose lease has passed is lost.
    LeaseOfSweep = 4,
    /// An order leaves the queue in the transaction that brings it into the log.
    OneTransaction = 8,
    /// Attempts after a restoration are numbered above all that were made before it.
    EpochOfRestore = 16,
}

impl Guard {
    /// Whether it holds: always, outside of simulations.
    #[cfg(not(feature = "simulation"))]
    pub(crate) const fn stands(self) -> bool {
        let _ = self;
        true
    }

    /// Whether it holds.
    #[cfg(feature = "simulation")]
    pub(crate) fn stands(self) -> bool {
        TAKEN_AWAY.load(Ordering::Relaxed) & self as u8 == 0
    }

    /// Takes it away from every broker of this process.
    #[cfg(feature = "simulation")]
    pub fn take_away(self) {
        TAKEN_AWAY.fetch_or(self as u8, Ordering::Relaxed);
    }
}
