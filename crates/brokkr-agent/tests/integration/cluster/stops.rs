//! Stopping a Job, and being sure that its pods are gone.

use std::time::Duration;

use brokkr_agent::kube::labels::of_attempt;
use brokkr_agent::kube::{ClusterTiming, ObjectRef, StopError};
use kube::api::DynamicObject;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Scene, object, owner, timing};

const GRACE: Duration = Duration::from_secs(1);

/// A Job whose pod runs for longer than any test, and heeds no signal.
fn stubborn_job() -> DynamicObject {
    let labels = owner(1).labels();
    object(json!({
        "metadata": {"labels": labels},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 600,
                    "containers": [{
                        "name": "main",
                        "image": "busybox",
                        "command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"],
                    }],
                },
            },
        },
    }))
}

/// A Job whose pod is there.
async fn running(scene: &Scene) -> (ObjectRef, String) {
    let at = scene.at("batch/v1", "Job", "stubborn").await;
    let job = scene
        .cluster
        .create(&at, &stubborn_job(), &owner(1))
        .await
        .unwrap()
        .into_object();
    let until = Instant::now() + PATIENCE;
    while pods(scene).await.is_empty() {
        assert!(Instant::now() < until, "no pod came");
        sleep(Duration::from_millis(10)).await;
    }
    (at, job.metadata.uid.unwrap())
}

async fn pods(scene: &Scene) -> Vec<DynamicObject> {
    let pod = scene.cluster.kind("v1", "Pod").await.unwrap().unwrap();
    let labels = of_attempt(owner(1).id);
    scene.cluster.list(&pod, Some("default"), &labels).await.unwrap()
}

#[tokio::test]
async fn a_stopped_job_leaves_no_pod_however_long_its_own_grace_is() {
    let scene = Scene::start().await;
    let (at, uid) = running(&scene).await;

    scene
        .cluster
        .stop(&at, &uid, &of_attempt(owner(1).id), GRACE)
        .await
        .unwrap();

    assert!(scene.cluster.get(&at).await.unwrap().is_none());
    assert_eq!(pods(&scene).await, []);
}

#[tokio::test]
async fn a_pod_that_does_not_go_away_is_named() {
    let deletion_limit = Duration::from_millis(300);
    let scene = Scene::with_timing(ClusterTiming {
        deletion_limit,
        ..timing()
    })
    .await;
    let (at, uid) = running(&scene).await;
    scene.kube.pause_deletion();

    let error = scene
        .cluster
        .stop(&at, &uid, &of_attempt(owner(1).id), GRACE)
        .await
        .unwrap_err();

    let StopError::Remains { what, .. } = error else {
        panic!("{error:?}");
    };
    assert!(what.contains(&"Job default/stubborn".to_owned()), "{what:?}");
    assert!(
        what.iter().any(|name| name.starts_with("Pod default/stubborn-")),
        "{what:?}"
    );
}

#[tokio::test]
async fn a_job_of_the_same_name_is_not_stopped_in_the_place_of_one_that_is_gone() {
    let scene = Scene::start().await;
    let (at, uid) = running(&scene).await;
    let other = "00000000-0000-4000-8000-000000000000";

    let labels = of_attempt(owner(2).id);
    scene.cluster.stop(&at, other, &labels, GRACE).await.unwrap();

    let present = scene.cluster.get(&at).await.unwrap().unwrap();
    assert_eq!(present.metadata.uid, Some(uid));
    assert_eq!(present.metadata.deletion_timestamp, None);
}

#[tokio::test]
async fn stopping_goes_on_after_the_api_was_away() {
    let scene = Scene::start().await;
    let (at, uid) = running(&scene).await;
    scene.kube.down();

    let labels = of_attempt(owner(1).id);
    let stop = scene.cluster.stop(&at, &uid, &labels, GRACE);
    let back = async {
        sleep(Duration::from_millis(200)).await;
        scene.kube.up();
    };
    let (stopped, ()) = tokio::join!(stop, back);

    stopped.unwrap();
    assert_eq!(pods(&scene).await, []);
}
