//! Orders that are refused as a whole: nothing is created.

use serde_json::{Value, json};

use super::cluster::Scene;

fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "key": "value" } })
}

/// Submits a good ConfigMap and then `second`. Answers the sentence that the order was refused with.
async fn refusal(scene: &Scene, second: Value) -> String {
    let file = scene.document("refused.yaml", &[config_map("first"), second]);
    let order = scene.submit(&file, &["--type", "custom"]).await;
    let entry = scene.ended(&order, 1).await;
    assert_eq!(entry["class"], "refused", "{entry}");
    assert_eq!(entry["attempt"], 1, "not tried again: {entry}");
    assert!(!scene.has_config_map("first").await, "nothing was created");
    assert_eq!(scene.jobs().await.len(), 0, "nothing was created");
    entry["result_message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn a_namespace_that_the_policy_does_not_allow_refuses_the_order() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let mut elsewhere = config_map("second");
    elsewhere["metadata"]["namespace"] = json!("kube-system");
    let sentence = refusal(&scene, elsewhere).await;
    assert!(
        sentence.contains("document 2") && sentence.contains("kube-system"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_kind_that_the_policy_does_not_allow_refuses_the_order() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "more" }, "rules": [],
    });
    let sentence = refusal(&scene, role).await;
    assert!(
        sentence.contains("document 2") && sentence.contains("Role"),
        "{sentence}"
    );
}

#[tokio::test]
async fn an_image_that_the_policy_does_not_allow_refuses_the_order() {
    let scene = Scene::new().await;
    let policy = scene
        .world
        .file("policy.yaml", "images:\n  allow: [registry.invalid/*]\n");
    let _agent = scene.agent_with(&["--policy", &policy]).await;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "second" },
        "spec": { "containers": [scene.container("main", "true")] },
    });
    let sentence = refusal(&scene, pod).await;
    assert!(
        sentence.contains("document 2") && sentence.contains("image"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_kind_that_the_cluster_does_not_serve_refuses_the_order() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let unknown =
        json!({ "apiVersion": "nowhere.test/v1", "kind": "Nothing", "metadata": { "name": "second" } });
    let sentence = refusal(&scene, unknown).await;
    assert!(
        sentence.contains("document 2") && sentence.contains("nowhere.test/v1"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_document_that_the_api_finds_invalid_refuses_the_order_before_anything_is_created() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "second" },
        "spec": { "template": { "spec": {
            "restartPolicy": "Always", "containers": [scene.container("main", "true")],
        } } },
    });
    let sentence = refusal(&scene, job).await;
    assert!(
        sentence.contains("document 2") && sentence.contains("restartPolicy"),
        "{sentence}"
    );
}
