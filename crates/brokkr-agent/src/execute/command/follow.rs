//! Accompanying a command from outside: passing its output on, passing a stop on, waiting for its end.

use std::time::Duration;

use brokkr_api::stream;
use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use crate::execute::command::directory::{Condition, Directory};
use crate::execute::command::ending;
use crate::execute::command::spool::{Frame, Origin, SpoolReader};
use crate::execute::command::text::Utf8Splitter;
use crate::execute::command::tidy;
use crate::execute::{Context, Outcome, class_of};
use crate::output::OutputSink;
use crate::stop::StopReason;

/// How often new output, and the end of a command that an earlier agent started, are looked for: first and at most.
const POLL_FIRST: Duration = Duration::from_millis(5);
const POLL_LONGEST: Duration = Duration::from_millis(100);
/// How long a supervisor may take, beyond the grace, to bring the end of its command about.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// What a lost lease leaves is a third of it, of which the shortest there can be is less than two seconds.
const GRACE_WITHOUT_LEASE_MAX: Duration = Duration::from_secs(1);
/// How long the broker may take to accept what was printed before the ending is reported without it.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// What is needed to accompany one command.
pub(crate) struct Follow {
    pub(crate) directory: Directory,
    /// Only for a supervisor that this process started; of others only the directory tells.
    pub(crate) supervisor: Option<Child>,
    pub(crate) context: Context,
    pub(crate) grace: Duration,
    /// The broker may already have some of the output. Of an earlier attempt's it has none under this attempt's number.
    pub(crate) resume: bool,
}

impl Follow {
    pub(crate) async fn until_the_end(mut self) -> Outcome {
        let (ended, has_ended) = watch::channel(false);
        let tail = Tail::new(&self, has_ended).run();
        tokio::pin!(tail);
        let mut tail_done = false;
        let outcome = {
            let watching = self.outcome();
            tokio::pin!(watching);
            loop {
                tokio::select! {
                    outcome = &mut watching => break outcome,
                    () = &mut tail, if !tail_done => tail_done = true,
                }
            }
        };
        ended.send_replace(true);
        if !tail_done && tokio::time::timeout(FLUSH_LIMIT, tail).await.is_err() {
            warn!(path = %self.directory.path().display(), "the last output of a command could not be passed on in time");
        }
        outcome
    }

    async fn outcome(&mut self) -> Outcome {
        let stop = self.context.stop.clone();
        let stopped = tokio::select! {
            () = gone(&self.directory, &mut self.supervisor) => None,
            reason = stop.requested() => Some(reason),
        };
        if let Some(reason) = stopped
            && let Err(outcome) = self.stop(reason).await
        {
            return outcome;
        }
        match self.directory.condition() {
            Ok(Condition::Ended(exit)) => ending::outcome(&exit),
            Ok(Condition::Unknown | Condition::Running) => {
                tidy::kill_what_is_left(&self.directory);
                unknown("the command's supervisor was killed, so how the command ended is unknown".to_owned())
            }
            Err(error) => unknown(format!("how the command ended cannot be read: {error}")),
        }
    }

    /// Waits until the command has been stopped. An outcome comes back only when it could not be.
    async fn stop(&mut self, reason: StopReason) -> Result<(), Outcome> {
        let grace = match reason {
            StopReason::LeaseLost | StopReason::Superseded => self.grace.min(GRACE_WITHOUT_LEASE_MAX),
            StopReason::Cancelled | StopReason::Deadline | StopReason::Shutdown => self.grace,
        };
        let limit = Instant::now() + grace + STOP_LIMIT;
        tidy::stop(&self.directory, reason, grace);
        loop {
            tokio::select! {
                () = gone(&self.directory, &mut self.supervisor) => return Ok(()),
                () = sleep_until(limit) => return Err(self.give_up(reason)),
                // A supervisor that was just starting may not have been listening yet.
                () = sleep(Duration::from_secs(1)) => tidy::stop(&self.directory, reason, grace),
            }
        }
    }

    fn give_up(&self, reason: StopReason) -> Outcome {
        tidy::kill_what_is_left(&self.directory);
        if let Ok(Some(supervisor)) = self.directory.supervisor() {
            supervisor.signal_leader(Signal::SIGKILL);
        }
        let message = format!(
            "told to stop, because {reason}, but it did not end when it was killed, so it may still run"
        );
        Outcome::failure(class_of(reason), message)
    }
}

