//! BuildRuns, as what the executors of a cluster share sees them.

use ::kube::api::{ApiResource, DynamicObject};
use serde_json::{Value, json};

use crate::execute::build::buildrun;
use crate::execute::build::ending;
use crate::execute::run::RunKind;
use crate::kube::Kind;

/// Shipwright's BuildRuns.
pub(crate) struct BuildRuns;

impl RunKind for BuildRuns {
    fn kind(&self) -> Kind {
        Kind {
            resource: ApiResource {
                group: "shipwright.io".to_owned(),
                version: "v1beta1".to_owned(),
                api_version: "shipwright.io/v1beta1".to_owned(),
                kind: "BuildRun".to_owned(),
                plural: "buildruns".to_owned(),
            },
            namespaced: true,
        }
    }

    fn has_ended(&self, run: &DynamicObject) -> bool {
        ending::end(&whole(run)).is_some()
    }

    fn pods(&self, name: &str) -> String {
        buildrun::pods_of(name)
    }

    fn cancellation(&self) -> Option<Value> {
        Some(buildrun::cancellation())
    }

    fn removal(&self, _run: &DynamicObject, seconds: u64) -> Option<Value> {
        let ttl = format!("{seconds}s");
        Some(json!({ "spec": { "retention": { "ttlAfterFailed": ttl, "ttlAfterSucceeded": ttl } } }))
    }
}

/// The object with its name, as endings are read from.
pub(crate) fn whole(run: &DynamicObject) -> Value {
    let mut value = run.data.clone();
    value["metadata"] = json!({ "name": run.metadata.name });
    value
}
