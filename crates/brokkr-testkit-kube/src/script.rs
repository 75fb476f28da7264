//! What happens to the cluster from outside: accidents, and what a test holds back or does by hand.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::FakeKube;
use crate::controllers::BuildScript;
use crate::controllers::object::{self, is_controlled_by, set_condition, timestamp};
use crate::store::{DeleteOptions, Propagation};

/// How long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Accidents.
///
/// # Panics
///
/// All of these panic when there is no such pod: the test is wrong then.
impl FakeKube {
    /// Evicts a pod as a kubelet does whose node runs out of something: killed without grace, phase `Failed`, reason
    /// `Evicted`, and the condition `DisruptionTarget`.
    pub fn evict(&self, namespace: &str, pod: &str) {
        self.disrupt(namespace, pod, "TerminationByKubelet", |status| {
            status["phase"] = json!("Failed");
            status["reason"] = json!("Evicted");
            status["message"] = json!("The node was low on resource: memory.");
        });
    }

    /// Deletes a pod with its grace, as the scheduler does in favour of a more important one.
    pub fn preempt(&self, namespace: &str, pod: &str) {
        let pod = self.disrupt(namespace, pod, "PreemptionByScheduler", |_| ());
        object::delete(&self.store, "pods", &pod, Propagation::Background);
    }

    /// Takes a pod's node away: the pod fails and is deleted, as the taint manager and the pod garbage collector do.
    pub fn lose_node(&self, namespace: &str, pod: &str) {
        self.disrupt(namespace, pod, "DeletionByTaintManager", |status| {
            status["phase"] = json!("Failed")
        });
        let at_once = DeleteOptions {
            grace_period_seconds: Some(0),
            ..DeleteOptions::default()
        };
        // The Job controller may have let go of it already.
        let _ = self.store.delete("pods", Some(namespace), pod, &at_once);
    }

    /// Kills a running container as the kernel does when memory runs out: exit code 137, reason `OOMKilled`.
    pub fn oom_kill(&self, namespace: &str, pod: &str, container: &str) {
        let uid = object::uid(&self.pod(namespace, pod)).to_owned();
        let killed = self
            .controllers
            .kubelet
            .processes
            .kill_out_of_memory(&uid, container);
        assert!(
            killed,
            "container {container} of pod {namespace}/{pod} does not run"
        );
    }

    /// Drops what a container has written so far, as a kubelet does with the files that rotation leaves behind.
    pub fn rotate_logs(&self, namespace: &str, pod: &str, container: &str) {
        let uid = object::uid(&self.pod(namespace, pod)).to_owned();
        self.logs.rotate(&uid, container);
    }

    fn disrupt(&self, namespace: &str, pod: &str, reason: &str, change: impl FnOnce(&mut Value)) -> Value {
        let now = self.store.now();
        let disrupted = self.store.modify("pods", Some(namespace), pod, |pod| {
            let why = (reason, "The pod was disrupted by a test");
            set_condition(&mut pod["status"], "DisruptionTarget", "True", why, now);
            change(&mut pod["status"]);
        });
        disrupted.unwrap_or_else(|| panic!("there is no pod {namespace}/{pod}"))
    }

    fn pod(&self, namespace: &str, pod: &str) -> Value {
        let found = self.store.get("pods", Some(namespace), pod);
        found.unwrap_or_else(|| panic!("there is no pod {namespace}/{pod}"))
    }
}

/// What is held back until [`FakeKube::release`].
impl FakeKube {
    /// The controllers of Jobs and BuildRuns do nothing: new ones stay without pods.
    pub fn hold_jobs(&self) {
        self.controllers.controls().hold(|held| held.jobs = true);
    }

    /// No container is started any more: new pods stay `Pending`. Those that run go on.
    pub fn hold_kubelet(&self) {
        self.controllers.controls().hold(|held| held.kubelet = true);
    }

    /// Pods that are deleted go on running and stay, as on a node that nobody reaches.
    pub fn pause_deletion(&self) {
        self.controllers.controls().hold(|held| held.deletion = true);
    }

    /// Nothing is held back any more.
    pub fn release(&self) {
        self.controllers
            .controls()
            .hold(|held| *held = Default::default());
    }

    /// What the runs of image builds come to, from the next change on. Needs Shipwright.
    pub fn script_builds(&self, script: BuildScript) {
        self.controllers.controls().script_builds(script);
    }

    /// Lets an image be pulled, as one that is pushed to its registry just now.
    pub fn add_image(&self, image: &str) {
        self.controllers.controls().add_image(image);
    }
}

/// What a test does by hand, and looks at.
impl FakeKube {
    /// The pods that a Job has, whatever their state.
    #[must_use]
    pub fn pods_of_job(&self, namespace: &str, job: &str) -> Vec<Value> {
        let Some(job) = self.store.get("jobs", Some(namespace), job) else {
            return Vec::new();
        };
        let mut pods = self.store.list("pods", Some(namespace));
        pods.retain(|pod| is_controlled_by(pod, &job));
        pods
    }

    /// Writes `status` over the status of an object of this resource (by its plural), as its controller would.
    ///
    /// # Panics
    ///
    /// When there is no such object.
    pub fn set_status(&self, resource: &str, namespace: Option<&str>, name: &str, status: &Value) {
        let set = self.store.modify(resource, namespace, name, |object| {
            object["status"] = status.clone()
        });
        assert!(set.is_some(), "there is no {name} among {resource}");
    }

    /// Says of a Job that it has succeeded.
    ///
    /// # Panics
    ///
    /// When there is no such Job.
    pub fn complete_job(&self, namespace: &str, job: &str) {
        let now = self.store.now();
        let why = ("CompletionsReached", "Reached expected number of succeeded pods");
        self.end_job(
            namespace,
            job,
            ["SuccessCriteriaMet", "Complete"],
            why,
            |status| {
                status["succeeded"] = json!(1);
                status["completionTime"] = json!(timestamp(now));
            },
        );
    }

    /// Says of a Job that it has failed for this reason.
    ///
    /// # Panics
    ///
    /// When there is no such Job.
    pub fn fail_job(&self, namespace: &str, job: &str, reason: &str, message: &str) {
        self.end_job(
            namespace,
            job,
            ["FailureTarget", "Failed"],
            (reason, message),
            |status| {
                status["failed"] = json!(1);
            },
        );
    }

    fn end_job(
        &self,
        namespace: &str,
        job: &str,
        conditions: [&str; 2],
        why: (&str, &str),
        change: impl FnOnce(&mut Value),
    ) {
        let now = self.store.now();
        let ended = self.store.modify("jobs", Some(namespace), job, |job| {
            let status = &mut job["status"];
            if status["startTime"].is_null() {
                status["startTime"] = json!(timestamp(now));
            }
            for condition in conditions {
                set_condition(status, condition, "True", why, now);
            }
            change(status);
        });
        assert!(ended.is_some(), "there is no Job {namespace}/{job}");
    }

    /// What `look` finds, as soon as it finds something. It looks again after every change in the cluster.
    ///
    /// # Panics
    ///
    /// When `what` has not happened after 20 seconds.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.store.changes();
        let found = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look(self) {
                    return found;
                }
                // The store holds the sender, so this cannot fail.
                let _ = changes.changed().await;
            }
        };
        timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("this did not happen: {what}"))
    }
}
