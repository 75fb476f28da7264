//! The metadata that an API server writes itself.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{Key, State, timestamp};
use crate::resources::Resource;
use crate::status::{Cause, Status};

/// Gives a new object its names, and finds where it belongs.
pub(super) fn identify(state: &mut State, resource: &Resource, object: &mut Value) -> Result<Key, Status> {
    if !object.is_object() {
        return Err(Status::bad_request("the object is not a JSON object"));
    }
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind);
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let namespace = place(resource, &mut object["metadata"]);
    if object["metadata"]["name"].as_str().unwrap_or_default().is_empty() {
        let name = generated_name(state, resource, namespace.as_deref(), &object["metadata"])?;
        object["metadata"]["name"] = json!(name);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Ok(Key::new(&resource.plural, namespace.as_deref(), name))
}

fn place(resource: &Resource, metadata: &mut Value) -> Option<String> {
    if !resource.namespaced {
        metadata.as_object_mut()?.remove("namespace");
        return None;
    }
    let namespace = metadata["namespace"].as_str().unwrap_or("default").to_owned();
    metadata["namespace"] = json!(namespace);
    Some(namespace)
}

fn generated_name(
    state: &mut State,
    resource: &Resource,
    namespace: Option<&str>,
    metadata: &Value,
) -> Result<String, Status> {
    // The longest base that leaves room for a suffix within the 63 characters of a label.
    const BASE_MAX: usize = 58;
    let base = metadata["generateName"].as_str().unwrap_or_default();
    if base.is_empty() {
        let cause = Cause {
            message: "Required value: name or generateName is required".to_owned(),
            ..Cause::required("metadata.name")
        };
        return Err(Status::invalid(&resource.group, &resource.kind, "", vec![cause]));
    }
    let base: String = base.chars().take(BASE_MAX).collect();
    loop {
        state.identities += 1;
        let name = format!("{base}{}", suffix(state.identities));
        if !state
            .objects
            .contains_key(&Key::new(&resource.plural, namespace, &name))
        {
            return Ok(name);
        }
    }
}

/// Five characters as apimachinery's `rand.String` uses them: without vowels, so that they make no words.
fn suffix(number: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    // Spreads neighbouring numbers, so that the names of a test do not look like a sequence.
    let mut rest = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let mut suffix = String::new();
    for _ in 0..5 {
        let letter = (rest % LETTERS.len() as u64) as usize;
        suffix.push(char::from(LETTERS[letter]));
        rest /= LETTERS.len() as u64;
    }
    suffix
}

/// Begins an object's life.
pub(super) fn begin(state: &mut State, object: &mut Value, now: DateTime<Utc>) {
    state.identities += 1;
    let metadata = &mut object["metadata"];
    metadata["uid"] = json!(format!("5eed0000-0000-4000-8000-{:012x}", state.identities));
    metadata["creationTimestamp"] = timestamp(now);
    if let Some(fields) = metadata.as_object_mut() {
        for field in [
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
        ] {
            fields.remove(field);
        }
    }
    if object["spec"].is_object() {
        object["metadata"]["generation"] = json!(1);
    }
}

/// A namespace takes nothing new before it exists, or once it is being deleted.
pub(super) fn check_namespace(state: &State, resource: &Resource, key: &Key) -> Result<(), Status> {
    if !resource.namespaced {
        return Ok(());
    }
    let name = &key.namespace;
    let namespace = state
        .objects
        .get(&Key::new("namespaces", None, name))
        .ok_or_else(|| {
            Status::of_code(404, format!("namespaces {name:?} not found")).about("", "namespaces", name)
        })?;
    if namespace["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {name} because it is being terminated");
    let cause = Cause {
        reason: "NamespaceTerminating",
        message: format!("namespace {name} is being terminated"),
        field: "metadata.namespace".to_owned(),
    };
    Err(resource.forbidden(&key.name, &why).with_causes(vec![cause]))
}

/// A client that says which object, or which version of it, it means, gets its change only then.
pub(super) fn check_preconditions(resource: &Resource, live: &Value, asked: &Value) -> Result<(), Status> {
    let differs = |field: &str| {
        let asked = asked[field].as_str().filter(|text| !text.is_empty());
        asked.filter(|asked| live["metadata"][field] != *asked)
    };
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    if let Some(uid) = differs("uid") {
        let real = &live["metadata"]["uid"];
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {real}");
        return Err(resource.conflict(name, &why));
    }
    if differs("resourceVersion").is_some() {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        return Err(resource.conflict(name, why));
    }
    Ok(())
}

/// Carries over what only the API server may change, and counts the generations.
pub(super) fn carry(live: &Value, object: &mut Value) {
    const OURS: [&str; 8] = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for field in ["apiVersion", "kind"] {
        object[field] = live[field].clone();
    }
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    for field in OURS {
        match live["metadata"].get(field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    if object["spec"] != live["spec"] {
        let generation = live["metadata"]["generation"].as_i64().unwrap_or(0);
        object["metadata"]["generation"] = json!(generation + 1);
    }
}
