//! Single requests and what stands in their way.

use std::time::Duration;

use brokkr_agent::kube::labels::of_attempt;
use brokkr_agent::kube::{ClusterTiming, CreateError, Created, ObjectRef};
use brokkr_api::FailureClass;
use brokkr_testkit_kube::{Fault, Verb};
use serde_json::json;
use tokio::time::Instant;

use super::{Scene, config_map, object, owner, timing};

async fn settings(scene: &Scene) -> ObjectRef {
    scene.at("v1", "ConfigMap", "settings").await
}

/// How often objects of this kind were asked to be created.
fn creations(scene: &Scene) -> usize {
    let requests = scene.kube.requests();
    requests
        .iter()
        .filter(|request| request.verb == Verb::Create && request.resource == "configmaps")
        .count()
}

#[tokio::test]
async fn a_request_is_tried_again_no_sooner_than_the_api_asks() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    scene.kube.fault(
        Fault::on(Verb::Create, "configmaps")
            .status(429)
            .retry_after(1)
            .times(1),
    );

    let begun = Instant::now();
    let created = scene
        .cluster
        .create(&at, &config_map(&owner(1), "a"), &owner(1))
        .await
        .unwrap();

    assert!(matches!(created, Created::New(_)), "{created:?}");
    assert!(Duration::from_secs(1) <= begun.elapsed(), "{:?}", begun.elapsed());
    assert_eq!(creations(&scene), 2);
}

#[tokio::test]
async fn a_request_is_tried_again_after_errors_of_the_api_and_cut_connections() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    for fault in [
        Fault::on(Verb::Create, "configmaps").status(500).times(2),
        Fault::on(Verb::Create, "configmaps").status(503).times(1),
        Fault::on(Verb::Create, "configmaps").cut().times(1),
    ] {
        scene.kube.fault(fault);
    }

    let created = scene
        .cluster
        .create(&at, &config_map(&owner(1), "a"), &owner(1))
        .await
        .unwrap();

    assert!(matches!(created, Created::New(_)), "{created:?}");
    assert_eq!(creations(&scene), 5);
}

#[tokio::test]
async fn a_request_that_nobody_answers_is_given_up_and_tried_again() {
    let request_limit = Duration::from_millis(300);
    let scene = Scene::with_timing(ClusterTiming {
        request_limit,
        ..timing()
    })
    .await;
    let at = settings(&scene).await;
    scene
        .kube
        .fault(Fault::on(Verb::Get, "configmaps").hang().times(1));

    assert!(scene.cluster.get(&at).await.unwrap().is_none());
}

#[tokio::test]
async fn an_api_that_stays_away_is_a_failure_of_the_infrastructure() {
    let patience = Duration::from_millis(300);
    let scene = Scene::with_timing(ClusterTiming { patience, ..timing() }).await;
    let at = settings(&scene).await;
    scene.kube.down();

    let failure = scene.cluster.get(&at).await.unwrap_err();
    assert_eq!(
        (failure.class(), failure.status()),
        (FailureClass::Infrastructure, None)
    );
    assert_eq!(failure.to_string(), "could not read ConfigMap default/settings");
    scene.cluster.version().await.unwrap_err();

    scene.kube.up();
    scene.cluster.get(&at).await.unwrap();
    assert!(scene.cluster.version().await.unwrap().starts_with('v'));
}

#[tokio::test]
async fn a_refusal_is_final() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    scene.kube.forbid("create", "configmaps", Some("default"));

    let error = scene
        .cluster
        .create(&at, &config_map(&owner(1), "a"), &owner(1))
        .await
        .unwrap_err();

    let CreateError::Api(failure) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (failure.class(), failure.status()),
        (FailureClass::Refused, Some(403))
    );
    assert_eq!(creations(&scene), 1);
}

