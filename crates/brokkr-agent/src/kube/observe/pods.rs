//! Watching the pods of an attempt, and following each of their containers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::kube::api::ListParams;
use ::kube::runtime::watcher::{self, watcher};
use ::kube::runtime::{WatchStreamExt, utils::Backoff as KubeBackoff};
use ::kube::{Api, ResourceExt};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::PodSelection;
use super::cursor::Cursor;
use super::evidence::{Evidence, PodEvidence, event_line};
use super::logs::{Follower, Progress};
use super::tape::{Source, Tape};
use super::trouble::{Stuck, Trouble};
use crate::kube::Cluster;

/// How many events of a pod are evidence.
const EVENTS_MAX: usize = 10;
/// How often the pods are listed beside the watch, which may have lost its connection without noticing.
const LOOK: Duration = Duration::from_secs(30);
/// How long to wait before a watch that failed is begun again.
const AGAIN_LONGEST: Duration = Duration::from_secs(5);

/// What was seen of the pods so far.
pub(super) struct Seen {
    inner: StdMutex<Inner>,
    changes: watch::Sender<u64>,
    /// Counts how often the watchers were asked to look at once.
    asked: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    pods: BTreeMap<String, PodSeen>,
    stuck: Stuck,
    /// Which watches have seen all there was when they began.
    synced: Vec<bool>,
    /// The logs that are being followed, and those that have come to their end.
    following: HashSet<Log>,
    followed: HashSet<Log>,
}

/// The log of a container: the identity of its pod, and its name.
type Log = (String, String);

struct PodSeen {
    namespace: String,
    pod: Pod,
}

impl Seen {
    pub(super) fn new(watches: usize) -> Self {
        let inner = Inner {
            synced: vec![false; watches],
            ..Inner::default()
        };
        Self {
            inner: StdMutex::new(inner),
            changes: watch::Sender::new(0),
            asked: watch::Sender::new(0),
        }
    }

    /// Has the watchers look at once.
    pub(super) fn ask(&self) {
        self.asked.send_modify(|asked| *asked += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What has lasted for too long, or else when to look again.
    pub(super) fn judge(&self, stuck_limit: Duration, now: Instant) -> Result<Trouble, Option<Instant>> {
        self.inner().stuck.judge(stuck_limit, now)
    }

    /// Completes when every log has come to its end, those that are `expected` among them.
    pub(super) async fn drained(&self, expected: &[Log]) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            {
                let inner = self.inner();
                let all = expected.iter().all(|log| inner.followed.contains(log));
                if all && inner.following.is_empty() && inner.synced.iter().all(|synced| *synced) {
                    return;
                }
            }
            // The sender lives as long as this.
            let _ = changes.changed().await;
        }
    }

    /// Everything that was seen, with the events of each pod by its identity.
    pub(super) fn evidence(&self, mut events: HashMap<String, Vec<String>>) -> Evidence {
        let inner = self.inner();
        let mut pods: Vec<_> = inner
            .pods
            .iter()
            .map(|(uid, seen)| PodEvidence {
                events: events.remove(uid).unwrap_or_default(),
                ..PodEvidence::of(&seen.pod)
            })
            .collect();
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        Evidence { pods }
    }

    fn note(&self, uid: &str, namespace: &str, pod: &Pod) {
        let mut inner = self.inner();
        inner.stuck.note(uid, pod, Instant::now());
        let seen = PodSeen {
            namespace: namespace.to_owned(),
            pod: pod.clone(),
        };
        inner.pods.insert(uid.to_owned(), seen);
        self.tell(inner);
    }

    /// The pod is gone. What was seen of it stays.
    fn gone(&self, uid: &str) {
        let mut inner = self.inner();
        inner.stuck.forget(uid);
        self.tell(inner);
    }

    fn synced(&self, index: usize) {
        let mut inner = self.inner();
        inner.synced[index] = true;
        self.tell(inner);
    }

    fn follow(&self, log: &Log) {
        let mut inner = self.inner();
        inner.following.insert(log.clone());
        self.tell(inner);
    }

    fn has_followed(&self, log: Log) {
        let mut inner = self.inner();
        inner.following.remove(&log);
        inner.followed.insert(log);
        self.tell(inner);
    }

