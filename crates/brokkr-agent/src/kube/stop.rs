//! Stopping what runs, and being sure of it.

use std::time::Duration;

use ::kube::api::{ApiResource, DynamicObject};
use tokio::time::{sleep, timeout};

use super::calls::whole_seconds;
use super::send::backoff;
use crate::kube::{ApiFailure, Cluster, Kind, ObjectRef};

/// The longest pause between two looks.
const LOOK_LONGEST: Duration = Duration::from_secs(1);
/// The grace of a pod that names none (`terminationGracePeriodSeconds` of `PodSpec`), in seconds.
const POD_GRACE_SECONDS: u64 = 30;

/// Why it is not certain that nothing runs any more.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// Something was still there when it was last looked for.
    #[error("after {seconds} s it is not certain that these are gone: {}", .what.join(", "))]
    Remains {
        /// How long it was waited.
        seconds: u64,
        /// Kind, namespace and name of each that was there.
        what: Vec<String>,
    },
    /// The API refused it or could not be reached.
    #[error(transparent)]
    Api(#[from] ApiFailure),
}

impl Cluster {
    /// Deletes the object `run` (if it still is the one with this `uid`) in the foreground, and completes when it and every pod
    /// with the labels `pods` are gone. Pods keep the grace that their own template gives them, but no more than `grace`.
    ///
    /// # Errors
    /// When something is still there when the limit of a deletion has passed after `grace`, or the API refuses the deletion.
    pub async fn stop(
        &self,
        run: &ObjectRef,
        uid: &str,
        pods: &str,
        grace: Duration,
    ) -> Result<(), StopError> {
        let limit = grace + self.timing.deletion_limit;
        let mut remaining = vec![run.to_string()];
        let stopped = timeout(limit, async {
            self.delete(run, Some(uid), true, None).await?;
            self.until_gone(run, uid, pods, grace, &mut remaining).await
        });
        match stopped.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(StopError::Remains {
                seconds: limit.as_secs(),
                what: remaining,
            }),
        }
    }

    async fn until_gone(
        &self,
        run: &ObjectRef,
        uid: &str,
        pods: &str,
        grace: Duration,
        remaining: &mut Vec<String>,
    ) -> Result<(), ApiFailure> {
        let mut backoff = backoff(&self.timing, uid);
        loop {
            let present = self.get(run).await?;
            let run_remains = present.is_some_and(|object| object.metadata.uid.as_deref() == Some(uid));
            let pods = self.pods_of(run, pods).await?;
            let names = pods.iter().map(|pod| pod_ref(pod).to_string());
            *remaining = run_remains
                .then(|| run.to_string())
                .into_iter()
                .chain(names)
                .collect();
            if remaining.is_empty() {
                return Ok(());
            }
            for pod in &pods {
                self.shorten(pod, grace).await?;
            }
            sleep(backoff.next(None).min(LOOK_LONGEST)).await;
        }
    }

    /// Deletes the pod when its own grace is longer. What owns it is being deleted already, so nothing takes its place.
    async fn shorten(&self, pod: &DynamicObject, grace: Duration) -> Result<(), ApiFailure> {
        if own_grace_seconds(pod) <= u64::from(whole_seconds(grace)) {
            return Ok(());
        }
        let uid = pod.metadata.uid.as_deref();
        self.delete(&pod_ref(pod), uid, false, Some(grace)).await?;
        Ok(())
    }

    async fn pods_of(&self, run: &ObjectRef, labels: &str) -> Result<Vec<DynamicObject>, ApiFailure> {
        self.list(&pod_kind(), run.namespace.as_deref(), labels).await
    }
}

/// Pods are served by every cluster.
fn pod_kind() -> Kind {
    Kind {
        resource: ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&()),
        namespaced: true,
    }
}

fn pod_ref(pod: &DynamicObject) -> ObjectRef {
    ObjectRef {
        kind: pod_kind(),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone().unwrap_or_default(),
    }
}

/// How long the pod may take, by its own word: of its deletion, or of its template.
fn own_grace_seconds(pod: &DynamicObject) -> u64 {
    let deletion = pod.metadata.deletion_grace_period_seconds;
    let deletion = deletion.and_then(|seconds| u64::try_from(seconds).ok());
    let template = pod.data.pointer("/spec/terminationGracePeriodSeconds");
    let template = template.and_then(serde_json::Value::as_u64);
    deletion.or(template).unwrap_or(POD_GRACE_SECONDS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pods_grace_is_that_of_its_deletion_or_its_template() {
        let grace = |pod| own_grace_seconds(&serde_json::from_value(pod).unwrap());
        let template = json!({"terminationGracePeriodSeconds": 300});
        assert_eq!(grace(json!({"metadata": {}})), 30);
        assert_eq!(grace(json!({"metadata": {}, "spec": template})), 300);
        let deleted = json!({"deletionGracePeriodSeconds": 5});
        assert_eq!(grace(json!({"metadata": deleted, "spec": template})), 5);
    }
}
