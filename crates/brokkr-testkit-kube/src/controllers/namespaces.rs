//! Namespaces: each has a service account `default`, and goes once it is empty.

use serde_json::{Value, json};

use super::object;
use crate::store::{Propagation, Store};

pub(super) fn reconcile(store: &Store) {
    for namespace in store.list("namespaces", None) {
        if object::is_deleting(&namespace) {
            empty(store, &namespace);
        } else {
            furnish(store, object::name(&namespace));
        }
    }
}

fn furnish(store: &Store, namespace: &str) {
    if store.get("serviceaccounts", Some(namespace), "default").is_none() {
        let account = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
        });
        // Another may have made it just now.
        let _ = store.create("serviceaccounts", account);
    }
}

fn empty(store: &Store, namespace: &Value) {
    let name = object::name(namespace);
    let mut contents = object::all(store);
    contents.retain(|(_, object)| object::namespace(object) == Some(name));
    for (resource, object) in &contents {
        if !object::is_deleting(object) {
            object::delete(store, resource, object, Propagation::Background);
        }
    }
    store.modify("namespaces", None, name, |namespace| {
        namespace["status"]["phase"] = json!("Terminating");
        if contents.is_empty() {
            namespace["spec"]["finalizers"] = json!([]);
        }
    });
}
