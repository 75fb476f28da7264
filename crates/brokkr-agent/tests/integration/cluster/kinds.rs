//! Which kinds the cluster serves.

use std::time::Duration;

use brokkr_agent::kube::Kind;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Scene, object};

#[tokio::test]
async fn kinds_are_known_by_version_and_scope() {
    let scene = Scene::start().await;
    let kind = async |api_version, kind| scene.cluster.kind(api_version, kind).await.unwrap();

    let job = kind("batch/v1", "Job").await.unwrap();
    assert_eq!((job.resource.plural.as_str(), job.namespaced), ("jobs", true));
    let namespace = kind("v1", "Namespace").await.unwrap();
    assert_eq!(
        (namespace.resource.plural.as_str(), namespace.namespaced),
        ("namespaces", false)
    );
    assert_eq!(kind("batch/v1", "Jobb").await, None);
    assert_eq!(kind("batch/v9", "Job").await, None);
    assert_eq!(kind("nothing.example.com/v1", "Thing").await, None);
}

#[tokio::test]
async fn the_cluster_is_asked_once_for_what_is_known() {
    let scene = Scene::start().await;
    scene.cluster.kind("batch/v1", "Job").await.unwrap();
    let asked = scene.kube.requests().len();

    scene.cluster.kind("batch/v1", "Job").await.unwrap();
    scene.cluster.kind("batch/v1", "CronJob").await.unwrap();

    assert_eq!(scene.kube.requests().len(), asked);
}

#[tokio::test]
async fn a_kind_that_was_missing_is_found_once_it_is_served() {
    let scene = Scene::start().await;
    assert_eq!(scene.cluster.kind("example.com/v1", "Thing").await.unwrap(), None);
    let at = scene
        .at(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "things.example.com",
        )
        .await;
    scene.cluster.apply(&at, &things(), false).await.unwrap();

    let thing = served(&scene).await;

    assert_eq!(
        (thing.resource.plural.as_str(), thing.namespaced),
        ("things", true)
    );
}

/// A miss asks again once in a while.
async fn served(scene: &Scene) -> Kind {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(kind) = scene.cluster.kind("example.com/v1", "Thing").await.unwrap() {
            return kind;
        }
        assert!(Instant::now() < until, "the kind was never found");
        sleep(Duration::from_millis(5)).await;
    }
}

fn things() -> kube::api::DynamicObject {
    object(json!({
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    }))
}
