//! What containers have written, as a kubelet keeps it.
//!
//! A line appears once it is complete, or its container has ended. Only the last two runs of a container are kept:
//! the current one, and the one before it (`previous`).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::{Stream, stream};
use tokio::sync::watch;

/// What to read of a container's log. The defaults read all of the current run, up to now.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogQuery {
    /// Until the container has ended.
    pub(crate) follow: bool,
    /// Each line behind its time, RFC 3339 with nine digits of fraction.
    pub(crate) timestamps: bool,
    /// Only whole seconds count, because no more reaches a kubelet.
    pub(crate) since_time: Option<DateTime<Utc>>,
    pub(crate) since_seconds: Option<i64>,
    pub(crate) tail_lines: Option<usize>,
    /// The run before the current one.
    pub(crate) previous: bool,
    pub(crate) limit_bytes: Option<usize>,
}

/// Why there is nothing to read. The API server answers both with 400 `BadRequest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLog {
    /// The container has not started.
    NotStarted,
    /// The container has not been restarted.
    NoPrevious,
}

/// The logs of all containers. All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<HashMap<Key, VecDeque<Arc<Run>>>>>);

/// The pod's uid, and the container's name.
type Key = (String, String);

const RUNS_KEPT: usize = 2;

impl Logs {
    /// The log of a container that starts now.
    pub(crate) fn begin(&self, pod_uid: &str, container: &str) -> LogWriter {
        let run = Arc::new(Run::new());
        let mut all = self.lock();
        let runs = all.entry((pod_uid.to_owned(), container.to_owned())).or_default();
        if runs.len() == RUNS_KEPT {
            runs.pop_front();
        }
        runs.push_back(Arc::clone(&run));
        LogWriter {
            run,
            incomplete: Vec::new(),
        }
    }

    /// The log's lines; `now` is what `since_seconds` counts back from.
    pub(crate) fn read(
        &self,
        pod_uid: &str,
        container: &str,
        query: &LogQuery,
        now: DateTime<Utc>,
    ) -> Result<impl Stream<Item = Bytes> + Send + 'static + use<>, NoLog> {
        let run = self.run(pod_uid, container, query.previous)?;
        let reader = Reader::new(run, query, now);
        Ok(stream::unfold(reader, async |mut reader| {
            let bytes = reader.next().await?;
            Some((bytes, reader))
        }))
    }

    /// Drops what was written until now, as a kubelet does with the files that rotation leaves behind.
    pub(crate) fn rotate(&self, pod_uid: &str, container: &str) {
        if let Ok(run) = self.run(pod_uid, container, false) {
            run.change(|lines| {
                lines.dropped += lines.kept.len();
                lines.kept.clear();
            });
        }
    }

    /// Forgets a pod that is gone. Who reads already, reads on to the end.
    pub(crate) fn forget(&self, pod_uid: &str) {
        self.lock().retain(|(uid, _), _| uid != pod_uid);
    }

    fn run(&self, pod_uid: &str, container: &str, previous: bool) -> Result<Arc<Run>, NoLog> {
        let all = self.lock();
        let runs = all
            .get(&(pod_uid.to_owned(), container.to_owned()))
            .ok_or(NoLog::NotStarted)?;
        if previous {
            let before = runs.len().checked_sub(2).ok_or(NoLog::NoPrevious)?;
            return runs.get(before).cloned().ok_or(NoLog::NoPrevious);
        }
        runs.back().cloned().ok_or(NoLog::NotStarted)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, VecDeque<Arc<Run>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes what a container writes. The log ends when this is dropped.
#[derive(Debug)]
pub(crate) struct LogWriter {
    run: Arc<Run>,
    incomplete: Vec<u8>,
}

impl LogWriter {
    /// Adds bytes that were read at `now`.
    pub(crate) fn write(&mut self, bytes: &[u8], now: DateTime<Utc>) {
        self.incomplete.extend_from_slice(bytes);
        let Some(end) = self.incomplete.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let rest = self.incomplete.split_off(end + 1);
        let complete = std::mem::replace(&mut self.incomplete, rest);
        self.run.change(|lines| {
            for line in complete.split_inclusive(|byte| *byte == b'\n') {
                lines.push(line.strip_suffix(b"\n").unwrap_or(line), now);
            }
        });
    }

    /// Ends the log; a last line without a line end gets one, as container runtimes do it.
    pub(crate) fn finish(mut self, now: DateTime<Utc>) {
        if !self.incomplete.is_empty() {
            self.write(b"\n", now);
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.run.change(|lines| lines.ended = true);
    }
}

#[derive(Debug)]
struct Run {
    lines: Mutex<Lines>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<Line>,
    /// How many older lines rotation has taken: the number of the first kept line.
    dropped: usize,
    ended: bool,
}

#[derive(Debug, Clone)]
struct Line {
    at: DateTime<Utc>,
    text: Bytes,
}

impl Run {
    fn new() -> Self {
        Self {
            lines: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// A line is never older than the one before it, whatever the clock says.
    fn push(&mut self, text: &[u8], now: DateTime<Utc>) {
        let at = self.kept.back().map_or(now, |last| last.at.max(now));
        self.kept.push_back(Line {
            at,
            text: Bytes::copy_from_slice(text),
        });
    }
}

/// One request's place in a log.
struct Reader {
    run: Arc<Run>,
    changed: watch::Receiver<()>,
    /// The number of the next line.
    next: usize,
    since: Option<DateTime<Utc>>,
    bytes_left: usize,
    follow: bool,
    timestamps: bool,
}

impl Reader {
    fn new(run: Arc<Run>, query: &LogQuery, now: DateTime<Utc>) -> Self {
        let since_seconds = query
            .since_seconds
            .map(|seconds| now - TimeDelta::seconds(seconds));
        let next = {
            let lines = run.lock();
            let skipped = query
                .tail_lines
                .map_or(0, |tail| lines.kept.len().saturating_sub(tail));
            lines.dropped + skipped
        };
        Self {
            changed: run.changed.subscribe(),
            run,
            next,
            since: query.since_time.map(whole_seconds).or(since_seconds),
            bytes_left: query.limit_bytes.unwrap_or(usize::MAX),
            follow: query.follow,
            timestamps: query.timestamps,
        }
    }

    /// The next lines, once there are any.
    async fn next(&mut self) -> Option<Bytes> {
        while self.bytes_left > 0 {
            self.changed.borrow_and_update();
            let (text, ended) = self.take();
            if !text.is_empty() {
                self.bytes_left -= text.len();
                return Some(text);
            }
            // The run itself holds the sender, so this cannot fail while it is read.
            if ended || !self.follow || self.changed.changed().await.is_err() {
                return None;
            }
        }
        None
    }

    fn take(&mut self) -> (Bytes, bool) {
        let lines = self.run.lock();
        let mut text = Vec::new();
        for line in lines.kept.iter().skip(self.next.saturating_sub(lines.dropped)) {
            if self.since.is_none_or(|since| line.at >= since) {
                if self.timestamps {
                    text.extend_from_slice(stamp(line.at).as_bytes());
                }
                text.extend_from_slice(&line.text);
                text.push(b'\n');
            }
        }
        self.next = lines.dropped + lines.kept.len();
        text.truncate(self.bytes_left);
        (Bytes::from(text), lines.ended)
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    format!("{} ", at.to_rfc3339_opts(SecondsFormat::Nanos, true))
}

fn whole_seconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(time.timestamp(), 0).unwrap_or(time)
}

#[cfg(test)]
mod tests;
