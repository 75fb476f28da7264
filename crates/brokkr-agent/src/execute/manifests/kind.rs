//! Jobs, as runs of attempts.

use ::kube::api::{ApiResource, DynamicObject};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use crate::execute::run::RunKind;
use crate::kube::Kind;
use crate::kube::readiness::job_end;

/// The name of the kind.
pub(super) const JOB: &str = "Job";

/// The kind of which `custom` work creates objects.
pub(super) struct Jobs;

impl RunKind for Jobs {
    /// Jobs are served by every cluster.
    fn kind(&self) -> Kind {
        Kind {
            resource: ApiResource::erase::<Job>(&()),
            namespaced: true,
        }
    }

    fn has_ended(&self, run: &DynamicObject) -> bool {
        job_end(run).is_some()
    }

    /// By the label that every version of the Job controller sets (`batch.kubernetes.io/job-name` came with 1.27).
    fn pods(&self, name: &str) -> String {
        format!("job-name={name}")
    }

    fn cancellation(&self) -> Option<Value> {
        None
    }

    fn removal(&self, run: &DynamicObject, seconds: u64) -> Option<Value> {
        let own = run.data.pointer("/spec/ttlSecondsAfterFinished");
        match own.is_some_and(Value::is_number) {
            true => None,
            false => Some(json!({"spec": {"ttlSecondsAfterFinished": seconds}})),
        }
    }
}
