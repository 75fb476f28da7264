//! Orders that may not run, or cannot: nothing of them is created.

use brokkr_testkit_kube::{Fault, Verb};
use rstest::rstest;

use super::{Scene, config_map, job, message_of};

/// The agent refuses the order, creates nothing, and says why.
async fn refused(scene: &Scene, order: &str) -> String {
    let _agent = scene.agent();
    let id = scene.submit(order);
    let ending = scene.ending(id).await;
    assert_eq!(ending["class"], "refused", "{ending}");
    assert_eq!(scene.jobs(), Vec::<serde_json::Value>::new());
    assert!(
        scene
            .kube
            .get("configmaps", Some("default"), "settings")
            .is_none()
    );
    message_of(&ending).to_owned()
}

#[tokio::test]
async fn a_wrong_document_refuses_the_whole_order_with_its_place() {
    let scene = Scene::start().await;
    let order = format!(
        "{}---\napiVersion: v1\nmetadata: {{name: x}}\n",
        config_map("settings", "one")
    );
    let message = refused(&scene, &order).await;
    assert!(message.starts_with("document 2, line 6: kind"), "{message}");
}

#[tokio::test]
async fn a_kind_that_the_cluster_does_not_have_refuses_the_whole_order() {
    let scene = Scene::start().await;
    let order = format!(
        "{}---\napiVersion: example.com/v1\nkind: Sprocket\nmetadata: {{name: x}}\n",
        config_map("settings", "one")
    );
    let message = refused(&scene, &order).await;
    assert!(
        message.contains("document 2") && message.contains("Sprocket"),
        "{message}"
    );
}

#[tokio::test]
async fn what_the_api_would_refuse_later_refuses_the_whole_order_now() {
    let scene = Scene::start().await;
    let bad = job("migrate", "true").replace("restartPolicy: Never", "restartPolicy: Always");
    let message = refused(&scene, &format!("{}---\n{bad}", config_map("settings", "one"))).await;
    assert!(message.starts_with("document 2, line 6: "), "{message}");
    assert!(message.contains("restartPolicy"), "{message}");
    assert!(message.contains("422"), "{message}");
}

#[tokio::test]
async fn what_the_api_cannot_read_refuses_the_whole_order() {
    let scene = Scene::start().await;
    // A real API server answers 400 to fields that it does not know.
    scene.kube.fault(Fault::on(Verb::Create, "jobs").status(400));
    let order = format!("{}---\n{}", config_map("settings", "one"), job("migrate", "true"));
    let message = refused(&scene, &order).await;
    assert!(
        message.starts_with("document 2, line 6: ") && message.contains("400"),
        "{message}"
    );
}

#[rstest]
#[case::namespace("", "kube-system", "busybox", "namespaces.allow")]
#[case::image(
    "images: {allow: [registry.shop.test/*]}",
    "default",
    "busybox",
    "images.allow"
)]
#[case::kind("kinds: {deny: [Job.batch]}", "default", "busybox", "kinds.deny")]
#[case::work_type("workTypes: [build]", "default", "busybox", "work of type custom")]
#[tokio::test]
async fn a_rule_of_the_policy_is_named_and_nothing_is_created(
    #[case] policy: &str,
    #[case] namespace: &str,
    #[case] image: &str,
    #[case] rule: &str,
) {
    let scene = Scene::with_policy(policy).await;
    let order = job("migrate", "true")
        .replace(
            "{name: migrate}",
            &format!("{{name: migrate, namespace: {namespace}}}"),
        )
        .replace("busybox", image);
    let message = refused(&scene, &order).await;
    assert!(message.contains(rule), "{message}");
}

#[tokio::test]
async fn what_the_agent_has_no_right_to_create_is_refused() {
    let scene = Scene::start().await;
    scene.kube.forbid("create", "jobs", Some("default"));
    let message = refused(&scene, &job("migrate", "true")).await;
    assert!(message.contains("403 Forbidden"), "{message}");
}

#[tokio::test]
async fn a_name_that_somebody_elses_job_has_is_refused() {
    let scene = Scene::start().await;
    let theirs: serde_json::Value = serde_json::json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "migrate-000000000001-1", "namespace": "default"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "busybox", "command": ["true"]}]}}},
    });
    scene.kube.create("jobs", theirs);
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", "true"));

    let ending = scene.ending(id).await;

    assert_eq!(ending["class"], "refused", "{ending}");
    assert!(
        message_of(&ending).contains("does not belong to this attempt"),
        "{ending}"
    );
}

#[tokio::test]
async fn an_api_that_has_too_much_to_do_is_no_fault_of_the_order() {
    let scene = Scene::start().await;
    scene.kube.fault(Fault::on(Verb::Create, "jobs").status(429));
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", "true"));

    let ending = scene.ending(id).await;

    assert_eq!(ending["class"], "infrastructure", "{ending}");
    assert_eq!(scene.jobs(), Vec::<serde_json::Value>::new());
}
