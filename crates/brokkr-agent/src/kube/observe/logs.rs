//! Following the log of one container, across everything that interrupts a stream.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::kube::Api;
use ::kube::api::LogParams;
use chrono::{DateTime, Utc};
use futures_util::{AsyncBufRead, AsyncBufReadExt};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::cursor::{Cursor, Verdict};
use super::tape::{Frame, Source, Tape};

/// How long to wait before a stream is opened again.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_LONGEST: Duration = Duration::from_secs(5);
/// The most bytes of one line; what is longer is cut into several.
const LINE_BYTES_MAX: usize = 128 * 1024;
/// How many lines are handed on at once.
const LINES_MAX: usize = 256;

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has not started, or is about to start again.
    Waiting,
    /// It runs.
    Running,
    /// It has ended and does not start again.
    Ended,
    /// Its pod is gone, and its log with it.
    Gone,
}

/// Follows one container.
pub(super) struct Follower {
    pub(super) pods: Api<Pod>,
    pub(super) source: Source,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) tape: Arc<Mutex<Tape>>,
    pub(super) cursor: Cursor,
    /// How long a request may take until it is answered.
    pub(super) limit: Duration,
}

/// A line, or a piece of one that is too long.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    bytes: Vec<u8>,
    /// It goes on with the line of the piece before.
    continues: bool,
}

/// How reading a stream ended.
enum Read {
    /// The server said that this is all.
    Whole,
    /// It broke off.
    Broken,
    /// There is nothing to read yet or any more.
    Refused,
}

impl Follower {
    /// Completes when everything that the container printed has been handed on, or is gone.
    pub(super) async fn run(mut self) {
        let mut wait = AGAIN_FIRST;
        loop {
            let progress = *self.progress.borrow_and_update();
            let ended = match progress {
                Progress::Gone => return,
                Progress::Ended => true,
                Progress::Running => false,
                Progress::Waiting => {
                    if self.progress.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            // Once the container has ended, what can be read is all there will ever be.
            let (read, lines) = self.read(!ended).await;
            if ended && matches!(read, Read::Whole) {
                return;
            }
            if lines > 0 {
                wait = AGAIN_FIRST;
            }
            tokio::select! {
                () = sleep(wait) => wait = (wait * 2).min(AGAIN_LONGEST),
                changed = self.progress.changed() => match changed {
                    Ok(()) => wait = AGAIN_FIRST,
                    Err(_) => return,
                },
            }
        }
    }

    /// Reads what is new. Answers how that ended and how many lines came.
    async fn read(&mut self, follow: bool) -> (Read, usize) {
        let params = LogParams {
            container: Some(self.source.container.clone()),
            follow,
            timestamps: true,
            since_time: self
                .cursor
                .since()
                .and_then(|since| jiff::Timestamp::from_second(since.timestamp()).ok()),
            ..LogParams::default()
        };
        self.cursor.resume();
        let opened = timeout(self.limit, self.pods.log_stream(&self.source.pod, &params)).await;
        let stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(::kube::Error::Api(status))) => {
                debug!(
                    pod = self.source.pod,
                    container = self.source.container,
                    code = status.code,
                    "no log yet"
                );
                return (Read::Refused, 0);
            }
            Ok(Err(_)) | Err(_) => return (Read::Broken, 0),
        };
        let mut stream = pin!(stream);
        let mut lines = 0;
        let mut continues = false;
        loop {
            match next_lines(&mut stream, &mut continues, !follow).await {
                Ok((read, whole)) => {
                    lines += read.len();
                    self.take(read).await;
                    if whole {
                        return (Read::Whole, lines);
                    }
                }
                Err(read) => {
                    lines += read.len();
                    self.take(read).await;
                    return (Read::Broken, lines);
                }
            }
        }
    }

