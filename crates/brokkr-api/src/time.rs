//! Points in time as they are written on the wire.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// 0000-01-01T00:00:00Z, the first instant that RFC 3339 can write.
const MICROS_MIN: i64 = -62_167_219_200_000_000;
/// 9999-12-31T23:59:59.999999Z, the last one.
const MICROS_MAX: i64 = 253_402_300_799_999_999;

/// A point in time: RFC 3339, UTC, always six fractional digits and `Z`. Any offset is accepted when reading.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-31T09:30:00.000000Z")]
pub struct Time(i64);

/// A text that is not an RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeError;

impl Time {
    /// From microseconds since the Unix epoch, clamped to the years 0 to 9999.
    pub fn from_micros(micros: i64) -> Time {
        Time(micros.clamp(MICROS_MIN, MICROS_MAX))
    }

    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }
}

impl From<DateTime<Utc>> for Time {
    /// Drops what is finer than a microsecond.
    fn from(at: DateTime<Utc>) -> Time {
        Time::from_micros(at.timestamp_micros())
    }
}

impl From<Time> for DateTime<Utc> {
    fn from(time: Time) -> DateTime<Utc> {
        // The bounds of `Time` lie well inside those of chrono, so the default is never taken.
        DateTime::from_timestamp_micros(time.0).unwrap_or_default()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at: DateTime<Utc> = (*self).into();
        f.write_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 time such as 2026-01-31T09:30:00Z")
    }
}

impl std::error::Error for TimeError {}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Time, TimeError> {
        let at = DateTime::parse_from_rfc3339(text).map_err(|_| TimeError)?;
        Ok(at.to_utc().into())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_six_digits_and_z() {
        assert_eq!(Time::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            Time::from_micros(1_500_000).to_string(),
            "1970-01-01T00:00:01.500000Z"
        );
    }

    #[test]
    fn a_time_in_another_offset_is_read_as_utc() {
        let time: Time = "1970-01-01T02:00:00.0000019+02:00".parse().unwrap();
        assert_eq!(time.as_micros(), 1);
    }

    #[test]
    fn the_bounds_survive_the_wire() {
        for micros in [i64::MIN, i64::MAX] {
            let time = Time::from_micros(micros);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "yesterday", "2026-01-31", "2026-01-31T09:30:00"] {
            assert_eq!(text.parse::<Time>(), Err(TimeError), "{text}");
        }
    }
}
