//! Whether an object has come to its end or is ready, by its status.
//!
//! The rules are those of kstatus (`sigs.k8s.io/cli-utils`, `pkg/kstatus/status`), and for Jobs those of the Job API: only the
//! conditions `Complete` and `Failed` are terminal.

use ::kube::api::DynamicObject;
use serde_json::Value;

use crate::kube::Kind;

/// How a Job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobEnd {
    /// Condition `Complete`.
    Complete,
    /// Condition `Failed`.
    Failed {
        /// Its reason, such as `BackoffLimitExceeded`.
        reason: String,
        /// Its message.
        message: String,
    },
}

/// How far an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It is as its `spec` wants it.
    Ready,
    /// Not yet.
    NotReady {
        /// What is missing.
        why: String,
    },
    /// It will not get there by itself.
    Failed {
        /// What is wrong.
        why: String,
    },
}

/// The end of a Job, once it has one. `FailureTarget` and `SuccessCriteriaMet` come before the end, while pods still run.
pub(crate) fn job_end(job: &DynamicObject) -> Option<JobEnd> {
    if is_true(job, "Complete") {
        return Some(JobEnd::Complete);
    }
    let failed = find(job, "Failed").filter(|failed| failed["status"] == "True")?;
    Some(JobEnd::Failed {
        reason: text(&failed["reason"]),
        message: text(&failed["message"]),
    })
}

/// Whether the object has this condition with this status.
pub(crate) fn condition(object: &DynamicObject, name: &str, status: &str) -> bool {
    find(object, name).is_some_and(|condition| condition["status"] == status)
}

