//! Following the log of one container, across everything that interrupts a stream.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::kube::Api;
use ::kube::api::LogParams;
use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::cursor::{Cursor, Verdict};
use super::lines::{Batch, Lines, Piece, Then, split};
use super::progress::{Progress, Stage, restarts_of};
use super::seen::{Log, Seen};
use super::tape::{Frame, Source, Tape};
use crate::clock::Clock;

/// How long to wait before a stream is opened again.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_LONGEST: Duration = Duration::from_secs(5);
/// How often the log of a container that has ended may be refused before it is given up.
const REFUSALS_MAX: u32 = 6;

/// Follows one container.
pub(super) struct Follower {
    pub(super) pods: Api<Pod>,
    pub(super) log: Log,
    pub(super) source: Source,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) seen: Arc<Seen>,
    pub(super) tape: Arc<Mutex<Tape>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) cursor: Cursor,
    /// How long a request may take until it is answered.
    pub(super) limit: Duration,
}

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// The server said that this is all.
    Whole,
    /// It broke off behind some lines.
    Cut,
    /// It broke off, or nothing came for too long.
    Broken,
    /// There is nothing to read yet or any more.
    Refused,
    /// What came is of a later run of the container than was thought.
    Restarted,
}

/// Which log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Of the run that goes on.
    Running,
    /// Of the run that ended last.
    Ended,
    /// Of the run before the last.
    Previous,
}

/// What is known of the runs of the container, which are numbered by its restarts.
#[derive(Debug, Clone, Copy)]
struct Runs {
    latest: i32,
    /// The latest that was read to its end.
    read: Option<i32>,
}

impl Runs {
    fn go_on_to(&mut self, run: i32) {
        self.latest = self.latest.max(run);
    }
}