#[tokio::test]
async fn an_object_whose_creation_was_never_answered_is_found_and_not_created_twice() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    scene
        .kube
        .fault(Fault::on(Verb::Create, "configmaps").lose_answer().times(1));

    let created = scene
        .cluster
        .create(&at, &config_map(&owner(1), "a"), &owner(1))
        .await
        .unwrap();

    assert!(matches!(created, Created::Adopted(_)), "{created:?}");
    let of_attempt = of_attempt(owner(1).id);
    let all = scene
        .cluster
        .list(&at.kind, Some("default"), &of_attempt)
        .await
        .unwrap();
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn an_object_of_another_attempt_or_document_is_refused() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    scene
        .cluster
        .create(&at, &config_map(&owner(1), "a"), &owner(1))
        .await
        .unwrap();
    let mut other_document = owner(1);
    other_document.document = 2;

    for other in [owner(2), other_document] {
        let error = scene
            .cluster
            .create(&at, &config_map(&other, "b"), &other)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, CreateError::Taken { what } if what == "ConfigMap default/settings"),
            "{error:?}"
        );
    }
    let again = scene
        .cluster
        .create(&at, &config_map(&owner(1), "b"), &owner(1))
        .await
        .unwrap();
    assert!(matches!(again, Created::Adopted(_)), "{again:?}");
    assert_eq!(again.into_object().data["data"]["key"], "a");
}

#[tokio::test]
async fn an_object_that_is_being_deleted_cannot_be_adopted() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    let mut kept = config_map(&owner(1), "a");
    kept.metadata.finalizers = Some(vec!["example.com/kept".to_owned()]);
    let uid = scene
        .cluster
        .create(&at, &kept, &owner(1))
        .await
        .unwrap()
        .into_object()
        .metadata
        .uid;
    assert!(
        scene
            .cluster
            .delete(&at, uid.as_deref(), true, None)
            .await
            .unwrap()
    );

    let error = scene.cluster.create(&at, &kept, &owner(1)).await.unwrap_err();
    assert!(matches!(error, CreateError::Taken { .. }), "{error:?}");
}

#[tokio::test]
async fn a_dry_run_creates_nothing_and_says_what_would_be_refused() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    scene
        .cluster
        .check_create(&at, &config_map(&owner(1), "a"), &owner(1))
        .await
        .unwrap();
    assert!(scene.cluster.get(&at).await.unwrap().is_none());

    let at = scene.at("batch/v1", "Job", "empty").await;
    let empty = object(json!({"spec": {"template": {"spec": {"containers": [], "restartPolicy": "Never"}}}}));
    let error = scene
        .cluster
        .check_create(&at, &empty, &owner(1))
        .await
        .unwrap_err();
    let CreateError::Api(failure) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (failure.class(), failure.status()),
        (FailureClass::Refused, Some(422))
    );
}

#[tokio::test]
async fn a_change_or_deletion_of_what_is_not_there_is_no_error() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    let patch = json!({"data": {"key": "b"}});
    assert!(scene.cluster.merge(&at, &patch).await.unwrap().is_none());
    assert!(!scene.cluster.delete(&at, None, false, None).await.unwrap());

    scene
        .cluster
        .create(&at, &config_map(&owner(1), "a"), &owner(1))
        .await
        .unwrap();
    let changed = scene.cluster.merge(&at, &patch).await.unwrap().unwrap();
    assert_eq!(changed.data["data"]["key"], "b");
}

#[tokio::test]
async fn only_the_very_object_is_deleted() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    scene
        .cluster
        .create(&at, &config_map(&owner(1), "a"), &owner(1))
        .await
        .unwrap();

    let other = "00000000-0000-4000-8000-000000000000";
    assert!(!scene.cluster.delete(&at, Some(other), false, None).await.unwrap());
    let present = scene.cluster.get(&at).await.unwrap().unwrap();
    assert!(
        scene
            .cluster
            .delete(&at, present.metadata.uid.as_deref(), false, None)
            .await
            .unwrap()
    );
    assert!(scene.cluster.get(&at).await.unwrap().is_none());
}

#[tokio::test]
async fn a_list_has_all_pages() {
    let scene = Scene::start().await;
    let at = settings(&scene).await;
    for number in 0..501 {
        scene.kube.create(
            "configmaps",
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": format!("map-{number}"), "namespace": "default", "labels": owner(1).labels()},
            }),
        );
    }

    let of_attempt = of_attempt(owner(1).id);
    let all = scene.cluster.list(&at.kind, None, &of_attempt).await.unwrap();

    assert_eq!(all.len(), 501);
    assert!(
        all.iter()
            .all(|object| object.types.as_ref().unwrap().kind == "ConfigMap")
    );
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused_before_it_is_sent() {
    let scene = Scene::start().await;
    let at = scene
        .at("v1", "ConfigMap", "../../kube-system/configmaps/settings")
        .await;
    let before = scene.kube.requests().len();

    let failure = scene.cluster.get(&at).await.unwrap_err();

    assert_eq!(failure.class(), FailureClass::Refused);
    assert_eq!(scene.kube.requests().len(), before);
}
