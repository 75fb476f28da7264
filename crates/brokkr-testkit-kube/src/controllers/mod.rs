//! What makes objects come true: the controllers, and the one node's kubelet.
//!
//! The controllers run one after the other in one task after every change of any object, so they never race with each
//! other; they race with clients, as the real ones do. Nothing becomes of CronJobs, services and the like.

mod builds;
pub(crate) mod controls;
pub(crate) mod events;
mod garbage;
mod job_pods;
mod job_status;
mod jobs;
mod namespaces;
pub(crate) mod object;
mod workloads;

use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

pub use self::controls::BuildScript;
use self::controls::Controls;
use self::jobs::Jobs;
use crate::kubelet::Kubelet;
use crate::logs::Logs;
use crate::store::Store;

/// When nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// The running controllers and kubelet. Dropping this ends them, and every container's process.
pub(crate) struct Controllers {
    pub(crate) kubelet: Kubelet,
    tasks: [JoinHandle<()>; 2],
}

impl Controllers {
    /// Starts everything in the current runtime. `images` can be pulled beside `busybox`.
    pub(crate) fn start(store: &Store, logs: &Logs, images: Vec<String>) -> io::Result<Self> {
        let controls = Controls::new(images);
        let kubelet = Kubelet::new(store.clone(), logs.clone(), controls.clone())?;
        let tasks = [
            tokio::spawn(run(store.clone(), controls)),
            tokio::spawn(kubelet.clone().run()),
        ];
        Ok(Self { kubelet, tasks })
    }

    pub(crate) fn controls(&self) -> &Controls {
        &self.kubelet.controls
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        self.kubelet.processes.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn run(store: Store, controls: Controls) {
    let mut jobs = Jobs::new(store.clone());
    let mut changes = store.changes();
    let mut held = controls.changes();
    loop {
        changes.borrow_and_update();
        held.borrow_and_update();
        namespaces::reconcile(&store);
        garbage::reconcile(&store);
        let mut due = workloads::reconcile(&store, &controls);
        if !controls.held().jobs {
            due = sooner(due, jobs.reconcile());
            due = sooner(due, builds::reconcile(&store, &controls));
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = held.changed() => {}
            () = sleep(due.unwrap_or(IDLE)) => {}
        }
    }
}

/// The shorter of two waits, where nothing is no wait at all.
fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}
