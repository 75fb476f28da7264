//! Server-side apply.

use brokkr_agent::kube::{ApplyError, Conflict, ObjectRef};
use brokkr_api::FailureClass;
use brokkr_testkit_kube::{Fault, Verb};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Scene, object};

fn settings(data: Value) -> DynamicObject {
    object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}))
}

async fn at(scene: &Scene) -> ObjectRef {
    scene.at("v1", "ConfigMap", "settings").await
}

/// Has another manager apply the settings.
async fn apply_as(scene: &Scene, manager: &str, data: Value) {
    let maps: Api<ConfigMap> = Api::namespaced(scene.client().await, "default");
    let params = PatchParams::apply(manager);
    maps.patch("settings", &params, &Patch::Apply(settings(data)))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_applied_is_there_and_what_is_no_longer_applied_is_gone() {
    let scene = Scene::start().await;
    let at = at(&scene).await;
    scene
        .cluster
        .apply(&at, &settings(json!({"a": "1", "b": "1"})), false)
        .await
        .unwrap();
    let applied = scene
        .cluster
        .apply(&at, &settings(json!({"a": "2"})), false)
        .await
        .unwrap();

    assert_eq!(applied.data["data"], json!({"a": "2"}));
    let managers = applied.metadata.managed_fields.unwrap();
    assert_eq!(managers[0].manager.as_deref(), Some("brokkr"));
}

#[tokio::test]
async fn fields_of_others_are_reported_with_their_manager_and_left_alone() {
    let scene = Scene::start().await;
    let at = at(&scene).await;
    apply_as(&scene, "somebody", json!({"a": "theirs"})).await;
    let ours = settings(json!({"a": "ours", "b": "ours"}));

    let dry = scene.cluster.check_apply(&at, &ours, false).await.unwrap_err();
    let real = scene.cluster.apply(&at, &ours, false).await.unwrap_err();

    for error in [dry, real] {
        let ApplyError::Conflicts { what, conflicts } = error else {
            panic!("{error:?}");
        };
        let conflict = Conflict {
            field: ".data.a".to_owned(),
            manager: "somebody".to_owned(),
        };
        assert_eq!(
            (what.as_str(), conflicts),
            ("ConfigMap default/settings", vec![conflict])
        );
    }
    let present = scene.cluster.get(&at).await.unwrap().unwrap();
    assert_eq!(present.data["data"], json!({"a": "theirs"}));
}

#[tokio::test]
async fn force_takes_the_fields_of_others() {
    let scene = Scene::start().await;
    let at = at(&scene).await;
    apply_as(&scene, "somebody", json!({"a": "theirs"})).await;

    let applied = scene
        .cluster
        .apply(&at, &settings(json!({"a": "ours"})), true)
        .await
        .unwrap();

    assert_eq!(applied.data["data"], json!({"a": "ours"}));
}

#[tokio::test]
async fn a_dry_run_applies_nothing() {
    let scene = Scene::start().await;
    let at = at(&scene).await;
    scene
        .cluster
        .check_apply(&at, &settings(json!({"a": "1"})), false)
        .await
        .unwrap();
    assert!(scene.cluster.get(&at).await.unwrap().is_none());
}

#[tokio::test]
async fn an_apply_is_tried_again_when_another_writer_or_the_api_was_in_its_way() {
    let scene = Scene::start().await;
    let at = at(&scene).await;
    for fault in [
        Fault::on(Verb::Apply, "configmaps").status(409).times(1),
        Fault::on(Verb::Apply, "configmaps").status(500).times(2),
        Fault::on(Verb::Apply, "configmaps").lose_answer().times(1),
    ] {
        scene.kube.fault(fault);
    }
    let applied = scene
        .cluster
        .apply(&at, &settings(json!({"a": "1"})), false)
        .await
        .unwrap();
    assert_eq!(applied.data["data"], json!({"a": "1"}));
}

#[tokio::test]
async fn what_the_api_refuses_is_refused() {
    let scene = Scene::start().await;
    let at = at(&scene).await;
    scene
        .kube
        .fault(Fault::on(Verb::Apply, "configmaps").status(422).times(1));

    let error = scene
        .cluster
        .apply(&at, &settings(json!({"a": "1"})), false)
        .await
        .unwrap_err();

    let ApplyError::Api(failure) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (failure.class(), failure.status()),
        (FailureClass::Refused, Some(422))
    );
}

#[tokio::test]
async fn an_error_of_the_api_that_gives_no_reason_is_asked_after() {
    let scene = Scene::start().await;
    let at = at(&scene).await;
    // How server-side apply answers a field that the schema of the kind does not have.
    scene.kube.fault(
        Fault::on(Verb::Apply, "configmaps")
            .status(500)
            .reason("")
            .times(1),
    );
    scene
        .kube
        .fault(Fault::on(Verb::Create, "configmaps").status(400).times(1));

    let error = scene
        .cluster
        .apply(&at, &settings(json!({"a": "1"})), false)
        .await
        .unwrap_err();

    let ApplyError::Api(failure) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (failure.class(), failure.status()),
        (FailureClass::Refused, Some(400))
    );
    assert!(scene.cluster.get(&at).await.unwrap().is_none());

    scene.kube.fault(
        Fault::on(Verb::Apply, "configmaps")
            .status(500)
            .reason("")
            .times(2),
    );
    scene
        .cluster
        .apply(&at, &settings(json!({"a": "1"})), false)
        .await
        .unwrap();
}
