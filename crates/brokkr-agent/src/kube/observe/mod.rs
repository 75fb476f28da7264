//! The pods of an attempt: their output, what keeps them from running, and the evidence they leave.

mod cursor;
mod evidence;
mod logs;
mod pods;
mod tape;
mod trouble;

pub(crate) use evidence::Evidence;
pub(crate) use trouble::Trouble;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use crate::clock::Clock;
use crate::kube::Cluster;
use crate::output::OutputSink;
use cursor::Cursor;
use pods::{Seen, Watcher};
use tape::{Frame, Source, Tape};

/// Where the pods of an attempt are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodSelection {
    /// Their namespace.
    pub(crate) namespace: String,
    /// A label selector.
    pub(crate) labels: String,
}

/// Watches the pods of one attempt until it is asked what they left.
pub(crate) struct Observer {
    cluster: Cluster,
    seen: Arc<Seen>,
    tape: Arc<Mutex<Tape>>,
    clock: Arc<dyn Clock>,
    selections: Vec<PodSelection>,
    /// One for each selection; they end with this value.
    watchers: JoinSet<()>,
}

impl Observer {
    /// Begins to watch. The output goes to `output`; what is needed to go on after a restart is kept in the directory `keep`.
    /// Of more than `output_bytes_max` bytes both ends are kept.
    pub(crate) fn start(
        cluster: &Cluster,
        selections: Vec<PodSelection>,
        output: OutputSink,
        keep: Option<PathBuf>,
        output_bytes_max: u64,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let seen = Arc::new(Seen::new(selections.len()));
        let tape = Arc::new(Mutex::new(Tape::blank(output, output_bytes_max)));
        let mut watchers = JoinSet::new();
        let selections_of_task = selections.clone();
        let (cluster_of_task, seen_by_task, tape_of_task) =
            (cluster.clone(), Arc::clone(&seen), Arc::clone(&tape));
        watchers.spawn(async move {
            // What is on the tape comes first, and says where each log goes on.
            let frames = match keep {
                Some(directory) => tape_of_task.lock().await.load(&directory).await,
                None => Vec::new(),
            };
            let mut cursors = Some(cursors(&frames));
            let mut watchers = JoinSet::new();
            for (index, selection) in selections_of_task.into_iter().enumerate() {
                let watcher = Watcher {
                    cluster: cluster_of_task.clone(),
                    selection,
                    index,
                    seen: Arc::clone(&seen_by_task),
                    tape: Arc::clone(&tape_of_task),
                    cursors: match index {
                        0 => cursors.take().unwrap_or_default(),
                        _ => self::cursors(&frames),
                    },
                };
                watchers.spawn(watcher.run());
            }
            while watchers.join_next().await.is_some() {}
        });
        Self {
            cluster: cluster.clone(),
            seen,
            tape,
            clock,
            selections,
            watchers,
        }
    }

    /// Completes when a pod has been unable to run for too long.
    pub(crate) async fn trouble(&self) -> Trouble {
        let mut changes = self.seen.changes();
        loop {
            changes.mark_unchanged();
            let next = match self.seen.judge(self.cluster.timing().stuck_limit, Instant::now()) {
                Ok(trouble) => return trouble,
                Err(next) => next,
            };
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                // The sender lives as long as this value.
                _ = changes.changed() => {}
            }
        }
    }

    /// Once the work has ended: takes the last output for at most `limit`, and answers what the pods left.
    pub(crate) async fn finish(mut self, limit: Duration) -> Evidence {
        self.seen.ask();
        let drained = timeout(limit, async {
            let expected = pods::refresh(&self.cluster, &self.selections, &self.seen).await;
            self.seen.drained(&expected).await;
        });
        if drained.await.is_err() {
            warn!("the last output of an attempt did not come in time");
        }
        self.watchers.shutdown().await;
        let last = timeout(limit, async {
            self.tape.lock().await.finish(self.clock.now()).await
        });
        if last.await.is_err() {
            warn!("the broker did not take the last output of an attempt in time");
        }
        let _ = timeout(limit, pods::refresh(&self.cluster, &self.selections, &self.seen)).await;
        let events = timeout(limit, pods::events(&self.cluster, &self.seen))
            .await
            .unwrap_or_default();
        self.seen.evidence(events)
    }
}

/// Where the log of each container goes on behind these frames.
fn cursors(frames: &[Frame]) -> BTreeMap<Source, Cursor> {
    let mut cursors: BTreeMap<Source, Cursor> = BTreeMap::new();
    for frame in frames {
        if let Frame::Line { source, at, text } = frame {
            cursors
                .entry(source.clone())
                .or_default()
                .judge(*at, text.as_bytes());
        }
    }
    cursors
}
