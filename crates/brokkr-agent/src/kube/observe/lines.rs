//! The lines of a log as they come from the API.

use std::io;

use chrono::{DateTime, Utc};
use futures_util::{AsyncBufRead, AsyncBufReadExt};

/// The most bytes of one piece of a line.
const PIECE_BYTES_MAX: usize = 128 * 1024;
/// How many pieces are handed on at once.
const PIECES_MAX: usize = 256;

/// A line, or a part of one that is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Without the end of the line.
    pub(super) bytes: Vec<u8>,
    /// It begins a line, so the time comes first.
    pub(super) begins: bool,
    /// The line ends here.
    pub(super) ends: bool,
}

/// Takes the lines out of a stream.
#[derive(Debug)]
pub(super) struct Lines<S> {
    stream: S,
    bytes: Vec<u8>,
    begins: bool,
    /// Whether a last line without an end counts.
    rest: bool,
}

/// Some pieces, and how it goes on behind them.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) pieces: Vec<Piece>,
    pub(super) then: Then,
}

/// What comes behind a batch.
#[derive(Debug)]
pub(super) enum Then {
    More,
    /// The stream came to its end.
    End,
    /// The stream broke off.
    Broken(io::Error),
}

impl<S: AsyncBufRead + Unpin> Lines<S> {
    /// The lines of a stream that goes on until its container has ended. It may end earlier, in the middle of a line, so one
    /// without an end does not count.
    pub(super) fn of_following(stream: S) -> Self {
        Self::new(stream, false)
    }

    /// The lines of a stream of what is there.
    pub(super) fn of_all(stream: S) -> Self {
        Self::new(stream, true)
    }

    fn new(stream: S, rest: bool) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
            begins: true,
            rest,
        }
    }

    /// What has come, at least one piece unless nothing comes any more.
    pub(super) async fn next(&mut self) -> Batch {
        let mut pieces = Vec::new();
        let then = loop {
            let taken = self.stream.fill_buf().await.map(|buffer| {
                let line = buffer.iter().position(|byte| *byte == b'\n');
                let room = PIECE_BYTES_MAX - self.bytes.len();
                let length = line.map_or(buffer.len(), |end| end + 1).min(room);
                self.bytes.extend_from_slice(&buffer[..length]);
                (length, length < buffer.len())
            });
            let (length, more) = match taken {
                Err(error) => break Then::Broken(error),
                Ok((0, _)) => {
                    if self.rest && !self.bytes.is_empty() {
                        pieces.push(self.piece(true));
                    }
                    break Then::End;
                }
                Ok(taken) => taken,
            };
            self.stream.consume_unpin(length);
            if self.bytes.last() == Some(&b'\n') {
                self.bytes.pop();
                pieces.push(self.piece(true));
            } else if self.bytes.len() == PIECE_BYTES_MAX {
                pieces.push(self.piece(false));
            }
            let pause = self.bytes.is_empty() && !more;
            if !pieces.is_empty() && (pause || pieces.len() >= PIECES_MAX) {
                break Then::More;
            }
        };
        Batch { pieces, then }
    }

    fn piece(&mut self, ends: bool) -> Piece {
        Piece {
            bytes: std::mem::take(&mut self.bytes),
            begins: std::mem::replace(&mut self.begins, ends),
            ends,
        }
    }
}

/// The time of a line and what follows it (`timestamps=true`: RFC 3339 with nanoseconds, a space, the text).
pub(super) fn split(line: &[u8]) -> (Option<DateTime<Utc>>, &[u8]) {
    let parsed = line.iter().position(|byte| *byte == b' ').and_then(|space| {
        let time = std::str::from_utf8(&line[..space]).ok()?;
        let at = DateTime::parse_from_rfc3339(time).ok()?;
        Some((at.to_utc(), &line[space + 1..]))
    });
    match parsed {
        Some((at, text)) => (Some(at), text),
        None => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::io::Cursor as Bytes;

    use super::*;

    async fn all(mut lines: Lines<Bytes<Vec<u8>>>) -> Vec<Piece> {
        let mut all = Vec::new();
        loop {
            let batch = lines.next().await;
            all.extend(batch.pieces);
            if !matches!(batch.then, Then::More) {
                return all;
            }
        }
    }

    fn bytes(text: &str) -> Bytes<Vec<u8>> {
        Bytes::new(text.as_bytes().to_vec())
    }

    fn texts(pieces: &[Piece]) -> Vec<&str> {
        let each = pieces
            .iter()
            .map(|piece| std::str::from_utf8(&piece.bytes).unwrap());
        each.collect()
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_counts_only_at_the_true_end() {
        let cut = all(Lines::of_following(bytes("one\ntwo"))).await;
        assert_eq!(texts(&cut), ["one"]);
        let whole = all(Lines::of_all(bytes("one\ntwo"))).await;
        assert_eq!(texts(&whole), ["one", "two"]);
    }

    #[tokio::test]
    async fn empty_lines_are_lines() {
        assert_eq!(texts(&all(Lines::of_all(bytes("\n\n"))).await), ["", ""]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_comes_in_pieces_that_say_so() {
        let text = format!("{}\nend\n", "x".repeat(2 * PIECE_BYTES_MAX + 1));
        let pieces = all(Lines::of_following(bytes(&text))).await;
        let ends: Vec<_> = pieces.iter().map(|piece| (piece.begins, piece.ends)).collect();
        assert_eq!(ends, [(true, false), (false, false), (false, true), (true, true)]);
        assert_eq!(texts(&pieces)[3], "end");
    }

    #[tokio::test]
    async fn a_line_that_just_fits_is_whole() {
        let text = format!("{}\nend\n", "x".repeat(PIECE_BYTES_MAX - 1));
        let pieces = all(Lines::of_following(bytes(&text))).await;
        assert_eq!(pieces.len(), 2);
        assert!(pieces.iter().all(|piece| piece.begins && piece.ends));
    }

    #[test]
    fn the_time_is_taken_off_a_line() {
        let (at, text) = split(b"2026-01-02T03:04:05.123456789Z hello world");
        assert_eq!(at.unwrap().timestamp_subsec_nanos(), 123_456_789);
        assert_eq!(text, b"hello world");
        let (at, text) = split(b"2026-01-02T03:04:05Z ");
        assert_eq!((at.is_some(), text), (true, b"".as_slice()));
        let (at, text) = split(b"no time here");
        assert_eq!((at, text), (None, b"no time here".as_slice()));
    }
}
