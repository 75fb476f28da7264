//! CustomResourceDefinitions: a while after one was made, its resource is served; when it goes, its objects go first.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::resources;
use crate::store::{Store, timestamp};

/// Clients that do not wait for `Established` are to be found out.
const DELAY: Duration = Duration::from_millis(50);

/// Looks after all definitions, and never ends.
pub(crate) async fn run(store: Store) {
    let mut changes = store.changes();
    while changes.changed().await.is_ok() {
        changes.borrow_and_update();
        let mut waiting = store.list("customresourcedefinitions", None);
        waiting.retain(|definition| resources::of_definition(definition).is_none());
        if !waiting.is_empty() {
            sleep(DELAY).await;
        }
        for definition in &waiting {
            establish(
                &store,
                definition["metadata"]["name"].as_str().unwrap_or_default(),
            );
        }
    }
}

fn establish(store: &Store, name: &str) {
    let now = timestamp(store.now());
    let condition = |kind: &str, reason: &str| {
        json!({
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": "",
            "lastTransitionTime": now,
        })
    };
    store.modify(
        "customresourcedefinitions",
        None,
        name,
        |definition: &mut Value| {
            definition["status"] = json!({
                "acceptedNames": definition["spec"]["names"],
                "storedVersions": [],
                "conditions": [
                    condition("NamesAccepted", "NoConflicts"),
                    condition("Established", "InitialNamesAccepted"),
                ],
            });
        },
    );
}
