//! How long to wait before asking the broker again.

use std::time::Duration;

/// Exponential waiting with jitter, so that many agents do not come back at the same moment.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    state: u64,
    failures: u32,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Waits between `first / 2` and `longest`. `seed` decides the jitter.
    pub(crate) fn new(seed: u64, first: Duration, longest: Duration) -> Self {
        Self {
            state: seed,
            failures: 0,
            first,
            longest,
        }
    }

    /// Starts over after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait, never shorter than what the broker asked for; that is asked of everybody, so each adds a little.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let ceiling = self
            .first
            .saturating_mul(1_u32 << self.failures.min(16))
            .min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let jittered = ceiling.mul_f64(0.5 + self.fraction() / 2.0);
        match retry_after {
            Some(asked) => jittered.max(asked.mul_f64(1.0 + self.fraction() / 4.0)),
            None => jittered,
        }
    }

    /// A time between nothing and `longest`, each as likely as any other.
    pub(crate) fn spread(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.fraction())
    }

    /// A number in `0.0..1.0` (SplitMix64).
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn waits_grow_but_never_past_the_longest() {
        let mut backoff = Backoff::new(7, FIRST, LONGEST);
        let waits: Vec<_> = (0..40).map(|_| backoff.next(None)).collect();
        assert!(FIRST / 2 <= waits[0] && waits[0] <= FIRST);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[39] >= LONGEST / 2);
    }

    #[test]
    fn the_brokers_wish_is_the_least_wait_and_not_the_same_for_all() {
        let asked = Duration::from_secs(8);
        let waits: Vec<_> = (0..9)
            .map(|seed| Backoff::new(seed, FIRST, LONGEST).next(Some(asked)))
            .collect();
        assert!(waits.iter().all(|wait| asked <= *wait && *wait <= asked * 5 / 4));
        assert!(waits.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn agents_that_were_answered_together_come_back_one_by_one() {
        let spread = |seed| Backoff::new(seed, FIRST, LONGEST).spread(LONGEST);
        assert!((0..100).all(|seed| spread(seed) <= LONGEST));
        assert!(spread(1) != spread(2));
    }

    #[test]
    fn a_success_starts_over() {
        let mut backoff = Backoff::new(7, FIRST, LONGEST);
        for _ in 0..10 {
            backoff.next(None);
        }
        backoff.reset();
        assert!(backoff.next(None) <= FIRST);
    }
}
