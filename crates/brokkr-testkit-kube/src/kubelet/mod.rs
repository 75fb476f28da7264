//! A node that runs pods: containers are processes of this host, whatever their image holds.
//!
//! Where it differs from a kubelet: `busybox` is the host's own `sh` and tools; a container sees the host's files, and
//! none of its volumes, and works in an empty directory of its own; there are no probes, no sidecars (init containers that go on), no limits. TERM reaches the
//! whole process group, where in a container the first process ignores it unless it has a handler. Pauses before
//! restarts and pulls are short.

mod container;
mod environment;
mod pod;
mod process;
mod schedule;
mod spec;
mod status;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use self::pod::Pod;
pub(crate) use self::process::Processes;
use crate::controllers::controls::Controls;
use crate::controllers::object;
use crate::logs::Logs;
use crate::store::{DeleteOptions, Preconditions, Store};

/// The one node that there is.
pub(crate) const NODE: &str = "node-1";

/// What runs pods. All clones are one.
#[derive(Clone)]
pub(crate) struct Kubelet {
    pub(crate) store: Store,
    pub(crate) logs: Logs,
    pub(crate) controls: Controls,
    pub(crate) processes: Processes,
    directory: Arc<TempDir>,
}

impl Kubelet {
    /// A kubelet whose containers work below a new directory of the host.
    pub(crate) fn new(store: Store, logs: Logs, controls: Controls) -> io::Result<Self> {
        Ok(Self {
            store,
            logs,
            controls,
            processes: Processes::default(),
            directory: Arc::new(TempDir::with_prefix("brokkr-pods-")?),
        })
    }

    /// Adds the node, and runs every pod there is until this is dropped.
    pub(crate) async fn run(self) {
        // A test may have made its own node of this name.
        let _ = self.store.create("nodes", node());
        let mut changes = self.store.changes();
        let mut known = HashSet::new();
        let mut pods = JoinSet::new();
        loop {
            changes.borrow_and_update();
            let present = self.store.list("pods", None);
            let uids: HashSet<String> = present.iter().map(|pod| object::uid(pod).to_owned()).collect();
            for gone in known.difference(&uids) {
                self.logs.forget(gone);
            }
            for pod in present.iter().filter(|pod| !known.contains(object::uid(pod))) {
                match Pod::new(self.clone(), pod) {
                    Ok(pod) => drop(pods.spawn(async move { pod.live().await })),
                    Err(error) => self.refuse(pod, &error),
                }
            }
            known = uids;
            while pods.try_join_next().is_some() {}
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn refuse(&self, pod: &Value, error: &serde_json::Error) {
        self.store
            .modify("pods", object::namespace(pod), object::name(pod), |pod| {
                pod["status"]["phase"] = json!("Failed");
                pod["status"]["reason"] = json!("UnexpectedAdmissionError");
                pod["status"]["message"] = json!(error.to_string());
            });
    }

    /// What `look` finds, as soon as it finds something. It looks again after every change of any object.
    async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let mut changes = self.store.changes();
        loop {
            changes.borrow_and_update();
            if let Some(found) = look() {
                return found;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tells that nothing of a pod that is being deleted runs any more: it goes, unless finalizers keep it.
    fn give_back(&self, namespace: &str, name: &str, uid: &str) {
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            preconditions: Preconditions {
                uid: Some(uid.to_owned()),
                ..Preconditions::default()
            },
            ..DeleteOptions::default()
        };
        // It may be gone by now, which is all that is wanted.
        let _ = self.store.delete("pods", Some(namespace), name, &options);
    }
}

fn node() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"operatingSystem": "linux", "architecture": "amd64"},
        },
    })
}