    fn tell(&self, inner: MutexGuard<'_, Inner>) {
        drop(inner);
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the pods of one selection.
pub(super) struct Watcher {
    pub(super) cluster: Cluster,
    pub(super) selection: PodSelection,
    pub(super) index: usize,
    pub(super) seen: Arc<Seen>,
    pub(super) tape: Arc<Mutex<Tape>>,
    /// Where logs go on that an earlier process followed.
    pub(super) cursors: BTreeMap<Source, Cursor>,
}

/// The logs that are followed, by pod identity and container.
type Followed = HashMap<Log, watch::Sender<Progress>>;

impl Watcher {
    pub(super) async fn run(mut self) {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client().clone(), &self.selection.namespace);
        let config = watcher::Config::default().labels(&self.selection.labels);
        let wait = Again::new(self.cluster.timing().retry_first);
        let mut events = pin!(watcher(pods.clone(), config).backoff(wait));
        let mut followed = Followed::new();
        let mut followers = JoinSet::new();
        let mut listed = Vec::new();
        let mut troubled = false;
        let mut asked = self.seen.asked.subscribe();
        loop {
            let event = tokio::select! {
                Some(event) = events.next() => event,
                () = sleep(LOOK) => {
                    self.look(&pods, &mut followed, &mut followers).await;
                    continue;
                }
                Ok(()) = asked.changed() => {
                    self.look(&pods, &mut followed, &mut followers).await;
                    continue;
                }
            };
            match event {
                Ok(event) => {
                    if std::mem::take(&mut troubled) {
                        info!(
                            namespace = self.selection.namespace,
                            "the pods of an attempt are watched again"
                        );
                    }
                    self.take(event, &pods, &mut followed, &mut followers, &mut listed);
                }
                Err(error) if !troubled => {
                    troubled = true;
                    warn!(namespace = self.selection.namespace, %error, "could not watch the pods of an attempt, trying again");
                }
                Err(_) => {}
            }
        }
    }

    /// Looks which pods there are, whatever the watch says.
    async fn look(&mut self, pods: &Api<Pod>, followed: &mut Followed, followers: &mut JoinSet<()>) {
        let listing = list(&self.cluster, pods, &self.selection);
        if let Some(present) = listing.await {
            for pod in &present {
                self.apply(pod, pods, followed, followers);
            }
            self.seen.synced(self.index);
        }
    }

    fn take(
        &mut self,
        event: watcher::Event<Pod>,
        pods: &Api<Pod>,
        followed: &mut Followed,
        followers: &mut JoinSet<()>,
        listed: &mut Vec<String>,
    ) {
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(pod) => {
                listed.extend(pod.uid());
                self.apply(&pod, pods, followed, followers);
            }
            watcher::Event::Apply(pod) => self.apply(&pod, pods, followed, followers),
            watcher::Event::InitDone => {
                let gone = followed
                    .keys()
                    .map(|(uid, _)| uid.clone())
                    .filter(|uid| !listed.contains(uid));
                for uid in gone.collect::<Vec<_>>() {
                    self.delete(&uid, followed);
                }
                self.seen.synced(self.index);
            }
            watcher::Event::Delete(pod) => {
                let uid = pod.uid().unwrap_or_default();
                self.seen.note(&uid, &self.selection.namespace, &pod);
                self.delete(&uid, followed);
            }
        }
    }

    fn apply(&mut self, pod: &Pod, pods: &Api<Pod>, followed: &mut Followed, followers: &mut JoinSet<()>) {
        let uid = pod.uid().unwrap_or_default();
        self.seen.note(&uid, &self.selection.namespace, pod);
        for (container, progress) in progress_of(pod) {
            let log = (uid.clone(), container.clone());
            match followed.get(&log) {
                Some(known) => {
                    known.send_if_modified(|now| std::mem::replace(now, progress) != progress);
                }
                None if progress != Progress::Waiting => {
                    let (sender, receiver) = watch::channel(progress);
                    followed.insert(log.clone(), sender);
                    let source = Source {
                        pod: pod.name_any(),
                        container,
                    };
                    self.follow(log, source, receiver, pods, followers);
                }
                None => {}
            }
        }
    }

    fn follow(
        &mut self,
        log: Log,
        source: Source,
        progress: watch::Receiver<Progress>,
        pods: &Api<Pod>,
        followers: &mut JoinSet<()>,
    ) {
        let follower = Follower {
            pods: pods.clone(),
            cursor: self.cursors.remove(&source).unwrap_or_default(),
            source,
            progress,
            tape: Arc::clone(&self.tape),
            limit: self.cluster.timing().request_limit,
        };
        let seen = Arc::clone(&self.seen);
        seen.follow(&log);
        followers.spawn(async move {
            follower.run().await;
            seen.has_followed(log);
        });
    }