fn unknown(message: String) -> Outcome {
    Outcome::Unknown { message }
}

/// Completes when the supervisor is gone.
async fn gone(directory: &Directory, supervisor: &mut Option<Child>) {
    if let Some(child) = supervisor {
        // It fails only for a process that somebody else has waited for, which then is gone too.
        let _ = child.wait().await;
        return;
    }
    while let Ok(Condition::Running) = directory.condition() {
        sleep(POLL_LONGEST).await;
    }
}

/// Passes a command's output on, from where the broker last had it.
struct Tail {
    directory: Directory,
    output: OutputSink,
    has_ended: watch::Receiver<bool>,
    resume: bool,
    stdout: Utf8Splitter,
    stderr: Utf8Splitter,
    last_at: DateTime<Utc>,
    recorded: u64,
}

impl Tail {
    fn new(follow: &Follow, has_ended: watch::Receiver<bool>) -> Self {
        Self {
            directory: follow.directory.clone(),
            output: follow.context.output.clone(),
            has_ended,
            resume: follow.resume,
            stdout: Utf8Splitter::default(),
            stderr: Utf8Splitter::default(),
            last_at: DateTime::UNIX_EPOCH,
            recorded: 0,
        }
    }

    async fn run(mut self) {
        if self.resume {
            self.recorded = self.directory.sent().unwrap_or(0);
            self.output.skip_to(self.recorded);
        }
        if let Some(spool) = self.open().await
            && let Err(error) = self.pass_on(spool).await
        {
            warn!(path = %self.directory.path().display(), %error, "the output of a command cannot be read further");
            self.output
                .push(
                    stream::SYSTEM,
                    self.last_at,
                    "[brokkr: the rest of the output cannot be read]\n".to_owned(),
                )
                .await;
        }
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        self.output.push(stream::STDOUT, self.last_at, stdout).await;
        self.output.push(stream::STDERR, self.last_at, stderr).await;
    }

    /// The spool, once the supervisor has made it; nothing when it never did.
    async fn open(&mut self) -> Option<SpoolReader> {
        loop {
            let ended = *self.has_ended.borrow();
            match SpoolReader::open(&self.directory.spool()) {
                Ok(spool) => return Some(spool),
                Err(_) if ended => return None,
                Err(_) => self.pause(POLL_FIRST).await,
            }
        }
    }

    async fn pass_on(&mut self, mut spool: SpoolReader) -> Result<(), super::spool::SpoolError> {
        let mut wait = POLL_FIRST;
        loop {
            // Looked at before the file: what is written before the end is then read after it.
            let ended = *self.has_ended.borrow();
            let frames = spool.read()?;
            wait = if frames.is_empty() {
                (wait * 2).min(POLL_LONGEST)
            } else {
                POLL_FIRST
            };
            if frames.is_empty() {
                if ended {
                    return Ok(());
                }
                self.pause(wait).await;
            }
            for frame in frames {
                self.push(frame).await;
            }
            self.remember();
        }
    }

    async fn push(&mut self, frame: Frame) {
        self.last_at = frame.at;
        let (stream, text) = match frame.origin {
            Origin::Stdout => (stream::STDOUT, self.stdout.push(&frame.bytes)),
            Origin::Stderr => (stream::STDERR, self.stderr.push(&frame.bytes)),
            Origin::Gap => (stream::SYSTEM, gap(&frame.bytes)),
        };
        self.output.push(stream, frame.at, text).await;
    }

    async fn pause(&mut self, at_most: Duration) {
        tokio::select! {
            () = sleep(at_most) => {}
            Ok(_) = self.has_ended.wait_for(|ended| *ended) => {}
        }
    }

    fn remember(&mut self) {
        let acknowledged = self.output.acknowledged();
        if self.resume && acknowledged > self.recorded && self.directory.record_sent(acknowledged).is_ok() {
            self.recorded = acknowledged;
        }
    }
}

fn gap(payload: &[u8]) -> String {
    let bytes = payload
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    format!("\n[brokkr: {bytes} bytes of output were left out here, since there was more than is kept]\n")
}