/// Whether objects of this kind have a readiness to wait for. Others are ready once they are there.
pub(crate) fn has_an_end(kind: &Kind) -> bool {
    matches!(
        (kind.resource.group.as_str(), kind.resource.kind.as_str()),
        ("", "Pod" | "PersistentVolumeClaim")
            | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("batch", "Job")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

/// How far the object is.
pub(crate) fn readiness(kind: &Kind, object: &DynamicObject) -> Readiness {
    if object.metadata.deletion_timestamp.is_some() {
        return not_ready("it is being deleted");
    }
    let observed = object
        .data
        .pointer("/status/observedGeneration")
        .and_then(Value::as_i64);
    if observed.is_some_and(|observed| Some(observed) != object.metadata.generation) {
        return not_ready("its controller has not seen its latest change");
    }
    match (kind.resource.group.as_str(), kind.resource.kind.as_str()) {
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => match phase(object) {
            "Bound" => Readiness::Ready,
            "Lost" => failed("its volume is lost"),
            phase => not_ready(&format!("its phase is {phase}")),
        },
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("batch", "Job") => job(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => generic(object),
    }
}

fn pod(pod: &DynamicObject) -> Readiness {
    match phase(pod) {
        "Succeeded" => Readiness::Ready,
        "Failed" => failed("it has failed"),
        "Running" if is_true(pod, "Ready") => Readiness::Ready,
        phase => not_ready(&format!("its phase is {phase}, and it is not ready")),
    }
}

fn deployment(deployment: &DynamicObject) -> Readiness {
    if let Some(progressing) = find(deployment, "Progressing")
        && progressing["reason"] == "ProgressDeadlineExceeded"
    {
        return failed(&format!(
            "ProgressDeadlineExceeded: {}",
            text(&progressing["message"])
        ));
    }
    let wanted = wanted(deployment);
    let of = |field: &str| number(deployment, field);
    if of("updatedReplicas") < wanted {
        return not_ready(&format!(
            "{} of {wanted} replicas are updated",
            of("updatedReplicas")
        ));
    }
    if of("replicas") > of("updatedReplicas") {
        return not_ready("old replicas are still there");
    }
    if of("availableReplicas") < wanted {
        return not_ready(&format!(
            "{} of {wanted} replicas are available",
            of("availableReplicas")
        ));
    }
    match find(deployment, "Available") {
        Some(available) if available["status"] != "True" => not_ready("it is not available"),
        None if wanted > 0 => not_ready("its controller has not looked at it"),
        _ => Readiness::Ready,
    }
}

fn stateful_set(set: &DynamicObject) -> Readiness {
    let wanted = wanted(set);
    let of = |field: &str| number(set, field);
    if set.data.pointer("/status/observedGeneration").is_none() {
        return not_ready("its controller has not looked at it");
    }
    if of("readyReplicas") < wanted {
        return not_ready(&format!("{} of {wanted} replicas are ready", of("readyReplicas")));
    }
    if of("replicas") > wanted {
        return not_ready("replicas are still going");
    }
    let partition = set
        .data
        .pointer("/spec/updateStrategy/rollingUpdate/partition")
        .and_then(Value::as_i64);
    let updating = set.data.pointer("/status/currentRevision") != set.data.pointer("/status/updateRevision");
    let to_update = wanted - partition.unwrap_or(0);
    if updating && !updates_on_delete(set) && of("updatedReplicas") < to_update {
        let updated = of("updatedReplicas");
        return not_ready(&format!("{updated} of {to_update} replicas are updated"));
    }
    Readiness::Ready
}

/// Whether its pods are updated only when somebody deletes them.
fn updates_on_delete(set: &DynamicObject) -> bool {
    set.data
        .pointer("/spec/updateStrategy/type")
        .is_some_and(|kind| kind == "OnDelete")
}

fn daemon_set(set: &DynamicObject) -> Readiness {
    if set.data.pointer("/status/observedGeneration").is_none() {
        return not_ready("its controller has not looked at it");
    }
    let of = |field: &str| number(set, field);
    let wanted = of("desiredNumberScheduled");
    let updated = of("updatedNumberScheduled");
    if updated < wanted && !updates_on_delete(set) {
        return not_ready(&format!("{updated} of {wanted} pods are updated"));
    }
    for (field, word) in [("numberAvailable", "available"), ("numberReady", "ready")] {
        if of(field) < wanted {
            return not_ready(&format!("{} of {wanted} pods are {word}", of(field)));
        }
    }
    Readiness::Ready
}

fn replica_set(set: &DynamicObject) -> Readiness {
    let wanted = wanted(set);
    let of = |field: &str| number(set, field);
    if is_true(set, "ReplicaFailure") {
        return not_ready("a replica could not be created or deleted");
    }
    match of("availableReplicas") {
        available if available < wanted => {
            not_ready(&format!("{available} of {wanted} replicas are available"))
        }
        _ if of("replicas") > wanted => not_ready("replicas are still going"),
        _ => Readiness::Ready,
    }
}

fn job(job: &DynamicObject) -> Readiness {
    match job_end(job) {
        Some(JobEnd::Complete) => Readiness::Ready,
        Some(JobEnd::Failed { reason, .. }) => failed(&reason),
        None => not_ready("it has not ended"),
    }
}

fn definition(definition: &DynamicObject) -> Readiness {
    if let Some(names) = find(definition, "NamesAccepted")
        && names["status"] == "False"
    {
        return failed(&format!(
            "its names are not accepted: {}",
            text(&names["message"])
        ));
    }
    match is_true(definition, "Established") {
        true => Readiness::Ready,
        false => not_ready("it is not established"),
    }
}

/// Any other kind, if it keeps to the conventions of kstatus: `Stalled`, `Reconciling` and `Ready`.
fn generic(object: &DynamicObject) -> Readiness {
    if let Some(stalled) = find(object, "Stalled").filter(|stalled| stalled["status"] == "True") {
        return failed(&text(&stalled["message"]));
    }
    if is_true(object, "Reconciling") {
        return not_ready("it is being reconciled");
    }
    match find(object, "Ready") {
        Some(ready) if ready["status"] != "True" => not_ready(&text(&ready["message"])),
        _ => Readiness::Ready,
    }
}

fn find<'object>(object: &'object DynamicObject, name: &str) -> Option<&'object Value> {
    let conditions = object.data.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == name)
}

fn is_true(object: &DynamicObject, name: &str) -> bool {
    condition(object, name, "True")
}

fn phase(object: &DynamicObject) -> &str {
    let phase = object.data.pointer("/status/phase").and_then(Value::as_str);
    phase.unwrap_or("unknown")
}

fn wanted(object: &DynamicObject) -> i64 {
    object
        .data
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1)
}

fn number(object: &DynamicObject, field: &str) -> i64 {
    object.data["status"][field].as_i64().unwrap_or(0)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn not_ready(why: &str) -> Readiness {
    Readiness::NotReady { why: why.to_owned() }
}

fn failed(why: &str) -> Readiness {
    Readiness::Failed { why: why.to_owned() }
}

#[cfg(test)]
mod tests;
