//! Reporting endings: kept on disk first, then sent until the broker answers.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use brokkr_api::{EndingItem, FailureClass};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::attempt::AttemptId;
use crate::backoff::Backoff;
use crate::broker::{Broker, Verdict};
use crate::execute::{Failure, Outcome};
use crate::journal::{Journal, attempt_of};

/// The most endings of one request.
const BATCH_MAX: usize = 100;
/// The most characters of a message.
const MESSAGE_CHARS_MAX: usize = 2000;

/// What the broker said to an ending, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    /// The attempt is not the agent's any more.
    Refused,
}

struct Report {
    ending: EndingItem,
    answered: Option<oneshot::Sender<Answer>>,
}

/// Hands endings over.
#[derive(Clone)]
pub(crate) struct Reporter {
    journal: Arc<dyn Journal>,
    queue: mpsc::UnboundedSender<Report>,
}

/// Sends what was handed over.
pub(crate) struct ReportSender {
    broker: Arc<Broker>,
    journal: Arc<dyn Journal>,
    queue: mpsc::UnboundedReceiver<Report>,
    backoff: Backoff,
}

/// The two ends of the way. What the journal still holds from earlier comes first; `replayed` says which attempts those are.
pub(crate) fn open(
    broker: Arc<Broker>,
    journal: Arc<dyn Journal>,
    seed: u64,
) -> io::Result<(Reporter, ReportSender, HashSet<AttemptId>)> {
    let (queue, receiver) = mpsc::unbounded_channel();
    let mut replayed = HashSet::new();
    for ending in journal.all()? {
        info!(work_order.id = %ending.id, attempt = ending.attempt, "an ending from before the restart is reported now");
        replayed.insert(attempt_of(&ending));
        let _ = queue.send(Report {
            ending,
            answered: None,
        });
    }
    let backoff = Backoff::new(seed, Duration::from_millis(250), Duration::from_secs(15));
    let sender = ReportSender {
        broker,
        journal: Arc::clone(&journal),
        queue: receiver,
        backoff,
    };
    Ok((Reporter { journal, queue }, sender, replayed))
}

impl Reporter {
    /// Keeps the ending on disk and completes when the broker has answered it. Nothing when the agent stops before that:
    /// the next one will report it.
    pub(crate) async fn report(&self, ending: EndingItem) -> Option<Answer> {
        if let Err(error) = self.journal.record(&ending).await {
            error!(work_order.id = %ending.id, attempt = ending.attempt, %error, "an ending could not be kept on disk, it is only reported");
        }
        let (answered, answer) = oneshot::channel();
        self.queue
            .send(Report {
                ending,
                answered: Some(answered),
            })
            .ok()?;
        answer.await.ok()
    }
}

impl ReportSender {
    /// Sends until nobody can hand over any more.
    pub(crate) async fn run(mut self) {
        let mut pending = Vec::new();
        while let Some(report) = self.queue.recv().await {
            pending.push(report);
            while !pending.is_empty() {
                while pending.len() < BATCH_MAX
                    && let Ok(report) = self.queue.try_recv()
                {
                    pending.push(report);
                }
                let before = pending.len();
                let wait = self.send(&mut pending).await;
                if pending.len() < before {
                    self.backoff.reset();
                } else {
                    sleep(wait).await;
                }
            }
        }
    }

    /// Sends once. What was answered is gone from `pending`; for the rest, how long to wait.
    async fn send(&mut self, pending: &mut Vec<Report>) -> Duration {
        let endings: Vec<_> = pending.iter().map(|report| report.ending.clone()).collect();
        match self.broker.end(endings).await {
            Ok(verdicts) => {
                self.settle(pending, &verdicts);
                self.backoff.next(None)
            }
            // One that the broker cannot even read would otherwise stand in the way of all others.
            Err(error) if error.is_final() && pending.len() > 1 => {
                for report in std::mem::take(pending) {
                    let mut alone = vec![report];
                    Box::pin(self.send(&mut alone)).await;
                    pending.append(&mut alone);
                }
                self.backoff.next(None)
            }
            Err(error) if error.is_final() => {
                let code = error.code().to_owned();
                self.settle(pending, &[Verdict::Refused { code }]);
                Duration::ZERO
            }
            Err(error) => {
                warn!(%error, endings = pending.len(), "could not report endings, they are kept and sent again");
                self.backoff.next(error.retry_after())
            }
        }
    }

    fn settle(&self, pending: &mut Vec<Report>, verdicts: &[Verdict]) {
        for (index, report) in std::mem::take(pending).into_iter().enumerate() {
            match verdicts.get(index) {
                Some(Verdict::Accepted) => self.forget(report, Answer::Accepted),
                Some(Verdict::Refused { code }) => {
                    let EndingItem {
                        id, attempt, success, ..
                    } = &report.ending;
                    warn!(work_order.id = %id, attempt, success, code, "the broker refused an ending: the attempt was taken back before");
                    self.forget(report, Answer::Refused);
                }
                Some(Verdict::Later) | None => pending.push(report),
            }
        }
    }

    fn forget(&self, report: Report, answer: Answer) {
        if let Err(error) = self.journal.remove(attempt_of(&report.ending)) {
            // Reported once more after a restart, it gets the same answer or is refused.
            warn!(work_order.id = %report.ending.id, %error, "an answered ending could not be removed from the disk");
        }
        if let Some(answered) = report.answered {
            // Nobody waits for it when the agent stops.
            let _ = answered.send(answer);
        }
    }
}

/// Why no ending is reported: the broker finds out by itself when the attempt is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoEnding {
    /// The work goes on, and a later process reports its ending.
    Left(String),
    /// Nobody can tell how it ended.
    Unknown(String),
}

/// The ending of an attempt, if it has one.
pub(crate) fn ending(id: AttemptId, outcome: Outcome) -> Result<EndingItem, NoEnding> {
    let (success, class, message, exit_code, result) = match outcome {
        Outcome::Success {
            message,
            exit_code,
            result,
        } => (true, None, message, exit_code, result),
        Outcome::Failure(Failure {
            class,
            message,
            exit_code,
            result,
        }) => (false, Some(class), Some(message), exit_code, result),
        Outcome::Left { message } => return Err(NoEnding::Left(message)),
        Outcome::Unknown { message } => return Err(NoEnding::Unknown(message)),
    };
    // Whether a failure may be retried follows from its class and the order's `retry_on`.
    let message = message.map(|message| message.chars().take(MESSAGE_CHARS_MAX).collect());
    Ok(EndingItem {
        id: id.order,
        attempt: id.attempt,
        success,
        message,
        class,
        retryable: None,
        exit_code,
        result,
    })
}

/// Words for the class of an ending, for the agent's own log.
pub(crate) fn word(ending: &EndingItem) -> &'static str {
    match ending.class {
        None => "success",
        Some(class) => FailureClass::as_str(class),
    }
}
