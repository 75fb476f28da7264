use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::json;

use crate::scene::{Scene, config_map, job, refusal};

#[tokio::test]
async fn a_deleted_object_is_gone_and_only_the_meant_one_is_deleted() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let created = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let meant = |uid: &str| DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };

    let refused = refusal(api.delete("a", &meant("another")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let deleted = api
        .delete("a", &meant(&created.metadata.uid.unwrap()))
        .await
        .unwrap();
    assert!(deleted.right().unwrap().is_success());
    assert_eq!(refusal(api.delete("a", &DeleteParams::default()).await).code, 404);
}

#[tokio::test]
async fn a_finalizer_holds_an_object() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let mut object = config_map("a", "1");
    object.metadata.finalizers = Some(vec!["example.org/hold".to_owned()]);
    api.create(&PostParams::default(), &object).await.unwrap();

    let held = api
        .delete("a", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert!(held.metadata.deletion_timestamp.is_some());
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();

    assert_eq!(refusal(api.get("a").await).code, 404);
}

#[tokio::test]
async fn a_job_keeps_its_pods_unless_the_client_says_otherwise() {
    let scene = Scene::start().await;
    scene.kube.hold_kubelet();
    let api = scene.jobs();
    for name in ["kept", "background"] {
        api.create(
            &PostParams::default(),
            &serde_json::from_value(job(name)).unwrap(),
        )
        .await
        .unwrap();
        let pods = scene
            .kube
            .until("a pod", |kube| kube.pods_of_job("default", name).pop())
            .await;
        assert!(!pods.is_null());
    }

    api.delete("kept", &DeleteParams::default()).await.unwrap();
    api.delete("background", &DeleteParams::background())
        .await
        .unwrap();

    scene
        .kube
        .until("one pod", |kube| {
            (kube.list("pods", Some("default")).len() == 1).then_some(())
        })
        .await;
    let pods = scene.kube.list("pods", Some("default"));
    assert_eq!(pods[0]["metadata"]["labels"]["job-name"], "kept");
    assert_eq!(
        pods[0]["metadata"]["ownerReferences"]
            .as_array()
            .map_or(0, Vec::len),
        0
    );
}

#[tokio::test]
async fn a_collection_is_deleted_as_it_is_selected() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name, "1"))
            .await
            .unwrap();
    }

    let selected = ListParams::default().labels("app notin (b)");
    api.delete_collection(&DeleteParams::default(), &selected)
        .await
        .unwrap();

    assert_eq!(scene.names("configmaps"), ["b"]);
}

#[tokio::test]
async fn a_namespace_that_is_deleted_takes_nothing_new() {
    let scene = Scene::start().await;
    let mut held = config_map("a", "1");
    held.metadata.finalizers = Some(vec!["example.org/hold".to_owned()]);
    scene
        .config_maps()
        .create(&PostParams::default(), &held)
        .await
        .unwrap();
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());

    let deleted = namespaces
        .delete("default", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(deleted.status.unwrap().phase.as_deref(), Some("Terminating"));
    let refused = refusal(
        scene
            .config_maps()
            .create(&PostParams::default(), &config_map("b", "1"))
            .await,
    );

    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    assert_eq!(refused.details.unwrap().causes[0].reason, "NamespaceTerminating");
}