    fn delete(&self, uid: &str, followed: &mut Followed) {
        for ((of, _), progress) in followed.iter() {
            if of == uid {
                progress.send_replace(Progress::Gone);
            }
        }
        followed.retain(|(of, _), _| of != uid);
        self.seen.gone(uid);
    }
}

/// How far each container is that has been made.
fn progress_of(pod: &Pod) -> Vec<(String, Progress)> {
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let init = status.init_container_statuses.iter().flatten();
    let main = status.container_statuses.iter().flatten();
    let each = init
        .map(|container| {
            (
                container,
                policy.filter(|policy| *policy == "Never").or(Some("OnFailure")),
            )
        })
        .chain(main.map(|container| (container, policy)));
    each.filter_map(|(container, policy)| Some((container.name.clone(), progress(container, policy, over)?)))
        .collect()
}

/// How far a container is that is started again as its `policy` says.
fn progress(container: &ContainerStatus, policy: Option<&str>, pod_over: bool) -> Option<Progress> {
    let state = container.state.as_ref()?;
    if state.running.is_some() {
        return Some(Progress::Running);
    }
    if let Some(ended) = &state.terminated {
        let again = match policy {
            Some("Never") => false,
            Some("OnFailure") => ended.exit_code != 0,
            _ => true,
        };
        return Some(if pod_over || !again {
            Progress::Ended
        } else {
            Progress::Running
        });
    }
    let ended_before = container
        .last_state
        .as_ref()
        .is_some_and(|last| last.terminated.is_some());
    match (pod_over, ended_before) {
        (true, true) => Some(Progress::Ended),
        (true, false) => None,
        (false, _) => Some(Progress::Waiting),
    }
}

/// The pods of a selection; nothing when the cluster does not answer in time.
async fn list(cluster: &Cluster, pods: &Api<Pod>, selection: &PodSelection) -> Option<Vec<Pod>> {
    let params = ListParams::default().labels(&selection.labels);
    match timeout(cluster.timing().request_limit, pods.list(&params)).await {
        Ok(Ok(present)) => Some(present.items),
        Ok(Err(error)) => {
            warn!(namespace = selection.namespace, %error, "could not list the pods of an attempt");
            None
        }
        Err(_) => {
            warn!(
                namespace = selection.namespace,
                "the cluster did not list the pods of an attempt in time"
            );
            None
        }
    }
}

/// Brings what was seen of the pods up to date, since the watch may be behind what the cluster has told about the work. Answers
/// the logs of all containers that have started; none when the cluster does not answer.
pub(super) async fn refresh(cluster: &Cluster, selections: &[PodSelection], seen: &Seen) -> Vec<Log> {
    let mut logs = Vec::new();
    for selection in selections {
        let pods: Api<Pod> = Api::namespaced(cluster.client().clone(), &selection.namespace);
        for pod in list(cluster, &pods, selection).await.unwrap_or_default() {
            let uid = pod.uid().unwrap_or_default();
            seen.note(&uid, &selection.namespace, &pod);
            let started = progress_of(&pod)
                .into_iter()
                .filter(|(_, progress)| *progress != Progress::Waiting);
            logs.extend(started.map(|(container, _)| (uid.clone(), container)));
        }
    }
    logs
}

/// The newest events of each pod, by its identity.
pub(super) async fn events(cluster: &Cluster, seen: &Seen) -> HashMap<String, Vec<String>> {
    let pods: Vec<(String, String)> = seen
        .inner()
        .pods
        .iter()
        .map(|(uid, seen)| (uid.clone(), seen.namespace.clone()))
        .collect();
    let mut found = HashMap::new();
    for (uid, namespace) in pods {
        let events: Api<Event> = Api::namespaced(cluster.client().clone(), &namespace);
        let of_pod = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        match events.list(&of_pod).await {
            Ok(events) => {
                let mut lines: Vec<_> = events.items.iter().map(event_line).collect();
                lines.sort_by_key(|(at, _)| *at);
                let skipped = lines.len().saturating_sub(EVENTS_MAX);
                found.insert(
                    uid,
                    lines.into_iter().skip(skipped).map(|(_, line)| line).collect(),
                );
            }
            Err(error) => warn!(namespace, %error, "could not read the events of a pod"),
        }
    }
    found
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
