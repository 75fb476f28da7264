//! What becomes of an order's objects once the broker has its ending.

use serde_json::Value;

use super::{Scene, config_map, eventually, job, job_with};

fn order(cleanup: &str, script: &str) -> String {
    format!(
        "apiVersion: brokkr.io/v1\nkind: Manifests\nspec: {{{cleanup}}}\n---\n{}---\n{}",
        config_map("settings", "one"),
        job("migrate", script)
    )
}

fn ttl(job: &Value) -> &Value {
    &job["spec"]["ttlSecondsAfterFinished"]
}

async fn record_gone(scene: &Scene) {
    let records = scene.host.state_dir().join("custom/records");
    eventually("the record to be gone", async || {
        (std::fs::read_dir(&records).ok()?.count() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_job_is_kept_for_an_hour_and_what_was_applied_stays() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    scene.ending(scene.submit(&order("", "true"))).await;
    record_gone(&scene).await;

    assert_eq!(*ttl(&scene.jobs()[0]), 3600);
    assert!(
        scene
            .kube
            .get("configmaps", Some("default"), "settings")
            .is_some()
    );
}

#[tokio::test]
async fn a_job_has_no_ttl_of_ours_before_its_ending_is_accepted() {
    let scene = Scene::start().await;
    scene.broker.change(|world| world.endings_fail = true);
    let _agent = scene.agent();
    let id = scene.submit(&order("", "true"));
    scene
        .broker
        .until("a report", |world| (0 < world.ending_reports).then_some(()))
        .await;
    assert_eq!(*ttl(&scene.jobs()[0]), Value::Null);

    scene.broker.change(|world| world.endings_fail = false);
    scene.ending(id).await;
    record_gone(&scene).await;
    assert_eq!(*ttl(&scene.jobs()[0]), 3600);
}

#[tokio::test]
async fn a_longer_time_that_the_manifest_asks_for_stays() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    scene
        .ending(scene.submit(&job_with("migrate", "true", "  ttlSecondsAfterFinished: 86400\n")))
        .await;
    record_gone(&scene).await;

    assert_eq!(*ttl(&scene.jobs()[0]), 86400);
}

#[tokio::test]
async fn everything_is_kept_when_the_order_says_so() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    scene.ending(scene.submit(&order("cleanup: keep", "true"))).await;
    record_gone(&scene).await;

    assert_eq!(*ttl(&scene.jobs()[0]), Value::Null);
    assert!(
        scene
            .kube
            .get("configmaps", Some("default"), "settings")
            .is_some()
    );
}

#[tokio::test]
async fn everything_goes_when_the_order_says_so() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let ending = scene
        .ending(scene.submit(&order("cleanup: delete", "exit 1")))
        .await;
    assert_eq!(ending["exit_code"], 1);

    scene.nothing_left().await;
    scene
        .kube
        .until("the map to be gone", |kube| {
            kube.get("configmaps", Some("default"), "settings")
                .is_none()
                .then_some(())
        })
        .await;
}

#[tokio::test]
async fn only_a_success_is_deleted_when_the_order_says_so() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    scene
        .ending(scene.submit(&order("cleanup: delete-on-success", "exit 1")))
        .await;
    record_gone(&scene).await;
    assert_eq!(*ttl(&scene.jobs()[0]), 3600);
    assert!(
        scene
            .kube
            .get("configmaps", Some("default"), "settings")
            .is_some()
    );

    scene
        .kube
        .delete("jobs", Some("default"), "migrate-000000000001-1");
    scene
        .ending(scene.submit(&order("cleanup: delete-on-success", "true")))
        .await;
    scene.nothing_left().await;
}
