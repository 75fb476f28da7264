//! Which lines of a container's log were delivered, so that a stream that is opened again neither doubles nor loses any.
//!
//! A log can be read again only from a whole second on (`sinceTime` reaches the kubelet without its fraction). So everything
//! that was delivered of the last second is remembered, and left out when it comes again. If none of it comes again, the node
//! has removed it, and whatever else was written before the first line that does come.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, SubsecRound, Utc};

/// A line: its time, and a digest of its text.
type Line = (DateTime<Utc>, u64);

/// The place in one container's log.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Which run of the container it is in: how often that had been started again.
    run: i32,
    /// The latest time of a line that was delivered.
    latest: Option<DateTime<Utc>>,
    /// The lines of that second that were delivered, and how often.
    delivered: HashMap<Line, usize>,
    /// Those that have not come again since the stream was opened.
    missing: HashMap<Line, usize>,
    /// A line that was delivered has to come before any new one, else lines are gone.
    expecting: bool,
    /// Nothing of this run was delivered yet.
    is_new_run: bool,
    /// Lines are gone before the next new one.
    gap: bool,
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
    /// Which run of the container it is in.
    pub(super) fn run(&self) -> i32 {
        self.run
    }

    /// From where the log has to be read; nothing for its beginning.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        self.latest.map(|latest| latest.trunc_subsecs(0))
    }

    /// What comes from now on is of another run of the container. It was written after all that was delivered.
    pub(super) fn enter(&mut self, run: i32) {
        self.is_new_run |= run != self.run;
        self.run = run;
    }

    /// Lines before the next new one are gone.
    pub(super) fn lose(&mut self) {
        self.gap = true;
    }

    /// A stream begins at [`since`](Self::since).
    pub(super) fn resume(&mut self) {
        self.missing = self.delivered.clone();
        self.expecting = !self.delivered.is_empty() && !self.is_new_run;
    }

    /// Whether such a line as the next one means that lines before it are gone.
    pub(super) fn shows_a_gap(&self, at: DateTime<Utc>, text: &[u8]) -> bool {
        self.expecting && !self.missing.contains_key(&(at, digest(text)))
    }

    /// Judges a line that came in, and takes it as delivered when it is new.
    pub(super) fn judge(&mut self, at: DateTime<Utc>, text: &[u8]) -> Verdict {
        let line = (at, digest(text));
        if let Some(count) = self.missing.get_mut(&line).filter(|count| **count > 0) {
            *count -= 1;
            self.expecting = false;
            return Verdict::Known;
        }
        let gap = std::mem::take(&mut self.expecting) | std::mem::take(&mut self.gap);
        self.is_new_run = false;
        self.deliver(line);
        if gap { Verdict::NewBehindGap } else { Verdict::New }
    }

    fn deliver(&mut self, line: Line) {
        if self.latest.is_none_or(|latest| latest < line.0) {
            let before = self.since();
            self.latest = Some(line.0);
            let since = self.since();
            if before != since {
                self.delivered.retain(|(at, _), _| Some(*at) >= since);
            }
        }
        *self.delivered.entry(line).or_default() += 1;
    }
}

fn digest(text: &[u8]) -> u64 {
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

    fn cursor_behind(lines: &[(i64, &str)]) -> Cursor {
        let mut cursor = Cursor::default();
        for (millis, text) in lines {
            assert_eq!(cursor.judge(at(*millis), text.as_bytes()), Verdict::New);
        }
        cursor
    }

    #[test]
    fn lines_of_the_last_second_that_come_again_are_left_out_once_each() {
        let mut cursor = cursor_behind(&[(900, "a"), (1100, "b"), (1100, "b"), (1200, "c")]);
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
        let mut cursor = cursor_behind(&[(1100, "a")]);
        cursor.resume();
        assert!(cursor.shows_a_gap(at(9000), b"z"));
        assert_eq!(cursor.judge(at(9000), b"z"), Verdict::NewBehindGap);
        assert_eq!(cursor.judge(at(9001), b"y"), Verdict::New);
    }

    #[test]
    fn nothing_is_gone_while_the_last_line_that_was_delivered_is_still_there() {
        let mut cursor = cursor_behind(&[(1100, "a"), (1200, "b")]);
        cursor.resume();
        assert!(!cursor.shows_a_gap(at(1200), b"b"));
        assert_eq!(cursor.judge(at(1200), b"b"), Verdict::Known);
        assert_eq!(cursor.judge(at(1300), b"c"), Verdict::New);
    }

    #[test]
    fn a_stream_that_was_cut_more_than_once_still_knows_every_line() {
        let mut cursor = cursor_behind(&[(1100, "a"), (1200, "b")]);
        cursor.resume();
        assert_eq!(cursor.judge(at(1100), b"a"), Verdict::Known);
        cursor.resume();
        assert_eq!(cursor.judge(at(1100), b"a"), Verdict::Known);
        assert_eq!(cursor.judge(at(1200), b"b"), Verdict::Known);
        assert_eq!(cursor.judge(at(1250), b"c"), Verdict::New);
    }

    #[test]
    fn the_first_line_of_another_run_is_behind_no_gap() {
        let mut cursor = cursor_behind(&[(1100, "a")]);
        cursor.enter(1);
        cursor.resume();
        assert_eq!(cursor.judge(at(1500), b"a"), Verdict::New);
        cursor.resume();
        assert_eq!(cursor.judge(at(1500), b"a"), Verdict::Known);
        assert_eq!(cursor.run(), 1);
    }

    #[test]
    fn what_is_known_to_be_lost_is_told_once() {
        let mut cursor = cursor_behind(&[(1100, "a")]);
        cursor.enter(3);
        cursor.lose();
        cursor.resume();
        assert_eq!(cursor.judge(at(1500), b"x"), Verdict::NewBehindGap);
        assert_eq!(cursor.judge(at(1500), b"y"), Verdict::New);
    }
}
