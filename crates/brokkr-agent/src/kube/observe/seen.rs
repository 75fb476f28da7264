//! What was seen of the pods of an attempt.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tokio::time::Instant;

use super::evidence::{Evidence, PodEvidence};
use super::trouble::{Stuck, Trouble};

/// The log of a container: the identity of its pod, and its name.
pub(super) type Log = (String, String);

/// What was seen of the pods so far.
pub(super) struct Seen {
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
    /// Counts how often the watchers were asked to look at once.
    asked: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    /// By identity.
    pods: BTreeMap<String, PodSeen>,
    gone: HashSet<String>,
    stuck: Stuck,
    /// Which watches have seen all there was when they began.
    synced: Vec<bool>,
    /// The logs that have not come to their end.
    following: HashSet<Log>,
    /// How far the others came: the number of the run that was read to its end.
    caught_up: HashMap<Log, i32>,
}

struct PodSeen {
    namespace: String,
    evidence: PodEvidence,
}

impl Seen {
    pub(super) fn new(watches: usize) -> Self {
        let inner = Inner {
            synced: vec![false; watches],
            ..Inner::default()
        };
        Self {
            inner: Mutex::new(inner),
            changes: watch::Sender::new(0),
            asked: watch::Sender::new(0),
        }
    }

    /// Has the watchers look at once.
    pub(super) fn ask(&self) {
        self.asked.send_modify(|asked| *asked += 1);
    }

    /// Changes when the watchers are asked to look at once.
    pub(super) fn asked(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What has lasted for too long, or else when to look again.
    pub(super) fn judge(&self, stuck_limit: Duration, now: Instant) -> Result<Trouble, Option<Instant>> {
        self.inner().stuck.judge(stuck_limit, now)
    }

    /// Completes when every log has come to its end, the `expected` ones at least that of the given run.
    pub(super) async fn drained(&self, expected: &[(Log, i32)]) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if self.inner().is_drained(expected) {
                return;
            }
            // The sender lives as long as this.
            let _ = changes.changed().await;
        }
    }

    /// The state of a pod.
    pub(super) fn note(&self, uid: &str, namespace: &str, pod: &Pod) {
        self.change(|inner| {
            inner.stuck.note(uid, pod, Instant::now());
            let seen = PodSeen {
                namespace: namespace.to_owned(),
                evidence: PodEvidence::of(pod),
            };
            inner.pods.insert(uid.to_owned(), seen);
        });
    }

    /// A pod is gone. What was seen of it stays.
    pub(super) fn gone(&self, uid: &str) {
        self.change(|inner| {
            inner.stuck.forget(uid);
            inner.gone.insert(uid.to_owned());
        });
    }

    /// Whether the pod was there when it was last seen.
    pub(super) fn is_there(&self, uid: &str) -> bool {
        !self.inner().gone.contains(uid)
    }

    /// A watch has seen all there was when it began.
    pub(super) fn synced(&self, index: usize) {
        self.change(|inner| inner.synced[index] = true);
    }

    /// More may come of a log.
    pub(super) fn following(&self, log: &Log) {
        self.change(|inner| {
            inner.following.insert(log.clone());
        });
    }

    /// All of a log has come, up to this run.
    pub(super) fn caught_up(&self, log: &Log, run: i32) {
        self.change(|inner| {
            inner.following.remove(log);
            inner.caught_up.insert(log.clone(), run);
        });
    }

    /// The identity and the namespace of every pod.
    pub(super) fn pods(&self) -> Vec<(String, String)> {
        let inner = self.inner();
        let each = inner
            .pods
            .iter()
            .map(|(uid, seen)| (uid.clone(), seen.namespace.clone()));
        each.collect()
    }

    /// Everything that was seen, with the events of each pod by its identity.
    pub(super) fn evidence(&self, mut events: HashMap<String, Vec<String>>) -> Evidence {
        let inner = self.inner();
        let pods = inner.pods.iter().map(|(uid, seen)| PodEvidence {
            events: events.remove(uid).unwrap_or_default(),
            ..seen.evidence.clone()
        });
        Evidence::of(pods.collect())
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner());
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_drained(&self, expected: &[(Log, i32)]) -> bool {
        let read = |(log, run): &(Log, i32)| self.caught_up.get(log).is_some_and(|read| run <= read);
        self.following.is_empty() && self.synced.iter().all(|synced| *synced) && expected.iter().all(read)
    }
}
