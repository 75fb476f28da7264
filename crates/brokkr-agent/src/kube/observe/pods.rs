//! Watching the pods of an attempt, and having each of their containers followed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::kube::runtime::watcher::{self, watcher};
use ::kube::runtime::{WatchStreamExt, utils::Backoff as KubeBackoff};
use ::kube::{Api, ResourceExt};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{info, warn};

use super::PodSelection;
use super::cursor::Cursor;
use super::logs::Follower;
use super::progress::{Progress, Stage, progress_of};
use super::seen::{Log, Seen};
use super::tape::{Source, Tape};
use crate::clock::Clock;
use crate::kube::Cluster;

/// How long to wait before a watch that failed is begun again.
const AGAIN_LONGEST: Duration = Duration::from_secs(5);

/// Watches the pods of one selection.
pub(super) struct Watcher {
    pub(super) cluster: Cluster,
    pub(super) selection: PodSelection,
    /// Its number among the watchers.
    pub(super) index: usize,
    pub(super) seen: Arc<Seen>,
    pub(super) tape: Arc<Mutex<Tape>>,
    pub(super) clock: Arc<dyn Clock>,
    /// Where logs go on that an earlier process followed.
    pub(super) cursors: BTreeMap<Source, Cursor>,
}

/// The pods that are there, and their logs.
#[derive(Default)]
struct Present {
    pods: HashSet<String>,
    /// Those that a list has named so far.
    listed: HashSet<String>,
    logs: HashMap<Log, watch::Sender<Progress>>,
    followers: JoinSet<()>,
}

/// How long a watch must have been silent before it is given up for a new one.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

impl Watcher {
    /// Never ends.
    pub(super) async fn run(mut self) {
        let timing = self.cluster.timing().clone();
        let renewal = (timing.request_limit * 2).clamp(Duration::from_secs(1), Duration::from_secs(290));
        let config = watcher::Config::default()
            .labels(&self.selection.labels)
            .timeout(renewal.as_secs() as u32);
        let pods: Api<Pod> = Api::namespaced(self.cluster.client().clone(), &self.selection.namespace);
        let mut present = Present::default();
        let mut troubled = false;
        let mut asked = self.seen.asked();
        loop {
            let wait = Again::new(timing.retry_first);
            let mut events = pin!(watcher(pods.clone(), config.clone()).backoff(wait));
            // One that is silent for longer than the API keeps a watch open may have lost its connection.
            let mut silence = renewal + timing.request_limit;
            loop {
                tokio::select! {
                    biased;
                    Some(event) = events.next() => {
                        if let Some(event) = self.heard(event, &mut troubled) {
                            self.take(event, &pods, &mut present);
                        }
                    }
                    () = sleep(silence) => break,
                    // A new one begins with a look at what there is. Of a pod that is gone, what is still on its way is all that
                    // there is, and comes first.
                    Ok(()) = asked.changed() => silence = ON_ITS_WAY,
                }
            }
        }
    }

    /// Says it when the watch is troubled, once, and when it is not any more.
    fn heard(
        &self,
        event: Result<watcher::Event<Pod>, watcher::Error>,
        troubled: &mut bool,
    ) -> Option<watcher::Event<Pod>> {
        let namespace = self.selection.namespace.as_str();
        let was_troubled = std::mem::replace(troubled, event.is_err());
        match &event {
            Ok(_) if was_troubled => info!(namespace, "the pods of an attempt are watched again"),
            Err(error) if !was_troubled => {
                warn!(namespace, %error, "could not watch the pods of an attempt, trying again");
            }
            Ok(_) | Err(_) => {}
        }
        event.ok()
    }

    fn take(&mut self, event: watcher::Event<Pod>, pods: &Api<Pod>, present: &mut Present) {
        match event {
            watcher::Event::Init => present.listed.clear(),
            watcher::Event::InitApply(pod) => {
                present.listed.extend(pod.uid());
                self.apply(&pod, pods, present);
            }
            watcher::Event::Apply(pod) => self.apply(&pod, pods, present),
            watcher::Event::InitDone => {
                let gone: Vec<_> = present.pods.difference(&present.listed).cloned().collect();
                for uid in gone {
                    self.delete(&uid, present);
                }
                self.seen.synced(self.index);
            }
            watcher::Event::Delete(pod) => {
                let uid = pod.uid().unwrap_or_default();
                self.seen.note(&uid, &self.selection.namespace, &pod);
                self.delete(&uid, present);
            }
        }
    }

    fn apply(&mut self, pod: &Pod, pods: &Api<Pod>, present: &mut Present) {
        let uid = pod.uid().unwrap_or_default();
        self.seen.note(&uid, &self.selection.namespace, pod);
        present.pods.insert(uid.clone());
        for (container, progress) in progress_of(pod) {
            let log = (uid.clone(), container);
            match present.logs.get(&log) {
                Some(known) => {
                    known.send_if_modified(|now| std::mem::replace(now, progress) != progress);
                }
                None if progress.stage != Stage::Waiting => self.follow(log, pod, progress, pods, present),
                None => {}
            }
        }
    }

    fn follow(&mut self, log: Log, pod: &Pod, progress: Progress, pods: &Api<Pod>, present: &mut Present) {
        let (sender, progress) = watch::channel(progress);
        let source = Source {
            pod: pod.name_any(),
            container: log.1.clone(),
        };
        self.seen.following(&log);
        let follower = Follower {
            pods: pods.clone(),
            log: log.clone(),
            cursor: self.cursors.remove(&source).unwrap_or_default(),
            source,
            progress,
            seen: Arc::clone(&self.seen),
            tape: Arc::clone(&self.tape),
            clock: Arc::clone(&self.clock),
            limit: self.cluster.timing().request_limit,
        };
        present.followers.spawn(follower.run());
        present.logs.insert(log, sender);
    }

    fn delete(&self, uid: &str, present: &mut Present) {
        for (_, progress) in present.logs.iter().filter(|((of, _), _)| of == uid) {
            progress.send_modify(|progress| progress.stage = Stage::Gone);
        }
        present.logs.retain(|(of, _), _| of != uid);
        present.pods.remove(uid);
        self.seen.gone(uid);
    }
}

/// Waits that double from the first to the longest.
struct Again {
    first: Duration,
    next: Duration,
}

impl Again {
    fn new(first: Duration) -> Self {
        Self { first, next: first }
    }
}

impl Iterator for Again {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.next;
        self.next = (wait * 2).min(AGAIN_LONGEST);
        Some(wait)
    }
}

impl KubeBackoff for Again {
    fn reset(&mut self) {
        self.next = self.first;
    }
}
