use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use crate::scene::{Scene, refusal};

fn config_maps(scene: &Scene) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<ConfigMap>(&());
    Api::default_namespaced_with(scene.client.clone(), &resource)
}

fn config(data: Value) -> Patch<Value> {
    Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}))
}

#[tokio::test]
async fn applying_creates_changes_and_takes_away() {
    let scene = Scene::start().await;
    let api = config_maps(&scene);
    let ours = PatchParams::apply("ours");

    let created = api
        .patch("a", &ours, &config(json!({"a": "1", "b": "1"})))
        .await
        .unwrap();
    assert_eq!(created.data["data"], json!({"a": "1", "b": "1"}));
    let same = api
        .patch("a", &ours, &config(json!({"a": "1", "b": "1"})))
        .await
        .unwrap();
    assert_eq!(same.metadata.resource_version, created.metadata.resource_version);
    let changed = api.patch("a", &ours, &config(json!({"a": "2"}))).await.unwrap();
    assert_eq!(changed.data["data"], json!({"a": "2"}));
}

#[tokio::test]
async fn another_managers_value_is_a_conflict_until_it_is_forced() {
    let scene = Scene::start().await;
    let api = config_maps(&scene);
    api.patch(
        "a",
        &PatchParams::apply("ours"),
        &config(json!({"a": "1", "b": "1"})),
    )
    .await
    .unwrap();
    let theirs = PatchParams::apply("theirs");

    let refused = refusal(api.patch("a", &theirs, &config(json!({"a": "2"}))).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let causes = refused.details.unwrap().causes;
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].message, "conflict with \"ours\"");
    assert_eq!(causes[0].field, ".data.a");

    let forced = api
        .patch("a", &theirs.force(), &config(json!({"a": "2"})))
        .await
        .unwrap();
    assert_eq!(forced.data["data"], json!({"a": "2", "b": "1"}));
}

#[tokio::test]
async fn an_edit_owns_what_it_changed() {
    let scene = Scene::start().await;
    let api = config_maps(&scene);
    let ours = PatchParams::apply("ours");
    api.patch("a", &ours, &config(json!({"a": "1", "b": "1"})))
        .await
        .unwrap();
    let editor = PatchParams {
        field_manager: Some("editor".to_owned()),
        ..PatchParams::default()
    };
    api.patch("a", &editor, &Patch::Merge(json!({"data": {"b": "2"}})))
        .await
        .unwrap();

    let refused = refusal(api.patch("a", &ours, &config(json!({"a": "1", "b": "1"}))).await);

    assert_eq!(
        refused.details.unwrap().causes[0].message,
        "conflict with \"editor\" using v1"
    );
}

#[tokio::test]
async fn a_dry_run_of_an_apply_answers_and_changes_nothing() {
    let scene = Scene::start().await;
    let api = config_maps(&scene);

    api.patch(
        "a",
        &PatchParams::apply("ours").dry_run(),
        &config(json!({"a": "1"})),
    )
    .await
    .unwrap();

    assert!(scene.kube.get("configmaps", Some("default"), "a").is_none());
}

#[tokio::test]
async fn applying_to_a_job_leaves_what_the_server_filled_in() {
    let scene = Scene::start().await;
    scene.kube.hold_jobs();
    let api = scene.jobs();
    let apply = PatchParams::apply("ours");
    let mut job = crate::scene::job("a");
    let created = api.patch("a", &apply, &Patch::Apply(&job)).await.unwrap();

    let same = api.patch("a", &apply, &Patch::Apply(&job)).await.unwrap();
    assert_eq!(same, created);
    job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("busybox:2");
    let refused = refusal(api.patch("a", &apply, &Patch::Apply(&job)).await);

    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
}
