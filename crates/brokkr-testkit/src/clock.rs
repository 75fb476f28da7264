//! A clock that a test moves by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use brokkr_broker::app::clock::Clock;
use brokkr_core::time::Timestamp;

/// 2030-01-02T03:04:05.678901Z: every part differs from its neighbours and from a default.
const START: Timestamp = Timestamp::from_micros(1_893_553_445_678_901);

/// Stands still until it is advanced. All clones are one clock.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// A clock that stands at 2030-01-02T03:04:05.678901Z.
    #[must_use]
    pub fn new() -> Self {
        Self::at(START)
    }

    /// A clock that stands at `time`.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(time.as_micros())))
    }

    /// Moves the clock forward and returns the new time.
    pub fn advance(&self, duration: Duration) -> Timestamp {
        let later = self.now().plus(duration);
        self.0.store(later.as_micros(), Ordering::SeqCst);
        later
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_moves_only_when_it_is_advanced_and_takes_its_clones_along() {
        let clock = FakeClock::new();
        let clone = clock.clone();
        let before = clone.now();

        clock.advance(Duration::from_secs(5));

        assert_eq!(clone.now(), before.plus_seconds(5));
        assert_eq!(before.to_string(), "2030-01-02T03:04:05.678901Z");
    }
}
