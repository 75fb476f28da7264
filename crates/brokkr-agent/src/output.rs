//! The way of the output from the executors to the broker: in order, in batches, in bounded memory, until it is accepted.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use brokkr_api::OutputChunk;
use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::attempt::AttemptId;
use crate::backoff::Backoff;
use crate::broker::{Broker, Verdict};

/// The most bytes of text in one chunk.
const CHUNK_BYTES_MAX: usize = 48 * 1024;
/// How many chunks wait before executors have to.
const QUEUE_CHUNKS_MAX: usize = 128;
/// The most that goes in one request.
const BATCH_CHUNKS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Takes the output of one attempt. Clones belong to the same attempt.
#[derive(Debug, Clone)]
pub struct OutputSink {
    id: AttemptId,
    position: Arc<Mutex<Position>>,
    progress: Arc<watch::Sender<Progress>>,
    queue: mpsc::Sender<Queued>,
}

#[derive(Debug, Default)]
struct Position {
    /// Where the next text begins.
    next: u64,
    /// Text that ends here or earlier was accepted before.
    skipped: u64,
}

#[derive(Debug, Default)]
struct Progress {
    acknowledged: u64,
    /// The broker takes no more of this attempt's output.
    closed: bool,
}

#[derive(Debug)]
struct Queued {
    chunk: OutputChunk,
    progress: Arc<watch::Sender<Progress>>,
}

impl OutputSink {
    /// Queues text that was written to `stream` at this time. Waits while the queue is full, and for nothing else.
    ///
    /// Repeating the same calls after a restart gives the same chunks, so the broker recognises what it has.
    pub async fn push(&self, stream: &str, at: DateTime<Utc>, text: String) {
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (data, behind) = rest.split_at(rest.floor_char_boundary(CHUNK_BYTES_MAX));
            rest = behind;
            let Some(offset) = self.advance(data.len() as u64) else {
                continue;
            };
            if self.progress.borrow().closed {
                continue;
            }
            let AttemptId { order, attempt } = self.id;
            let (stream, data) = (stream.to_owned(), data.to_owned());
            let chunk = OutputChunk {
                id: order,
                attempt,
                offset: offset as i64,
                stream,
                at: at.into(),
                data,
            };
            // It fails only when the agent ends, and with it the interest in output.
            let _ = self
                .queue
                .send(Queued {
                    chunk,
                    progress: Arc::clone(&self.progress),
                })
                .await;
        }
    }

    /// Text that ends at `offset` bytes or earlier is not sent: the broker has it.
    pub fn skip_to(&self, offset: u64) {
        self.position().skipped = offset;
        self.progress
            .send_modify(|progress| progress.acknowledged = progress.acknowledged.max(offset));
    }

    /// How many bytes the broker has.
    pub fn acknowledged(&self) -> u64 {
        self.progress.borrow().acknowledged
    }

    /// Completes when the broker has everything that was pushed, or takes no more.
    pub async fn flushed(&self) {
        let end = self.position().next;
        let mut progress = self.progress.subscribe();
        // The sender lives as long as this sink.
        let _ = progress
            .wait_for(|progress| progress.closed || progress.acknowledged >= end)
            .await;
    }

    /// Where text of this length begins, or nothing when it is to be skipped.
    fn advance(&self, length: u64) -> Option<u64> {
        let mut position = self.position();
        let offset = position.next;
        position.next += length;
        (position.next > position.skipped).then_some(offset)
    }

    fn position(&self) -> std::sync::MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes sinks whose output one [`OutputSender`] sends.
#[derive(Debug, Clone)]
pub(crate) struct OutputQueue(mpsc::Sender<Queued>);

impl OutputQueue {
    pub(crate) fn sink(&self, id: AttemptId) -> OutputSink {
        OutputSink {
            id,
            position: Arc::default(),
            progress: Arc::new(watch::Sender::default()),
            queue: self.0.clone(),
        }
    }
}

/// Sends what all sinks were given.
pub(crate) struct OutputSender {
    broker: Arc<Broker>,
    queue: mpsc::Receiver<Queued>,
    backoff: Backoff,
}

