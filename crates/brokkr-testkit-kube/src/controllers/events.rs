//! Events, counted as the recorder of Kubernetes does: what repeats is one event with a higher count.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Value, json};

use super::object;
use crate::store::Store;

/// What happened to an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happening<'a> {
    /// `Normal` or `Warning`.
    pub(crate) severity: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    /// Who says so.
    pub(crate) component: &'a str,
    /// The container, as `spec.containers{name}`.
    pub(crate) field: Option<&'a str>,
}

/// Records what happened to `involved`.
pub(crate) fn record(store: &Store, involved: &Value, happening: Happening<'_>) {
    let namespace = object::namespace(involved).unwrap_or("default");
    let name = format!(
        "{}.{:016x}",
        object::name(involved),
        identity(involved, &happening)
    );
    let now = object::timestamp(store.now());
    let repeated = store.modify("events", Some(namespace), &name, |event| {
        event["count"] = json!(event["count"].as_u64().unwrap_or(1) + 1);
        event["lastTimestamp"] = json!(now);
    });
    if repeated.is_none() {
        // The only way to fail is a namespace that is going away, and its events with it.
        let _ = store.create("events", event(involved, namespace, &name, &now, &happening));
    }
}

fn identity(involved: &Value, happening: &Happening<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (
        object::uid(involved),
        happening.reason,
        happening.message,
        happening.field,
    )
        .hash(&mut hasher);
    hasher.finish()
}

fn event(involved: &Value, namespace: &str, name: &str, now: &str, happening: &Happening<'_>) -> Value {
    let mut event = json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": involved["apiVersion"],
            "kind": involved["kind"],
            "namespace": involved["metadata"]["namespace"],
            "name": involved["metadata"]["name"],
            "uid": involved["metadata"]["uid"],
        },
        "type": happening.severity,
        "reason": happening.reason,
        "message": happening.message,
        "source": {"component": happening.component},
        "reportingComponent": happening.component,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    });
    if let Some(field) = happening.field {
        event["involvedObject"]["fieldPath"] = json!(field);
    }
    event
}
