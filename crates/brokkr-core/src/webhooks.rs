//! When a webhook is told again.

use std::time::Duration;

use crate::retry::jittered;

/// The wait after the first failure, before it is shortened at random: 5 seconds.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(5);
/// The longest wait between two attempts: an hour, so that a receiver that is back hears everything within that.
pub const BACKOFF_MAX: Duration = Duration::from_secs(3_600);

/// How long to wait before a delivery that was sent `attempts` times is sent again: doubled each time, between [`BACKOFF_FIRST`]
/// and [`BACKOFF_MAX`], shortened at random by up to half.
#[must_use]
pub fn backoff(attempts: u32, random: u64) -> Duration {
    let doubled = 1_u64
        .checked_shl(attempts.saturating_sub(1))
        .unwrap_or(u64::MAX)
        .saturating_mul(BACKOFF_FIRST.as_secs());
    jittered(doubled.min(BACKOFF_MAX.as_secs()), random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_an_hour_and_is_never_less_than_half() {
        let longest: Vec<_> = [1, 2, 3, 10, 11, 64, u32::MAX]
            .into_iter()
            .map(|attempts| backoff(attempts, u64::MAX).as_secs_f64().round())
            .collect();
        assert_eq!(longest, [5.0, 10.0, 20.0, 2_560.0, 3_600.0, 3_600.0, 3_600.0]);
        assert_eq!(backoff(1, 0), BACKOFF_FIRST / 2);
        assert_eq!(backoff(u32::MAX, 0), BACKOFF_MAX / 2);
    }
}
