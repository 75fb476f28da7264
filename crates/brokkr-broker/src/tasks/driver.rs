//! Runs tasks until the broker stops.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{Instrument as _, debug, error, info, info_span};

use super::{Task, TaskError};
use crate::app::App;
use crate::error_chain::chain;

/// The longest pause after failures, so that passed leases and due retries are looked after soon once the database is back.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Makes one task run sooner. Nudges between two runs count as one, and none is lost.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Makes the task run as soon as it can.
    pub fn nudge(&self) {
        self.0.notify_one();
    }
}

/// All tasks of one broker.
pub struct Driver {
    app: App,
    running: JoinSet<()>,
}

impl Driver {
    /// A driver that runs its tasks until the broker stops.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self {
            app,
            running: JoinSet::new(),
        }
    }

    /// Runs `task` now and then about every `interval`.
    pub fn spawn<T: Task>(&mut self, task: T, interval: Duration) -> Nudge {
        let nudge = Nudge::default();
        let worker = Worker {
            task,
            interval,
            app: self.app.clone(),
            nudge: nudge.clone(),
            failures: 0,
        };
        self.running
            .spawn(worker.run().instrument(info_span!("task", task.name = T::NAME)));
        nudge
    }

    /// Runs `service`, which ends by itself when the broker stops.
    pub fn keep(&mut self, name: &'static str, service: impl Future<Output = ()> + Send + 'static) {
        self.running
            .spawn(service.instrument(info_span!("task", task.name = name)));
    }

    /// Waits for the batches in hand, after the broker was told to stop.
    pub async fn stop(mut self) {
        while let Some(ended) = self.running.join_next().await {
            if let Err(panic) = ended {
                error!(error = %panic, "a background task panicked");
            }
        }
    }
}

struct Worker<T> {
    task: T,
    interval: Duration,
    app: App,
    nudge: Nudge,
    failures: u32,
}

impl<T: Task> Worker<T> {
    async fn run(mut self) {
        let stopping = self.app.stopping().clone();
        while !stopping.is_cancelled() {
            let pause = self.run_batches().await;
            // A nudge is kept until it is waited for, so one that comes while a batch runs is not missed. After a failure
            // only time helps: nudges would make it a busy loop.
            let nudged = async {
                if self.failures == 0 {
                    self.nudge.0.notified().await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = stopping.cancelled() => {}
                () = nudged => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Runs batches until there is nothing more to do, and answers how long to pause.
    async fn run_batches(&mut self) -> Duration {
        while !self.app.stopping().is_cancelled() {
            let began = Instant::now();
            match self.task.run_once().await {
                Ok(activity) => {
                    self.app
                        .metrics()
                        .task_ran(T::NAME, "ok", activity.changed, began.elapsed());
                    self.recovered();
                    if !activity.more {
                        break;
                    }
                }
                Err(error) => {
                    self.app.metrics().task_ran(T::NAME, "error", 0, began.elapsed());
                    return self.failed(&error);
                }
            }
        }
        self.jittered(self.interval)
    }

    fn recovered(&mut self) {
        if self.failures > 0 {
            info!(task.failures = self.failures, "task {} works again", T::NAME);
            self.failures = 0;
        }
    }

    /// Says it once, not at each attempt.
    fn failed(&mut self, error: &TaskError) -> Duration {
        let cause = error.source().map_or_else(|| error.to_string(), chain);
        if self.failures == 0 {
            error!(error = %cause, "task {} failed and will be tried again", T::NAME);
        } else {
            debug!(error = %cause, task.failures = self.failures, "task {} failed again", T::NAME);
        }
        self.failures = self.failures.saturating_add(1);
        let doubled = self
            .interval
            .saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
        self.jittered(doubled.clamp(Duration::from_secs(1), BACKOFF_MAX))
    }

    /// Within a tenth of `pause`, so that replicas that start together do not sweep together.
    fn jittered(&self, pause: Duration) -> Duration {
        let [byte] = self.app.random_bytes::<1>();
        pause.mul_f64(0.9 + f64::from(byte) / 255.0 * 0.2)
    }
}
