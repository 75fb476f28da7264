//! Which lines of a container's log were delivered, so that a stream that is opened again neither doubles nor loses any.
//!
//! A log can be read again only from a whole second on (`sinceTime` reaches the kubelet without its fraction). So everything
//! that was delivered of the last second is remembered, and left out when it comes again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, SubsecRound, Utc};

/// The place in one container's log.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The latest time of a line that was delivered.
    latest: Option<DateTime<Utc>>,
    /// The lines of that second that were delivered, by time and text, and how often.
    delivered: HashMap<(DateTime<Utc>, u64), usize>,
    /// Those that have not come again since the stream was opened.
    missing: HashMap<(DateTime<Utc>, u64), usize>,
    /// Whether any has come again since then.
    met: bool,
    resumed: bool,
}

/// What is to be done with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was delivered before.
    Known,
    /// It is new.
    New,
    /// It is new, and lines before it are gone.
    NewBehindGap,
}

impl Cursor {
    /// From where the log has to be read; nothing for its beginning.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        self.latest.map(|latest| latest.trunc_subsecs(0))
    }

    /// The latest time of a line that was delivered.
    pub(super) fn latest(&self) -> Option<DateTime<Utc>> {
        self.latest
    }

    /// A stream begins at [`since`](Self::since).
    pub(super) fn resume(&mut self) {
        self.missing = self.delivered.clone();
        self.met = false;
        self.resumed = !self.delivered.is_empty();
    }

    /// Judges a line that came in, and takes it as delivered when it is new.
    pub(super) fn judge(&mut self, at: DateTime<Utc>, text: &[u8]) -> Verdict {
        let key = (at, hash(text));
        if let Some(count) = self.missing.get_mut(&key).filter(|count| **count > 0) {
            *count -= 1;
            self.met = true;
            return Verdict::Known;
        }
        let gap = self.resumed && !self.met;
        self.resumed = false;
        self.deliver(at, key);
        if gap { Verdict::NewBehindGap } else { Verdict::New }
    }

    fn deliver(&mut self, at: DateTime<Utc>, key: (DateTime<Utc>, u64)) {
        if self.latest.is_none_or(|latest| latest < at) {
            let before = self.since();
            self.latest = Some(at);
            let since = self.since();
            if before != since {
                self.delivered.retain(|(at, _), _| Some(*at) >= since);
            }
        }
        *self.delivered.entry(key).or_default() += 1;
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }

    #[test]
    fn lines_of_the_last_second_that_come_again_are_left_out_once_each() {
        let mut cursor = Cursor::default();
        for (millis, text) in [(900, "a"), (1100, "b"), (1100, "b"), (1200, "c")] {
            assert_eq!(cursor.judge(at(millis), text.as_bytes()), Verdict::New);
        }
        assert_eq!(cursor.since(), Some(at(1000)));
        cursor.resume();
        for (millis, text) in [(1100, "b"), (1100, "b"), (1200, "c")] {
            assert_eq!(cursor.judge(at(millis), text.as_bytes()), Verdict::Known);
        }
        assert_eq!(
            cursor.judge(at(1200), b"c"),
            Verdict::New,
            "the same line once more"
        );
        assert_eq!(cursor.judge(at(1300), b"d"), Verdict::New);
    }

    #[test]
    fn lines_that_do_not_come_again_were_rotated_away_with_what_followed() {
        let mut cursor = Cursor::default();
        cursor.judge(at(1100), b"a");
        cursor.resume();
        assert_eq!(cursor.judge(at(9000), b"z"), Verdict::NewBehindGap);
        assert_eq!(cursor.judge(at(9001), b"y"), Verdict::New);
    }

    #[test]
    fn a_stream_that_was_cut_more_than_once_still_knows_every_line() {
        let mut cursor = Cursor::default();
        cursor.judge(at(1100), b"a");
        cursor.judge(at(1200), b"b");
        cursor.resume();
        assert_eq!(cursor.judge(at(1100), b"a"), Verdict::Known);
        cursor.resume();
        assert_eq!(cursor.judge(at(1100), b"a"), Verdict::Known);
        assert_eq!(cursor.judge(at(1200), b"b"), Verdict::Known);
        assert_eq!(cursor.judge(at(1250), b"c"), Verdict::New);
    }
}