    async fn take(&mut self, lines: Vec<Piece>) {
        let mut frames = Vec::new();
        for line in lines {
            let (at, text) = match (split(&line.bytes), line.continues, self.cursor.latest()) {
                ((Some(at), text), false, _) => (at, text),
                (_, true, Some(at)) => (at, line.bytes.as_slice()),
                // Every line of a container has a time. This is the kubelet's own remark that it cannot read the log.
                ((_, remark), ..) => {
                    debug!(pod = self.source.pod, remark = %String::from_utf8_lossy(remark), "no line of the log");
                    continue;
                }
            };
            let source = self.source.clone();
            match self.cursor.judge(at, text) {
                Verdict::Known => continue,
                Verdict::New => {}
                Verdict::NewBehindGap => frames.push(Frame::Gap {
                    source: source.clone(),
                    at,
                }),
            }
            frames.push(Frame::Line {
                source,
                at,
                text: String::from_utf8_lossy(text).into_owned(),
            });
        }
        if !frames.is_empty() {
            self.tape.lock().await.add(frames).await;
        }
    }
}

/// The lines that are there, at least one, and whether these were the last. `continues` says whether the next piece goes on
/// with the last one, `rest` whether a last line without an end counts. In the error case the stream broke off behind them.
async fn next_lines<S>(
    stream: &mut S,
    continues: &mut bool,
    rest: bool,
) -> Result<(Vec<Piece>, bool), Vec<Piece>>
where
    S: AsyncBufRead + Unpin,
{
    let mut lines = Vec::new();
    let mut line = Vec::new();
    loop {
        let Ok(buffer) = stream.fill_buf().await else {
            return Err(lines);
        };
        if buffer.is_empty() {
            if rest && !line.is_empty() {
                lines.push(Piece {
                    bytes: line,
                    continues: *continues,
                });
            }
            return Ok((lines, true));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end
            .map_or(buffer.len(), |end| end + 1)
            .min(LINE_BYTES_MAX.saturating_sub(line.len()).max(1));
        line.extend_from_slice(&buffer[..length]);
        let more = length < buffer.len();
        stream.consume_unpin(length);
        let complete = line.last() == Some(&b'\n');
        if complete || line.len() >= LINE_BYTES_MAX {
            if complete {
                line.pop();
            }
            let bytes = std::mem::take(&mut line);
            lines.push(Piece {
                bytes,
                continues: *continues,
            });
            *continues = !complete;
        }
        if line.is_empty() && !lines.is_empty() && (!more || lines.len() >= LINES_MAX) {
            return Ok((lines, false));
        }
    }
}

/// The time of a line and what follows it (`timestamps=true`: RFC 3339 with nanoseconds, a space, the text).
fn split(line: &[u8]) -> (Option<DateTime<Utc>>, &[u8]) {
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

    async fn all(text: &str, rest: bool) -> (Vec<String>, bool) {
        let mut stream = Bytes::new(text.as_bytes().to_vec());
        let mut all = Vec::new();
        let mut continues = false;
        loop {
            let (lines, whole) = next_lines(&mut stream, &mut continues, rest).await.unwrap();
            all.extend(
                lines
                    .into_iter()
                    .map(|line| String::from_utf8(line.bytes).unwrap()),
            );
            if whole {
                return (all, whole);
            }
        }
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_counts_only_at_the_true_end() {
        assert_eq!(all("one\ntwo", false).await.0, ["one"]);
        assert_eq!(all("one\ntwo", true).await.0, ["one", "two"]);
        assert_eq!(all("\n\n", true).await.0, ["", ""]);
    }

    #[tokio::test]
    async fn a_line_without_end_does_not_fill_the_memory() {
        let long = "x".repeat(3 * LINE_BYTES_MAX);
        let (lines, _) = all(&long, true).await;
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn the_time_is_taken_off_a_line() {
        let (at, text) = split(b"2026-01-02T03:04:05.123456789Z hello world");
        assert_eq!(at.unwrap().timestamp_subsec_nanos(), 123_456_789);
        assert_eq!(text, b"hello world");
        let (at, text) = split(b"no time here");
        assert_eq!((at, text), (None, b"no time here".as_slice()));
    }
}