impl Follower {
    /// Hands on everything that the container prints, until its pod is gone.
    pub(super) async fn run(mut self) {
        let mut runs = Runs {
            latest: self.cursor.run(),
            read: None,
        };
        let (mut wait, mut refusals) = (AGAIN_FIRST, 0);
        loop {
            let progress = *self.progress.borrow_and_update();
            runs.go_on_to(progress.restarts);
            let which = match progress.stage {
                Stage::Gone => return self.seen.caught_up(&self.log, i32::MAX),
                Stage::Running => Which::Running,
                Stage::Paused => Which::Ended,
                Stage::Waiting => {
                    if self.progress.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            self.seen.following(&self.log);
            let begun = Instant::now();
            let read = self.catch_up(&mut runs, which).await;
            refusals = if read == Read::Refused { refusals + 1 } else { 0 };
            // What can be read of a run that has ended is all there will ever be of it.
            let has_ended = which == Which::Ended && runs.latest == progress.restarts;
            if has_ended && (read == Read::Whole || refusals >= REFUSALS_MAX) {
                if read != Read::Whole {
                    self.give_up().await;
                }
                runs.read = Some(runs.latest);
                refusals = 0;
                self.seen.caught_up(&self.log, runs.latest);
                wait = AGAIN_FIRST;
                if self.progress.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if read == Read::Cut || begun.elapsed() > AGAIN_LONGEST {
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

    /// Reads what is left of earlier runs, then what there is of the latest.
    async fn catch_up(&mut self, runs: &mut Runs, which: Which) -> Read {
        if self.cursor.run() < runs.latest {
            let left = self.read_previous(*runs).await;
            if matches!(left, Read::Cut | Read::Broken) {
                return left;
            }
            self.cursor.enter(runs.latest);
        }
        let read = self.read(which).await;
        if read == Read::Restarted {
            let restarts = self.restarts().await;
            runs.go_on_to(restarts.unwrap_or_default());
        }
        read
    }

    /// Reads what is left of the run before the latest, the only other one whose log a node keeps.
    async fn read_previous(&mut self, runs: Runs) -> Read {
        let previous = runs.latest - 1;
        let current = self.cursor.run();
        let first_unread = current + i32::from(runs.read == Some(current));
        if previous < first_unread {
            return Read::Whole;
        }
        self.cursor.enter(previous);
        if first_unread < previous {
            self.cursor.lose();
        }
        let read = self.read(Which::Previous).await;
        if read == Read::Refused {
            self.cursor.lose();
        }
        read
    }

    /// Reads what is new in a log.
    async fn read(&mut self, which: Which) -> Read {
        let follow = which == Which::Running;
        let params = LogParams {
            container: Some(self.source.container.clone()),
            follow,
            previous: which == Which::Previous,
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
            Ok(Err(::kube::Error::Api(status))) if status.code < 500 && status.code != 429 => {
                debug!(
                    pod = self.source.pod,
                    container = self.source.container,
                    code = status.code,
                    "a log was refused"
                );
                return Read::Refused;
            }
            Ok(Err(_)) | Err(_) => return Read::Broken,
        };
        let stream = pin!(stream);
        match follow {
            true => self.take_all(Lines::of_following(stream), which).await,
            false => self.take_all(Lines::of_all(stream), which).await,
        }
    }

    async fn take_all<S>(&mut self, mut lines: Lines<S>, which: Which) -> Read
    where
        S: futures_util::AsyncBufRead + Unpin,
    {
        let mut at = None;
        let (mut heard, mut is_readable) = (false, true);
        loop {
            let progress = self.progress.clone();
            let Some(Batch { pieces, then }) = patiently(progress, self.limit, lines.next()).await else {
                return Read::Broken;
            };
            if !heard && which != Which::Previous && self.is_of_a_later_run(&pieces).await {
                return Read::Restarted;
            }
            heard |= !pieces.is_empty();
            is_readable &= self.take(pieces, &mut at).await;
            match then {
                Then::More => {}
                Then::End if is_readable => return Read::Whole,
                Then::End => return Read::Refused,
                Then::Broken(error) => {
                    debug!(pod = self.source.pod, container = self.source.container, %error, "a log broke off");
                    return if heard { Read::Cut } else { Read::Broken };
                }
            }
        }
    }

    /// Lines that were delivered are missing before the first that came: the node has removed them, unless the container was
    /// started again while nobody looked.
    async fn is_of_a_later_run(&self, pieces: &[Piece]) -> bool {
        let Some(first) = pieces.first() else { return false };
        let (at, text) = split(&first.bytes);
        if !at.is_some_and(|at| self.cursor.shows_a_gap(at, text)) {
            return false;
        }
        self.restarts()
            .await
            .is_some_and(|restarts| restarts > self.cursor.run())
    }

    /// How often the container has been started again, as the cluster knows now.
    async fn restarts(&self) -> Option<i32> {
        let pod = timeout(self.limit, self.pods.get_opt(&self.source.pod)).await;
        restarts_of(&pod.ok()?.ok()??, &self.source.container)
    }

    /// `line_at` is the time of the line that the pieces go on with. False when the node says that it cannot read the log.
    async fn take(&mut self, pieces: Vec<Piece>, line_at: &mut Option<DateTime<Utc>>) -> bool {
        let mut frames = Vec::new();
        let mut is_readable = true;
        for piece in pieces {
            let (at, text) = match piece.begins {
                true => split(&piece.bytes),
                false => (*line_at, piece.bytes.as_slice()),
            };
            *line_at = at;
            // Every line of a container has a time. What has none are the kubelet's own words.
            let Some(at) = at else {
                let words = String::from_utf8_lossy(text);
                debug!(pod = self.source.pod, container = self.source.container, %words, "no line of the container");
                is_readable = false;
                continue;
            };
            let source = &self.source;
            match self.cursor.judge(at, text) {
                Verdict::Known => continue,
                Verdict::New => {}
                Verdict::NewBehindGap => frames.push(Frame::Gap {
                    source: source.clone(),
                    at,
                }),
            }
            frames.push(Frame::Line {
                source: source.clone(),
                run: self.cursor.run(),
                at,
                text: String::from_utf8_lossy(text).into_owned(),
                ends: piece.ends,
            });
        }
        self.put(frames).await;
        is_readable
    }

    async fn give_up(&self) {
        warn!(
            pod = self.source.pod,
            container = self.source.container,
            "the cluster refuses the log of a container"
        );
        self.put(vec![Frame::Gap {
            source: self.source.clone(),
            at: self.clock.now(),
        }])
        .await;
    }

    /// What is put is put whole, even if nobody waits for it any more.
    async fn put(&self, frames: Vec<Frame>) {
        if frames.is_empty() {
            return;
        }
        let tape = Arc::clone(&self.tape);
        let put = tokio::spawn(async move { tape.lock().await.add(frames).await });
        // It fails only when the agent ends.
        let _ = put.await;
    }
}

/// What comes next, unless nothing comes for so long that the connection may be lost: not long once the container has gone on.
async fn patiently<T>(
    mut progress: watch::Receiver<Progress>,
    limit: Duration,
    next: impl Future<Output = T>,
) -> Option<T> {
    let before = *progress.borrow_and_update();
    let after_a_change = async {
        // Without a sender nothing changes any more.
        let _ = progress.wait_for(|now| *now != before).await;
        sleep(limit).await;
    };
    tokio::select! {
        next = next => Some(next),
        () = after_a_change => None,
        () = sleep(limit * 2) => None,
    }
}
