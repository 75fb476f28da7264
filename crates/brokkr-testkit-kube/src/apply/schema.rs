//! What stands for the schemas: which fields are not simply merged key by key.

use serde_json::{Map, Value};

/// How a list is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListType {
    /// Replaced as a whole.
    Atomic,
    /// Of unequal values.
    Set,
    /// Of objects that these fields tell apart.
    Map(&'static [&'static str]),
}

/// The list type of a field with this name (`x-kubernetes-list-type` and `-map-keys` of the built-in types), for these
/// items: a list whose items do not have their keys is taken as a whole.
pub(super) fn list_type(field: &str, items: &[Value]) -> ListType {
    let keys: &[&str] = match field {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            &["name"]
        }
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "conditions" => &["type"],
        "ownerReferences" => &["uid"],
        "hostAliases" => &["ip"],
        "ports" if items.iter().all(|item| item["containerPort"].is_number()) => {
            &["containerPort", "protocol"]
        }
        "ports" if items.iter().all(|item| item["port"].is_number()) => &["port", "protocol"],
        "finalizers" => return ListType::Set,
        _ => return ListType::Atomic,
    };
    if items.iter().all(|item| key_of(item, keys).is_some()) {
        ListType::Map(keys)
    } else {
        ListType::Atomic
    }
}

/// The fields that tell an item from its neighbours, with their defaults.
pub(super) fn key_of(item: &Value, keys: &[&str]) -> Option<Value> {
    let mut key = Map::new();
    for field in keys {
        let value = match item.get(field) {
            Some(value) if !value.is_null() => value.clone(),
            _ if *field == "protocol" => Value::from("TCP"),
            _ => return None,
        };
        key.insert((*field).to_owned(), value);
    }
    Some(Value::Object(key))
}

/// Whether an object of this name is replaced as a whole (`x-kubernetes-map-type: atomic`).
pub(super) fn is_atomic_map(field: &str) -> bool {
    matches!(
        field,
        "selector"
            | "nodeSelector"
            | "labelSelector"
            | "namespaceSelector"
            | "podSelector"
            | "configMapKeyRef"
            | "secretKeyRef"
            | "fieldRef"
            | "resourceFieldRef"
            | "scopeSelector"
            | "roleRef"
    )
}
