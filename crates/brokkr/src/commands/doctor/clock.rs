//! How far two clocks are apart.

use brokkr_api::Time;
use chrono::DateTime;

/// Beyond this, ages and times that people type are misleading. Leases are not: only the broker's clock decides about them.
pub(super) const SKEW_SECONDS_MAX: i64 = 5;

/// Seconds by which this host is ahead of the `Date` header that was received between two readings of its clock. The header
/// has whole seconds, so a difference within them is none.
pub(super) fn skew_seconds(date: &str, before: Time, after: Time) -> Option<i64> {
    let told = DateTime::parse_from_rfc2822(date).ok()?.timestamp();
    let (before, after) = (
        before.as_micros().div_euclid(1_000_000),
        after.as_micros().div_euclid(1_000_000),
    );
    if after < told {
        Some(after - told)
    } else if told < before {
        Some(before - told)
    } else {
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_is_told_in_both_directions_and_the_round_trip_is_none() {
        let date = "Thu, 01 Jan 1970 00:01:40 GMT";
        let at = |seconds: i64| Time::from_micros(seconds * 1_000_000);
        assert_eq!(skew_seconds(date, at(99), at(101)), Some(0));
        assert_eq!(skew_seconds(date, at(110), at(111)), Some(10));
        assert_eq!(skew_seconds(date, at(80), at(81)), Some(-19));
        assert_eq!(skew_seconds("yesterday", at(0), at(1)), None);
    }
}
