//! Spans of time as people read them: `5s`, `3m20s`, `2h`, `4d`.

use brokkr_api::Time;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// How long ago something was. Clocks differ a little, so what lies ahead is `0s`.
pub(crate) fn since(then: Time, now: Time) -> String {
    seconds((now.as_micros() - then.as_micros()).max(0) / 1_000_000)
}

/// How long something took; below ten seconds with tenths.
pub(crate) fn between(start: Time, end: Time) -> String {
    let micros = (end.as_micros() - start.as_micros()).max(0);
    if micros < 10_000_000 {
        let tenths = (micros + 50_000) / 100_000;
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    seconds(micros / 1_000_000)
}

/// How far away something is, in either direction: `in 5m` or `5m ago`.
pub(crate) fn relative(time: Time, now: Time) -> String {
    let micros = time.as_micros() - now.as_micros();
    if 0 < micros {
        format!("in {}", seconds(micros / 1_000_000))
    } else {
        format!("{} ago", since(time, now))
    }
}

/// A whole number of seconds with at most two units, fewer the longer it is.
pub(crate) fn seconds(total: i64) -> String {
    let two = |unit: i64, name: &str, sub: i64, sub_name: &str| match total % unit / sub {
        0 => format!("{}{name}", total / unit),
        rest => format!("{}{name}{rest}{sub_name}", total / unit),
    };
    match total {
        ..120 => format!("{total}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", total / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", total / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", total / DAY),
        _ => two(YEAR, "y", DAY, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_kubectls() {
        let shown = [
            0, 119, 120, 330, 600, 7_200, 10_800, 11_100, 90_000, 180_000, 864_000, 70_000_000,
        ]
        .map(seconds);
        let expected = [
            "0s", "119s", "2m", "5m30s", "10m", "120m", "3h", "3h5m", "25h", "2d2h", "10d", "2y80d",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn short_work_is_shown_in_tenths() {
        let at = Time::from_micros;
        assert_eq!(between(at(0), at(1_240_000)), "1.2s");
        assert_eq!(between(at(5), at(0)), "0.0s");
        assert_eq!(between(at(0), at(61_000_000)), "61s");
    }

    #[test]
    fn a_clock_that_is_ahead_makes_no_negative_ages() {
        assert_eq!(since(Time::from_micros(9_000_000), Time::from_micros(0)), "0s");
        assert_eq!(
            relative(Time::from_micros(9_000_000), Time::from_micros(0)),
            "in 9s"
        );
    }
}
