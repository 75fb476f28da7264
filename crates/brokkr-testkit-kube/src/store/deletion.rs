//! How objects go: at once, after their grace, or once nothing holds them any more.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ChangeKind, Key, State, Store, Write, metadata, timestamp};
use crate::resources::Resource;
use crate::status::Status;

const FOREGROUND: &str = "foregroundDeletion";

/// As `meta/v1` has them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) propagation_policy: Option<Propagation>,
    pub(crate) preconditions: Preconditions,
    pub(crate) dry_run: Vec<String>,
}

/// What becomes of the objects that an object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// Which object is meant.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

/// What a deletion did.
#[derive(Debug)]
pub(crate) enum Deletion {
    /// The object as it was last.
    Gone(Value),
    /// The object is held until its grace or its finalizers have ended.
    Pending(Value),
}

impl Store {
    /// Asks for an object's deletion, and answers how it is, or was last.
    pub(crate) fn delete(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Value, Status> {
        let resource = self.resource(resource).ok_or_else(Status::no_such_path)?;
        let key = Key::new(&resource.plural, namespace, name);
        match self.delete_at(&resource, &key, options)? {
            Deletion::Gone(object) | Deletion::Pending(object) => Ok(object),
        }
    }

    pub(crate) fn delete_at(
        &self,
        resource: &Resource,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Deletion, Status> {
        let now = self.now();
        let write = if options.dry_run.is_empty() {
            Write::Kept
        } else {
            Write::DryRun
        };
        let deletion = {
            let mut state = self.lock();
            let live = state
                .objects
                .get(key)
                .ok_or_else(|| resource.not_found(&key.name))?;
            let live = Value::clone(live);
            let asked = json!({
                "uid": options.preconditions.uid,
                "resourceVersion": options.preconditions.resource_version,
            });
            metadata::check_preconditions(resource, &live, &asked)?;
            if write == Write::DryRun {
                return Ok(Deletion::Gone(live));
            }
            begin(&mut state, key, live, options, now)
        };
        self.notify();
        Ok(deletion)
    }
}

fn begin(state: &mut State, key: &Key, live: Value, options: &DeleteOptions, now: DateTime<Utc>) -> Deletion {
    let propagation = propagation(key, options);
    if propagation == Propagation::Orphan {
        orphan(state, &live["metadata"]["uid"]);
    }
    let grace = grace_seconds(key, &live, options);
    let mut object = live.clone();
    hold_for_dependents(&mut object, propagation);
    mark(&mut object, grace, now);
    if nothing_holds(&object) {
        return Deletion::Gone(state.commit(ChangeKind::Deleted, key.clone(), object));
    }
    if object == live {
        return Deletion::Pending(object);
    }
    Deletion::Pending(state.commit(ChangeKind::Modified, key.clone(), object))
}

/// Jobs keep their pods unless the client says otherwise (batch/v1 `DefaultGarbageCollectionPolicy`), which surprises
/// clients often enough that it must be so here.
fn propagation(key: &Key, options: &DeleteOptions) -> Propagation {
    options.propagation_policy.unwrap_or(match key.resource.as_str() {
        "jobs" => Propagation::Orphan,
        _ => Propagation::Background,
    })
}

/// Only pods get grace, and only while they may be running somewhere (core/v1 `CheckGracefulDelete`).
fn grace_seconds(key: &Key, object: &Value, options: &DeleteOptions) -> i64 {
    let assigned = object["spec"]["nodeName"]
        .as_str()
        .is_some_and(|node| !node.is_empty());
    let ended = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if key.resource != "pods" || !assigned || ended {
        return 0;
    }
    let own = object["spec"]["terminationGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(30);
    options.grace_period_seconds.unwrap_or(own).max(0)
}

fn hold_for_dependents(object: &mut Value, propagation: Propagation) {
    let mut finalizers: Vec<Value> = object["metadata"]["finalizers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let begun = !object["metadata"]["deletionTimestamp"].is_null();
    if propagation == Propagation::Foreground || !begun {
        finalizers.retain(|finalizer| finalizer != FOREGROUND);
    }
    if propagation == Propagation::Foreground {
        finalizers.push(json!(FOREGROUND));
    }
    if finalizers.is_empty() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("finalizers");
        }
        return;
    }
    object["metadata"]["finalizers"] = Value::Array(finalizers);
}

/// Says until when the object has time. A later request can only shorten that.
fn mark(object: &mut Value, grace: i64, now: DateTime<Utc>) {
    let metadata = &mut object["metadata"];
    let before = metadata["deletionGracePeriodSeconds"].as_i64();
    if before.is_some_and(|before| before <= grace) {
        return;
    }
    metadata["deletionTimestamp"] = timestamp(now + TimeDelta::seconds(grace));
    metadata["deletionGracePeriodSeconds"] = json!(grace);
    if let Some(generation) = metadata["generation"].as_i64().filter(|_| before.is_none()) {
        metadata["generation"] = json!(generation + 1);
    }
    if object["kind"] == "Namespace" {
        object["status"]["phase"] = json!("Terminating");
    }
}

/// Whether an object is being deleted, and neither time, finalizers nor a namespace's contents keep it.
pub(super) fn nothing_holds(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let finalized = empty(&metadata["finalizers"])
        && (object["kind"] != "Namespace" || empty(&object["spec"]["finalizers"]));
    let timeless = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0;
    !metadata["deletionTimestamp"].is_null() && finalized && timeless
}

/// Lets go of everything an object owns.
fn orphan(state: &mut State, uid: &Value) {
    let owned: Vec<_> = state
        .objects
        .iter()
        .filter(|(_, object)| owners(object).any(|owner| owner["uid"] == *uid))
        .map(|(key, object)| (key.clone(), Value::clone(object)))
        .collect();
    for (key, mut object) in owned {
        let rest: Vec<_> = owners(&object)
            .filter(|owner| owner["uid"] != *uid)
            .cloned()
            .collect();
        object["metadata"]["ownerReferences"] = Value::Array(rest);
        state.commit(ChangeKind::Modified, key, object);
    }
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
}
