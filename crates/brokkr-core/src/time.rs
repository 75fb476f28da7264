//! Points in time, as every part of Brokkr stores and compares them.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A point in time: whole microseconds since 1970-01-01T00:00:00Z.
///
/// Microseconds because that is what PostgreSQL keeps; a finer clock would make a value differ from its stored self.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest time that every part of Brokkr can store and print: the end of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// Makes a time from microseconds since the epoch, cut to the range that RFC 3339 can print.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        if micros > Self::MAX.0 {
            Self::MAX
        } else if micros < 0 {
            Self(0)
        } else {
            Self(micros)
        }
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down. Never negative.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        (self.0 / 1_000) as u64
    }

    /// This time and `seconds` more. Stops at [`Timestamp::MAX`] instead of overflowing.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        let micros = if seconds > i64::MAX as u64 {
            i64::MAX
        } else {
            (seconds as i64).saturating_mul(MICROS_PER_SECOND)
        };
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This time and a duration more. Stops at [`Timestamp::MAX`] instead of overflowing.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This time less a duration. Stops at the epoch.
    #[must_use]
    pub fn minus(self, duration: std::time::Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// The same time for the calendar and for printing.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_micros(time.timestamp_micros())
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(time: Timestamp) -> Self {
        time.to_datetime()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_datetime().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_as_rfc_3339_with_six_digits_and_z() {
        assert_eq!(
            Timestamp::from_micros(1_700_000_000_000_001).to_string(),
            "2023-11-14T22:13:20.000001Z"
        );
    }

    #[test]
    fn adding_for_ever_stops_at_the_last_printable_time() {
        assert_eq!(Timestamp::from_micros(5).plus_seconds(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_time_before_another_is_no_time_after_it() {
        assert!(
            Timestamp::from_micros(1)
                .since(Timestamp::from_micros(2))
                .is_zero()
        );
    }
}
