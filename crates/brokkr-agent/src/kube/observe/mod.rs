//! The pods of an attempt: their output, what keeps them from running, and the evidence they leave.

mod afterwards;
mod cursor;
mod evidence;
mod lines;
mod logs;
mod pods;
mod progress;
mod seen;
mod tape;
#[cfg(test)]
mod tests;
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
use pods::Watcher;
use seen::Seen;
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
    /// Ends with this value.
    watching: JoinSet<()>,
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
        let watchers = selections.iter().enumerate().map(|(index, selection)| Watcher {
            cluster: cluster.clone(),
            selection: selection.clone(),
            index,
            seen: Arc::clone(&seen),
            tape: Arc::clone(&tape),
            clock: Arc::clone(&clock),
            cursors: BTreeMap::new(),
        });
        let watching = watch(watchers.collect(), Arc::clone(&tape), keep);
        Self {
            cluster: cluster.clone(),
            seen,
            tape,
            clock,
            selections,
            watching: JoinSet::from_iter([watching]),
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
            let expected = afterwards::refresh(&self.cluster, &self.selections, &self.seen).await;
            self.seen.drained(&expected).await;
        });
        if drained.await.is_err() {
            warn!("the last output of an attempt did not come in time");
        }
        self.watching.shutdown().await;
        let (tape, at) = (Arc::clone(&self.tape), self.clock.now());
        // It goes on in the background where the broker takes too long.
        let last = tokio::spawn(async move { tape.lock().await.finish(at).await });
        if timeout(limit, last).await.is_err() {
            warn!("the broker did not take the last output of an attempt in time");
        }
        let asked = timeout(limit, async {
            afterwards::refresh(&self.cluster, &self.selections, &self.seen).await;
            afterwards::events(&self.cluster, &self.seen).await
        });
        self.seen.evidence(asked.await.unwrap_or_default())
    }
}

async fn watch(watchers: Vec<Watcher>, tape: Arc<Mutex<Tape>>, keep: Option<PathBuf>) {
    // What is on the tape comes first, and says where each log goes on.
    let frames = match keep {
        Some(directory) => tape.lock().await.load(&directory).await,
        None => Vec::new(),
    };
    let each = watchers.into_iter().map(|watcher| {
        let watcher = Watcher {
            cursors: cursors(&frames),
            ..watcher
        };
        watcher.run()
    });
    JoinSet::from_iter(each.collect::<Vec<_>>()).join_all().await;
}

/// Where the log of each container goes on behind these frames.
fn cursors(frames: &[Frame]) -> BTreeMap<Source, Cursor> {
    let mut cursors: BTreeMap<Source, Cursor> = BTreeMap::new();
    for frame in frames {
        let Frame::Line {
            source,
            run,
            at,
            text,
            ..
        } = frame
        else {
            continue;
        };
        let cursor = cursors.entry(source.clone()).or_default();
        cursor.enter(*run);
        cursor.judge(*at, text.as_bytes());
    }
    cursors
}
