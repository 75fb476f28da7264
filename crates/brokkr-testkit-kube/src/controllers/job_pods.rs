//! The pods of a Job.

use serde_json::{Value, json};

use super::events::{self, Happening};
use super::object;
use crate::store::{Propagation, Store};

/// Keeps a pod until its end is counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// The API server leaves this much of a Job's name, so that a suffix fits.
const PREFIX_MAX: usize = 57;

pub(super) fn of(store: &Store, job: &Value) -> Vec<Value> {
    let mut pods = store.list("pods", object::namespace(job));
    pods.retain(|pod| object::is_controlled_by(pod, job));
    pods
}

pub(super) fn succeeded(pod: &Value) -> bool {
    pod["status"]["phase"] == "Succeeded"
}

/// Nothing of it runs, and nothing will.
pub(super) fn has_ended(pod: &Value) -> bool {
    succeeded(pod) || pod["status"]["phase"] == "Failed"
}

pub(super) fn is_active(pod: &Value) -> bool {
    !has_ended(pod) && !object::is_deleting(pod)
}

pub(super) fn is_terminating(pod: &Value) -> bool {
    !has_ended(pod) && object::is_deleting(pod)
}

/// A pod that is being deleted counts as failed at once, unless it has succeeded.
pub(super) fn is_uncounted_end(pod: &Value) -> bool {
    (has_ended(pod) || object::is_deleting(pod))
        && object::finalizers(pod).any(|finalizer| finalizer == TRACKING)
}

/// How often containers of the pod were restarted.
pub(super) fn restarts(pod: &Value) -> u64 {
    let lists = ["initContainerStatuses", "containerStatuses"];
    let all = lists
        .iter()
        .filter_map(|list| pod["status"][list].as_array())
        .flatten();
    all.filter_map(|status| status["restartCount"].as_u64()).sum()
}

/// Lets go of pods that are counted.
pub(super) fn release<'a>(store: &Store, pods: impl Iterator<Item = &'a Value>) {
    for pod in pods.filter(|pod| object::finalizers(pod).next().is_some()) {
        store.modify("pods", object::namespace(pod), object::name(pod), |stored| {
            if object::uid(stored) == object::uid(pod) {
                object::remove_finalizer(stored, TRACKING);
            }
        });
    }
}

/// Lets go of pods whose Job is gone: nobody will count them.
pub(super) fn release_abandoned(store: &Store) {
    let jobs = store.list("jobs", None);
    let mut pods = store.list("pods", None);
    pods.retain(|pod| object::finalizers(pod).any(|finalizer| finalizer == TRACKING));
    release(
        store,
        pods.iter()
            .filter(|pod| !jobs.iter().any(|job| object::is_controlled_by(pod, job))),
    );
}

pub(super) fn delete<'a>(store: &Store, pods: impl Iterator<Item = &'a Value>) {
    for pod in pods {
        object::delete(store, "pods", pod, Propagation::Background);
    }
}

/// Adds a pod, or tells why there cannot be one.
pub(super) fn create(store: &Store, job: &Value) {
    let created = missing_account(store, job).map_or_else(
        || store.create("pods", pod(job)).map_err(|status| status.message),
        Err,
    );
    let (severity, reason, message) = match created {
        Ok(pod) => (
            "Normal",
            "SuccessfulCreate",
            format!("Created pod: {}", object::name(&pod)),
        ),
        Err(message) => ("Warning", "FailedCreate", format!("Error creating: {message}")),
    };
    let happening = Happening {
        severity,
        reason,
        message: &message,
        component: "job-controller",
        field: None,
    };
    if severity == "Normal" || !is_told(store, job, &message) {
        events::record(store, job, happening);
    }
}

/// Telling a failure again at every look would be a change, and so the reason for the next look.
fn is_told(store: &Store, job: &Value, message: &str) -> bool {
    let about = |event: &Value| {
        event["involvedObject"]["uid"] == job["metadata"]["uid"] && event["message"] == message
    };
    store.list("events", object::namespace(job)).iter().any(about)
}

/// Admission refuses pods of a service account that does not exist.
fn missing_account(store: &Store, job: &Value) -> Option<String> {
    let account = job["spec"]["template"]["spec"]["serviceAccountName"].as_str()?;
    let namespace = object::namespace(job).unwrap_or_default();
    if account == "default" || store.get("serviceaccounts", Some(namespace), account).is_some() {
        return None;
    }
    let prefix = prefix(job);
    Some(format!(
        "pods \"{prefix}\" is forbidden: error looking up service account {namespace}/{account}: \
         serviceaccount \"{account}\" not found"
    ))
}

fn prefix(job: &Value) -> String {
    let name: String = object::name(job).chars().take(PREFIX_MAX).collect();
    format!("{name}-")
}

fn pod(job: &Value) -> Value {
    let template = &job["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"],
        "spec": template["spec"],
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    });
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    let metadata = &mut pod["metadata"];
    metadata["generateName"] = json!(prefix(job));
    metadata["namespace"] = job["metadata"]["namespace"].clone();
    metadata["finalizers"] = json!([TRACKING]);
    metadata["ownerReferences"] = json!([object::controller_reference(job)]);
    if !metadata["labels"].is_object() {
        metadata["labels"] = json!({});
    }
    for prefix in ["", "batch.kubernetes.io/"] {
        metadata["labels"][format!("{prefix}job-name")] = job["metadata"]["name"].clone();
        metadata["labels"][format!("{prefix}controller-uid")] = job["metadata"]["uid"].clone();
    }
    let spec = &mut pod["spec"];
    for (field, default) in [
        ("serviceAccountName", json!("default")),
        ("terminationGracePeriodSeconds", json!(30)),
    ] {
        if spec[field].is_null() {
            spec[field] = default;
        }
    }
    pod
}
