//! Reading and writing the parts that all objects share.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::store::{DeleteOptions, Preconditions, Propagation, Store};

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(crate) fn namespace(object: &Value) -> Option<&str> {
    object["metadata"]["namespace"].as_str()
}

pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

pub(crate) fn remove_finalizer(object: &mut Value, finalizer: &str) {
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    if let Some(Value::Array(finalizers)) = metadata.get_mut("finalizers") {
        finalizers.retain(|present| present != finalizer);
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        }
    }
}

/// Asks for the deletion of exactly this object, as a controller does.
pub(crate) fn delete(store: &Store, resource: &str, object: &Value, propagation: Propagation) {
    let options = DeleteOptions {
        propagation_policy: Some(propagation),
        preconditions: Preconditions {
            uid: Some(uid(object).to_owned()),
            ..Preconditions::default()
        },
        ..DeleteOptions::default()
    };
    // It may be gone by now, which is all that is wanted.
    let _ = store.delete(resource, namespace(object), name(object), &options);
}

/// Every object there is, with its resource.
pub(crate) fn all(store: &Store) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for resource in store.resources() {
        let objects = store.list(&resource.plural, None).into_iter();
        all.extend(objects.map(|object| (resource.plural.clone(), object)));
    }
    all
}

pub(crate) fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
}

/// Whether `owner` is the controller of `object`.
pub(crate) fn is_controlled_by(object: &Value, owner: &Value) -> bool {
    owners(object)
        .any(|reference| reference["controller"] == true && reference["uid"] == owner["metadata"]["uid"])
}

/// The reference by which `owner` controls what it creates.
pub(crate) fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

pub(crate) fn condition_is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Adds or replaces a condition; its transition time changes only with its status.
pub(crate) fn set_condition(
    status: &mut Value,
    kind: &str,
    value: &str,
    why: (&str, &str),
    now: DateTime<Utc>,
) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return;
    };
    let mut condition = json!({"type": kind, "status": value, "lastTransitionTime": timestamp(now)});
    let (reason, message) = why;
    if !reason.is_empty() {
        condition["reason"] = json!(reason);
    }
    if !message.is_empty() {
        condition["message"] = json!(message);
    }
    match conditions.iter_mut().find(|present| present["type"] == kind) {
        Some(present) => {
            if present["status"] == value {
                condition["lastTransitionTime"] = present["lastTransitionTime"].take();
            }
            *present = condition;
        }
        None => conditions.push(condition),
    }
}

/// As Kubernetes writes times: RFC 3339 in whole seconds.
pub(crate) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(crate) fn time(value: &Value) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    Some(time.with_timezone(&Utc))
}