impl OutputSender {
    pub(crate) fn new(broker: Arc<Broker>, seed: u64) -> (OutputQueue, Self) {
        let (sender, queue) = mpsc::channel(QUEUE_CHUNKS_MAX);
        let backoff = Backoff::new(seed, Duration::from_millis(200), Duration::from_secs(10));
        (
            OutputQueue(sender),
            Self {
                broker,
                queue,
                backoff,
            },
        )
    }

    /// Sends until every sink is gone. What gathers during one request goes with the next.
    pub(crate) async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let mut bytes = first.chunk.data.len();
            let mut batch = vec![first];
            while bytes < BATCH_BYTES_MAX && batch.len() < BATCH_CHUNKS_MAX {
                let Ok(next) = self.queue.try_recv() else { break };
                bytes += next.chunk.data.len();
                batch.push(next);
            }
            self.deliver(batch).await;
        }
    }

    async fn deliver(&mut self, mut batch: Vec<Queued>) {
        loop {
            batch.retain(|queued| !queued.progress.borrow().closed);
            if batch.is_empty() {
                return;
            }
            let wait = match self
                .broker
                .append_output(batch.iter().map(|queued| queued.chunk.clone()).collect())
                .await
            {
                Ok(verdicts) => {
                    let accepted = verdicts.contains(&Verdict::Accepted);
                    batch = settle(batch, &verdicts);
                    match batch.is_empty() {
                        true => return self.backoff.reset(),
                        false if accepted => Duration::ZERO,
                        false => self.backoff.next(None),
                    }
                }
                // The request may be too large, or one chunk may be what the broker cannot read.
                Err(error) if error.is_final() && batch.len() > 1 => {
                    let second = batch.split_off(batch.len() / 2);
                    Box::pin(self.deliver(batch)).await;
                    return Box::pin(self.deliver(second)).await;
                }
                Err(error) if error.is_final() => {
                    warn!(%error, "the broker refused output of a work order");
                    return batch.iter().for_each(|queued| close(&queued.progress));
                }
                Err(error) => {
                    debug!(%error, "could not send output");
                    self.backoff.next(error.retry_after())
                }
            };
            sleep(wait).await;
        }
    }
}

/// Notes what was decided; what has to be sent again stays.
fn settle(batch: Vec<Queued>, verdicts: &[Verdict]) -> Vec<Queued> {
    let mut again = Vec::new();
    for (index, queued) in batch.into_iter().enumerate() {
        match verdicts.get(index) {
            Some(Verdict::Accepted) => acknowledge(&queued),
            Some(Verdict::Refused { code }) => {
                info!(work_order.id = %queued.chunk.id, attempt = queued.chunk.attempt, code, "the broker takes no more of an attempt's output");
                close(&queued.progress);
            }
            Some(Verdict::Later) | None => again.push(queued),
        }
    }
    again
}

fn acknowledge(queued: &Queued) {
    let end = queued.chunk.offset as u64 + queued.chunk.data.len() as u64;
    queued
        .progress
        .send_modify(|progress| progress.acknowledged = progress.acknowledged.max(end));
}

fn close(progress: &watch::Sender<Progress>) {
    progress.send_modify(|progress| progress.closed = true);
}

/// Receives what a sink was given, in tests of those that give it.
#[cfg(test)]
pub(crate) struct OutputProbe(mpsc::Receiver<Queued>);

#[cfg(test)]
impl OutputProbe {
    pub(crate) fn sink() -> (OutputSink, Self) {
        let (sender, queue) = mpsc::channel(QUEUE_CHUNKS_MAX);
        let id = AttemptId {
            order: uuid::Uuid::nil(),
            attempt: 1,
        };
        (OutputQueue(sender).sink(id), Self(queue))
    }

    /// The next chunk; nothing once all sinks are gone.
    pub(crate) async fn next(&mut self) -> Option<OutputChunk> {
        self.0.recv().await.map(|queued| queued.chunk)
    }
}
