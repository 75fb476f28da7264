//! What a pod needs before it can start: a node, and what its volumes hold.

use serde_json::Value;

use super::pod::{Pod, bind};
use super::spec::Volume;
use crate::controllers::object;

/// Returns once a node has taken the pod.
pub(super) async fn schedule(pod: &Pod) {
    if let Err(why) = node_for(pod) {
        pod.modify(|pod, now| {
            let status = &mut pod["status"];
            status["phase"] = "Pending".into();
            object::set_condition(status, "PodScheduled", "False", ("Unschedulable", &why), now);
        });
        pod.event("Warning", "FailedScheduling", &why, None);
    }
    let node = pod.kubelet.until(|| node_for(pod).ok()).await;
    pod.modify(|pod, now| bind(pod, &node, now));
    let message = format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name);
    pod.event("Normal", "Scheduled", &message, None);
}

fn node_for(pod: &Pod) -> Result<String, String> {
    if let Some(node) = &pod.spec.node_name {
        return Ok(node.clone());
    }
    let store = &pod.kubelet.store;
    for volume in &pod.spec.volumes {
        if let Some(claim) = &volume.persistent_volume_claim
            && store
                .get("persistentvolumeclaims", Some(&pod.namespace), &claim.claim_name)
                .is_none()
        {
            let name = &claim.claim_name;
            return Err(format!(
                "0/1 nodes are available: persistentvolumeclaim \"{name}\" not found."
            ));
        }
    }
    let nodes = store.list("nodes", None);
    let fits = |node: &&Value| {
        let labels = &node["metadata"]["labels"];
        let selected = |(key, value): (&String, &String)| labels[key] == value.as_str();
        node["spec"]["unschedulable"] != true && pod.spec.node_selector.iter().all(selected)
    };
    let node = nodes.iter().find(fits).map(|node| object::name(node).to_owned());
    node.ok_or_else(|| {
        let count = nodes.len();
        format!("0/{count} nodes are available: {count} node(s) didn't match Pod's node affinity/selector.")
    })
}

/// Returns once everything that the pod's volumes show exists.
pub(super) async fn wait_for_volumes(pod: &Pod) {
    for volume in &pod.spec.volumes {
        let Some((resource, name)) = source(volume) else {
            continue;
        };
        let look = || pod.kubelet.store.get(resource, Some(&pod.namespace), name);
        if look().is_none() {
            let kind = resource.trim_end_matches('s');
            let message = format!(
                "MountVolume.SetUp failed for volume \"{}\" : {kind} \"{name}\" not found",
                volume.name
            );
            pod.event("Warning", "FailedMount", &message, Some(""));
            pod.kubelet.until(look).await;
        }
    }
}

fn source(volume: &Volume) -> Option<(&'static str, &str)> {
    match (&volume.config_map, &volume.secret) {
        (Some(map), _) if !map.optional => Some(("configmaps", &map.name)),
        (_, Some(secret)) if !secret.optional => Some(("secrets", &secret.secret_name)),
        _ => None,
    }
}
