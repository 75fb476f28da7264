//! When the agent begins work: maintenance windows.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// How far into the future the end of a window is looked for.
const HORIZON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The shortest window.
const DURATION_MIN: SignedDuration = SignedDuration::from_mins(1);
/// The longest window.
const DURATION_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Whether work may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// It may.
    Open {
        /// The first moment at which it may not. Nothing when that is not within a week.
        until: Option<DateTime<Utc>>,
    },
    /// It may not.
    Closed {
        /// The first moment at which it may.
        until: DateTime<Utc>,
    },
}

/// A window that opens again and again, for the same time whatever the clocks do meanwhile.
#[derive(Debug, Clone)]
pub(super) struct MaintenanceWindow {
    start: Cron,
    duration: SignedDuration,
    zone: TimeZone,
}

impl MaintenanceWindow {
    /// Reads when it opens, for how long, and in which zone the clock hangs.
    pub(super) fn new(start: Cron, duration: SignedDuration, zone: TimeZone) -> Self {
        Self {
            start,
            duration,
            zone,
        }
    }

    /// When it closes, if it is open at this time. Of two openings that overlap the later one counts.
    fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        let at = Zoned::new(at, self.zone.clone());
        let opened = self.start.find_previous_occurrence(&at, true).ok()?;
        let closes = opened.timestamp().checked_add(self.duration).ok()?;
        (at.timestamp() < closes).then_some(closes)
    }

    /// When it opens next.
    fn opens(&self, after: Timestamp) -> Option<Timestamp> {
        let after = Zoned::new(after, self.zone.clone());
        let opens = self.start.find_next_occurrence(&after, false).ok()?;
        Some(opens.timestamp())
    }
}

/// The fields of a crontab: minute, hour, day of month, month, day of week. Answers nothing for a moment that never comes.
pub(super) fn read_start(text: &str) -> Option<Cron> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let start = parser.parse(text).ok()?;
    let comes = start.find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), true);
    comes.is_ok().then_some(start)
}

/// A time like `6h` or `1h 30m`, between a minute and 31 days.
pub(super) fn read_duration(text: &str) -> Option<SignedDuration> {
    let duration: SignedDuration = text.parse().ok()?;
    (DURATION_MIN..=DURATION_MAX)
        .contains(&duration)
        .then_some(duration)
}

/// Whether work may begin now. Without any window it always may.
pub(super) fn state(windows: &[MaintenanceWindow], now: DateTime<Utc>) -> Window {
    let Some(now) = timestamp(now).filter(|_| !windows.is_empty()) else {
        return Window::Open { until: None };
    };
    if let Some(closes) = latest_close(windows, now) {
        let until = unbroken_until(windows, now, closes);
        return Window::Open {
            until: until.and_then(utc),
        };
    }
    let opens = windows.iter().filter_map(|window| window.opens(now)).min();
    Window::Closed {
        until: opens.and_then(utc).unwrap_or(DateTime::<Utc>::MAX_UTC),
    }
}

fn latest_close(windows: &[MaintenanceWindow], at: Timestamp) -> Option<Timestamp> {
    windows.iter().filter_map(|window| window.closes(at)).max()
}

/// The end of all windows that follow each other without a gap.
fn unbroken_until(windows: &[MaintenanceWindow], now: Timestamp, mut closes: Timestamp) -> Option<Timestamp> {
    let horizon = now.checked_add(HORIZON).ok()?;
    while let Some(later) = latest_close(windows, closes) {
        closes = later;
        if horizon < closes {
            return None;
        }
    }
    Some(closes)
}

fn timestamp(at: DateTime<Utc>) -> Option<Timestamp> {
    Timestamp::from_microsecond(at.timestamp_micros()).ok()
}

fn utc(at: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(at.as_microsecond())
}

#[cfg(test)]
mod tests;
