//! The garbage collector: what becomes of objects whose owners go.

use std::collections::HashSet;

use serde_json::Value;

use super::object;
use crate::store::{Propagation, Store};

/// Keeps an owner until what blocks its deletion is gone.
const FOREGROUND: &str = "foregroundDeletion";

/// Deletes what nobody owns any more, and lets owners go once what they wait for is gone.
pub(super) fn reconcile(store: &Store) {
    let all = object::all(store);
    let uids: HashSet<&str> = all.iter().map(|(_, object)| object::uid(object)).collect();
    let waiting: HashSet<&str> = all
        .iter()
        .map(|(_, object)| object)
        .filter(|object| object::is_deleting(object) && has(object, FOREGROUND))
        .map(object::uid)
        .collect();
    for (resource, object) in &all {
        if !object::is_deleting(object) && is_garbage(object, &uids, &waiting) {
            let nested = if owns_any(object, &all) {
                Propagation::Foreground
            } else {
                Propagation::Background
            };
            object::delete(store, resource, object, nested);
        }
        if waiting.contains(object::uid(object)) && !all.iter().any(|(_, other)| blocks(other, object)) {
            release(store, resource, object);
        }
    }
}

fn has(object: &Value, finalizer: &str) -> bool {
    object::finalizers(object).any(|present| present == finalizer)
}

/// An object goes when each of its owners is gone, or waits for it to go.
fn is_garbage(object: &Value, uids: &HashSet<&str>, waiting: &HashSet<&str>) -> bool {
    let mut owners = object::owners(object)
        .filter_map(|owner| owner["uid"].as_str())
        .peekable();
    owners.peek().is_some() && owners.all(|owner| !uids.contains(owner) || waiting.contains(owner))
}

fn owns_any(owner: &Value, all: &[(String, Value)]) -> bool {
    all.iter()
        .any(|(_, object)| references(object, owner).next().is_some())
}

fn blocks(object: &Value, owner: &Value) -> bool {
    references(object, owner).any(|reference| reference["blockOwnerDeletion"] == true)
}

fn references<'a>(object: &'a Value, owner: &'a Value) -> impl Iterator<Item = &'a Value> {
    object::owners(object).filter(|reference| reference["uid"] == owner["metadata"]["uid"])
}

fn release(store: &Store, resource: &str, object: &Value) {
    store.modify(
        resource,
        object::namespace(object),
        object::name(object),
        |stored| {
            if object::uid(stored) == object::uid(object) {
                object::remove_finalizer(stored, FOREGROUND);
            }
        },
    );
}
