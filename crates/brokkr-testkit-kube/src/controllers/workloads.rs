//! Deployments, StatefulSets, DaemonSets, ReplicaSets and claims: only their status, as if their pods ran at once.
//!
//! They have no pods. A workload is ready when its images exist; else it never is, and a Deployment says so once its
//! `progressDeadlineSeconds` have passed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::controls::Controls;
use super::object::{self, set_condition};
use super::sooner;
use crate::store::Store;

const PROGRESS_DEADLINE_SECONDS: i64 = 600;

/// Brings every status up to date. Returns how soon it has to look again, whatever happens.
pub(super) fn reconcile(store: &Store, controls: &Controls) -> Option<Duration> {
    let mut due = None;
    for resource in ["deployments", "statefulsets", "daemonsets", "replicasets"] {
        for object in store.list(resource, None) {
            let now = store.now();
            let ready = !controls.held().kubelet && has_images(&object, controls);
            let mut status = object["status"].clone();
            if !status.is_object() {
                status = json!({});
            }
            status["observedGeneration"] = object["metadata"]["generation"].clone();
            match resource {
                "daemonsets" => daemons(&mut status, ready),
                _ => replicas(&mut status, &object, ready),
            }
            if resource == "deployments" {
                due = sooner(due, progress(&mut status, &object, ready, now));
            }
            write(store, resource, &object, &status);
        }
    }
    for claim in store.list("persistentvolumeclaims", None) {
        let mut status = claim["status"].clone();
        if status["phase"] != "Bound" {
            status = json!({
                "phase": "Bound",
                "accessModes": claim["spec"]["accessModes"],
                "capacity": claim["spec"]["resources"]["requests"],
            });
        }
        write(store, "persistentvolumeclaims", &claim, &status);
    }
    due
}

fn has_images(object: &Value, controls: &Controls) -> bool {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array();
    let mut images = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container["image"].as_str());
    images.all(|image| controls.has_image(image))
}

fn daemons(status: &mut Value, ready: bool) {
    let ready = i64::from(ready);
    status["desiredNumberScheduled"] = json!(1);
    status["currentNumberScheduled"] = json!(1);
    status["updatedNumberScheduled"] = json!(1);
    status["numberMisscheduled"] = json!(0);
    status["numberReady"] = json!(ready);
    status["numberAvailable"] = json!(ready);
    status["numberUnavailable"] = json!(1 - ready);
}

fn replicas(status: &mut Value, object: &Value, ready: bool) {
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let ready = if ready { wanted } else { 0 };
    status["replicas"] = json!(wanted);
    status["updatedReplicas"] = json!(wanted);
    status["currentReplicas"] = json!(wanted);
    status["readyReplicas"] = json!(ready);
    status["availableReplicas"] = json!(ready);
    status["unavailableReplicas"] = json!(wanted - ready);
    if object["kind"] == "StatefulSet" {
        let revision = format!("{}-{}", object::name(object), object["metadata"]["generation"]);
        status["currentRevision"] = json!(revision);
        status["updateRevision"] = json!(revision);
    }
}

fn progress(status: &mut Value, object: &Value, ready: bool, now: DateTime<Utc>) -> Option<Duration> {
    if ready {
        let available = ("MinimumReplicasAvailable", "Deployment has minimum availability.");
        set_condition(status, "Available", "True", available, now);
        set_condition(
            status,
            "Progressing",
            "True",
            (
                "NewReplicaSetAvailable",
                "ReplicaSet has successfully progressed.",
            ),
            now,
        );
        return None;
    }
    let unavailable = (
        "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability.",
    );
    set_condition(status, "Available", "False", unavailable, now);
    let seconds = object["spec"]["progressDeadlineSeconds"]
        .as_i64()
        .unwrap_or(PROGRESS_DEADLINE_SECONDS);
    // A real controller counts from the last progress; here there is only one, the creation.
    let since = object::time(&object["metadata"]["creationTimestamp"]).unwrap_or(now);
    let left = (since + TimeDelta::seconds(seconds) - now)
        .to_std()
        .unwrap_or_default();
    if left.is_zero() {
        let passed = (
            "ProgressDeadlineExceeded",
            "ReplicaSet has timed out progressing.",
        );
        set_condition(status, "Progressing", "False", passed, now);
        return None;
    }
    set_condition(
        status,
        "Progressing",
        "True",
        ("ReplicaSetUpdated", "ReplicaSet is progressing."),
        now,
    );
    Some(left)
}

fn write(store: &Store, resource: &str, object: &Value, status: &Value) {
    store.modify(
        resource,
        object::namespace(object),
        object::name(object),
        |stored| {
            if object::uid(stored) == object::uid(object) {
                stored["status"] = status.clone();
            }
        },
    );
}
