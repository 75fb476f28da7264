//! What the cluster is asked of the pods once the work has ended.

use std::collections::HashMap;

use ::kube::api::ListParams;
use ::kube::{Api, ResourceExt};
use k8s_openapi::api::core::v1::{Event, Pod};
use tokio::time::timeout;
use tracing::warn;

use super::PodSelection;
use super::evidence::event_line;
use super::progress::{Stage, progress_of};
use super::seen::{Log, Seen};
use crate::kube::Cluster;

/// How many events of a pod are evidence.
const EVENTS_MAX: usize = 10;

/// Brings what was seen of the pods up to date, since the watch may be behind what the cluster has told about the work. Answers
/// the logs of all containers that have started, and the run that each is in; none when the cluster does not answer.
pub(super) async fn refresh(cluster: &Cluster, selections: &[PodSelection], seen: &Seen) -> Vec<(Log, i32)> {
    let mut logs = Vec::new();
    for selection in selections {
        let pods: Api<Pod> = Api::namespaced(cluster.client().clone(), &selection.namespace);
        for pod in list(cluster, &pods, selection).await {
            let uid = pod.uid().unwrap_or_default();
            if seen.is_there(&uid) {
                seen.note(&uid, &selection.namespace, &pod);
                let started = progress_of(&pod)
                    .into_iter()
                    .filter(|(_, progress)| progress.stage != Stage::Waiting);
                logs.extend(
                    started.map(|(container, progress)| ((uid.clone(), container), progress.restarts)),
                );
            }
        }
    }
    logs
}

/// The pods of a selection; none when the cluster does not answer in time.
async fn list(cluster: &Cluster, pods: &Api<Pod>, selection: &PodSelection) -> Vec<Pod> {
    let of_attempt = ListParams::default().labels(&selection.labels);
    let listed = timeout(cluster.timing().request_limit, pods.list(&of_attempt)).await;
    let namespace = &selection.namespace;
    match listed {
        Ok(Ok(pods)) => return pods.items,
        Ok(Err(error)) => warn!(namespace, %error, "could not list the pods of an attempt"),
        Err(_) => warn!(
            namespace,
            "the cluster did not list the pods of an attempt in time"
        ),
    }
    Vec::new()
}

/// The newest events of each pod, by its identity.
pub(super) async fn events(cluster: &Cluster, seen: &Seen) -> HashMap<String, Vec<String>> {
    let mut found = HashMap::new();
    for (uid, namespace) in seen.pods() {
        let events: Api<Event> = Api::namespaced(cluster.client().clone(), &namespace);
        let of_pod = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        let listed = match events.list(&of_pod).await {
            // They are asked for once per attempt, and never come back: a connection that had just been cut is worth another.
            Err(_) => events.list(&of_pod).await,
            listed => listed,
        };
        match listed {
            Ok(events) => {
                let mut lines: Vec<_> = events.items.iter().map(event_line).collect();
                lines.sort_by_key(|(at, _)| *at);
                let skipped = lines.len().saturating_sub(EVENTS_MAX);
                found.insert(
                    uid,
                    lines.into_iter().skip(skipped).map(|(_, line)| line).collect(),
                );
            }
            Err(error) => warn!(namespace, %error, "could not read the events of a pod"),
        }
    }
    found
}
