//! Times for people: how long ago, with the exact time beside it.

use brokkr_api::Time;
use brokkr_core::time::Timestamp;

const STEPS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
const MICROS: i64 = 1_000_000;

/// A time as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    /// As machines read it.
    pub(super) exact: String,
    /// As people say it.
    pub(super) said: String,
}

impl When {
    pub(super) fn new(time: Time, now: Timestamp) -> When {
        let seconds = (now.as_micros() - time.as_micros()) / MICROS;
        let said = match seconds {
            0 => "now".to_owned(),
            1.. => format!("{} ago", span(seconds)),
            _ => format!("in {}", span(-seconds)),
        };
        When {
            exact: time.to_string(),
            said,
        }
    }

    /// The same, of a time as the broker keeps it.
    pub(super) fn at(time: Timestamp, now: Timestamp) -> When {
        When::new(Time::from_micros(time.as_micros()), now)
    }

    pub(super) fn maybe(time: Option<Time>, now: Timestamp) -> Option<When> {
        time.map(|time| When::new(time, now))
    }
}

/// The largest unit and the one below it: `3 h 20 min`.
pub(super) fn span(seconds: i64) -> String {
    let Some(first) = STEPS.iter().position(|(size, _)| seconds >= *size) else {
        return "0 s".to_owned();
    };
    let (size, unit) = STEPS[first];
    let whole = format!("{} {unit}", seconds / size);
    match STEPS.get(first + 1) {
        Some((below, name)) if seconds % size >= *below => {
            format!("{whole} {} {name}", seconds % size / below)
        }
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_two_units_at_most() {
        assert_eq!(span(0), "0 s");
        assert_eq!(span(59), "59 s");
        assert_eq!(span(3_600), "1 h");
        assert_eq!(span(12_000), "3 h 20 min");
        assert_eq!(span(90_061), "1 d 1 h");
    }

    #[test]
    fn a_time_to_come_is_not_said_to_have_passed() {
        let now = Timestamp::from_micros(60 * MICROS);
        assert_eq!(When::new(Time::from_micros(0), now).said, "1 min ago");
        assert_eq!(When::new(Time::from_micros(120 * MICROS), now).said, "in 1 min");
    }
}
