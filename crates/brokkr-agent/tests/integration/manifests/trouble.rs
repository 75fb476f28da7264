//! Pods that cannot run, or are taken away.

use std::time::Duration;

use brokkr_agent::kube::ClusterTiming;
use brokkr_agent::policy::ClusterPolicy;
use serde_json::Value;

use super::{Scene, job, job_with, message_of, name_of, timing};

async fn ending_of(scene: &Scene, order: &str) -> Value {
    let _agent = scene.agent();
    let id = scene.submit(order);
    let ending = scene.ending(id).await;
    assert!(scene.broker.see(|world| world.lost.is_empty()));
    ending
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_fails_the_attempt_before_its_deadline() {
    let scene = Scene::start().await;
    let order = job("migrate", "true").replace("busybox", "registry.shop.test/nothing:1");
    let ending = ending_of(&scene, &order).await;
    assert_eq!(ending["class"], "infrastructure", "{ending}");
    let message = message_of(&ending);
    assert!(
        message.contains("cannot run: ImagePullBackOff") || message.contains("cannot run: ErrImagePull"),
        "{message}"
    );
    assert!(
        message.contains("stopped and deleted: Job default/migrate-"),
        "{message}"
    );
    assert!(scene.jobs().is_empty() && scene.pods().is_empty());
}

#[tokio::test]
async fn a_pod_that_fits_no_node_fails_the_attempt_before_its_deadline() {
    let scene = Scene::start().await;
    let order = job("migrate", "true").replace(
        "restartPolicy: Never",
        "restartPolicy: Never\n      nodeSelector: {disk: none}",
    );
    let ending = ending_of(&scene, &order).await;
    assert_eq!(ending["class"], "infrastructure", "{ending}");
    assert!(message_of(&ending).contains("Unschedulable"), "{ending}");
}

#[tokio::test]
async fn a_missing_secret_is_a_failure_of_the_work() {
    let scene = Scene::start().await;
    let order = job("migrate", "true").replace(
        "image: busybox,",
        "image: busybox, envFrom: [{secretRef: {name: missing}}],",
    );
    let ending = ending_of(&scene, &order).await;
    assert_eq!(ending["class"], "work", "{ending}");
    assert!(
        message_of(&ending).contains("CreateContainerConfigError"),
        "{ending}"
    );
}

#[tokio::test]
async fn an_evicted_pod_is_no_fault_of_the_work() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene.kube.evict("default", name_of(&scene.pods()[0]));

    let ending = scene.ending(id).await;

    assert_eq!(ending["class"], "infrastructure", "{ending}");
    assert!(
        message_of(&ending).contains("was taken away (TerminationByKubelet)"),
        "{ending}"
    );
}

#[tokio::test]
async fn a_container_that_runs_out_of_memory_is_a_failure_of_the_work() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene.kube.oom_kill("default", name_of(&scene.pods()[0]), "app");

    let ending = scene.ending(id).await;

    assert_eq!(
        (ending["class"].as_str(), ending["exit_code"].as_i64()),
        (Some("work"), Some(137))
    );
    assert!(message_of(&ending).contains("OOMKilled"), "{ending}");
}

#[tokio::test]
async fn pods_that_do_not_go_away_leave_the_outcome_unknown() {
    let slow = ClusterTiming {
        patience: Duration::from_millis(100),
        deletion_limit: Duration::from_millis(300),
        ..timing()
    };
    let scene = Scene::with(ClusterPolicy::default(), slow).await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene.kube.pause_deletion();
    scene.broker.change(|world| world.cancel.push(id));

    let held = |scene: &Scene| {
        scene.broker.see(|world| {
            !world.renewal_requests.last().unwrap()["claims"]
                .as_array()
                .unwrap()
                .is_empty()
        })
    };
    crate::agent::eventually("the attempt to be let go of", || (!held(&scene)).then_some(())).await;

    assert_eq!(scene.broker.see(|world| world.ending_of(id).cloned()), None);
    scene.kube.release();
}

#[tokio::test]
async fn a_job_that_is_retried_by_the_cluster_is_judged_by_its_end() {
    let scene = Scene::start().await;
    let marker = scene.host.path("marker");
    let script = format!(
        "if [ -e {0} ]; then echo second; else touch {0}; echo first; exit 1; fi",
        marker.display()
    );
    let order = job_with("migrate", &script, "").replace("backoffLimit: 0", "backoffLimit: 2");
    let ending = ending_of(&scene, &order).await;
    assert_eq!(ending["success"], true, "{ending}");
}
