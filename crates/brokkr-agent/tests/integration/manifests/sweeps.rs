//! Jobs whose order or attempt is over.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::Scene;

/// A Job of an order that the broker does not give to this agent.
fn orphan(scene: &Scene, name: &str, agent: Uuid, script: &str) -> Value {
    let labels = json!({
        "app.kubernetes.io/managed-by": "brokkr",
        "brokkr.io/work-order": Uuid::from_u128(77).to_string(),
        "brokkr.io/attempt": "1",
        "brokkr.io/agent": agent.to_string(),
        "brokkr.io/document": "1",
    });
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"backoffLimit": 0, "template": {
            "metadata": {"labels": labels},
            "spec": {"restartPolicy": "Never", "containers": [
                {"name": "app", "image": "busybox", "command": ["sh", "-c", script]},
            ]},
        }},
    });
    scene.kube.create("jobs", job)
}

fn job(scene: &Scene, name: &str) -> Option<Value> {
    scene.kube.get("jobs", Some("default"), name)
}

#[tokio::test]
async fn jobs_of_orders_that_are_not_held_are_swept_away() {
    let scene = Scene::start().await;
    let (own, other) = (scene.broker.agent, Uuid::from_u128(0xBEEF));
    orphan(&scene, "running", own, &scene.patient(0));
    orphan(&scene, "ended", own, "true");
    orphan(&scene, "anothers", other, &scene.patient(0));
    scene
        .kube
        .until("the end of a Job", |_| {
            (job(&scene, "ended")?["status"]["succeeded"] == 1).then_some(())
        })
        .await;
    let mut config = scene.host.config(&scene.broker);
    config.orphan_window = Duration::from_millis(50);

    let _agent = scene.agent_with(config);

    scene
        .kube
        .until("the running one to go", |_| {
            job(&scene, "running").is_none().then_some(())
        })
        .await;
    let kept = |_: &brokkr_testkit_kube::FakeKube| {
        (job(&scene, "ended")?["spec"]["ttlSecondsAfterFinished"] == 3600).then_some(())
    };
    scene.kube.until("a time to live for the ended one", kept).await;
    assert!(job(&scene, "anothers").is_some());
}
