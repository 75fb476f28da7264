//! Pods that cannot start: told early, with their cause.

use serde_json::{Value, json};

use super::cluster::Scene;

async fn fails_early(scene: &Scene, file: &str) -> Value {
    let order = scene
        .submit(file, &["--max-retries", "0", "--infrastructure-retries", "0"])
        .await;
    let entry = scene.ended(&order, 1).await;
    assert_eq!(scene.pods().await.len(), 0, "the pods are gone: {entry}");
    entry
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_fails_the_attempt_with_that_cause() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let mut container = scene.container("main", "true");
    container["image"] = json!("registry.invalid/nobody/nothing:1");
    let job = scene.job_with("", json!({ "containers": [container] }));
    let entry = fails_early(&scene, &job).await;
    assert_eq!(entry["class"], "infrastructure", "{entry}");
    let message = entry["result_message"].as_str().unwrap();
    assert!(
        message.contains("ImagePullBackOff") || message.contains("ErrImagePull"),
        "{message}"
    );
}

#[tokio::test]
async fn a_missing_config_map_fails_the_attempt_with_that_cause() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let mut container = scene.container("main", "true");
    container["envFrom"] = json!([{ "configMapRef": { "name": "nowhere" } }]);
    let job = scene.job_with("", json!({ "containers": [container] }));
    let entry = fails_early(&scene, &job).await;
    assert_eq!(entry["class"], "work", "{entry}");
    let message = entry["result_message"].as_str().unwrap();
    assert!(message.contains("CreateContainerConfigError"), "{message}");
}

#[tokio::test]
async fn a_pod_that_no_node_fits_fails_the_attempt_with_that_cause() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let job = scene.job_with(
        "true",
        json!({ "nodeSelector": { "kubernetes.io/hostname": "no-such-node" } }),
    );
    let entry = fails_early(&scene, &job).await;
    assert_eq!(entry["class"], "infrastructure", "{entry}");
    let message = entry["result_message"].as_str().unwrap();
    assert!(message.contains("Unschedulable"), "{message}");
}
