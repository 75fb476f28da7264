use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::scene::{Scene, config_map, job, refusal};

#[tokio::test]
async fn an_object_is_created_read_replaced_and_listed() {
    let scene = Scene::start().await;
    let api = scene.config_maps();

    let created = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());
    let mut read = api.get("a").await.unwrap();
    assert_eq!(read, created);
    read.data
        .as_mut()
        .unwrap()
        .insert("key".to_owned(), "2".to_owned());
    let replaced = api.replace("a", &PostParams::default(), &read).await.unwrap();
    assert_ne!(
        replaced.metadata.resource_version,
        created.metadata.resource_version
    );

    api.create(&PostParams::default(), &config_map("b", "1"))
        .await
        .unwrap();
    let listed = api
        .list(&ListParams::default().labels("app in (a, c)"))
        .await
        .unwrap();
    assert_eq!(listed.items, [replaced]);
    let listed = api
        .list(&ListParams::default().fields("metadata.name=b"))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
}

#[tokio::test]
async fn what_is_not_there_or_there_already_is_refused() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();

    let twice = refusal(api.create(&PostParams::default(), &config_map("a", "1")).await);
    assert_eq!((twice.code, twice.reason.as_str()), (409, "AlreadyExists"));
    let absent = refusal(api.get("b").await);
    assert_eq!(
        (absent.code, absent.message.as_str()),
        (404, "configmaps \"b\" not found")
    );
    assert_eq!(absent.details.unwrap().name, "b");
    let nowhere: Api<k8s_openapi::api::core::v1::ConfigMap> =
        Api::namespaced(scene.client.clone(), "nowhere");
    let mut object = config_map("a", "1");
    object.metadata.namespace = None;
    let nowhere = refusal(nowhere.create(&PostParams::default(), &object).await);
    assert_eq!(
        (nowhere.code, nowhere.message.as_str()),
        (404, "namespaces \"nowhere\" not found")
    );
}

#[tokio::test]
async fn a_stale_version_is_a_conflict() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let old = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"data": {"key": "2"}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();

    let stale = refusal(api.replace("a", &PostParams::default(), &old).await);

    assert_eq!((stale.code, stale.reason.as_str()), (409, "Conflict"));
}

#[tokio::test]
async fn a_merge_patch_that_changes_nothing_makes_no_version() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let before = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();

    let patch = Patch::Merge(json!({"data": {"key": "1"}}));
    let after = api.patch("a", &PatchParams::default(), &patch).await.unwrap();

    assert_eq!(after, before);
}

#[tokio::test]
async fn a_generated_name_is_never_used_twice() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let mut object = config_map("a", "1");
    object.metadata.name = None;
    object.metadata.generate_name = Some("run-".to_owned());

    let one = api
        .create(&PostParams::default(), &object)
        .await
        .unwrap()
        .metadata
        .name
        .unwrap();
    let other = api
        .create(&PostParams::default(), &object)
        .await
        .unwrap()
        .metadata
        .name
        .unwrap();

    assert!(one.starts_with("run-") && one.len() == 9, "{one}");
    assert_ne!(one, other);
}

#[tokio::test]
async fn a_dry_run_answers_and_changes_nothing() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };

    let answered = api.create(&dry, &config_map("a", "1")).await.unwrap();

    assert!(answered.metadata.uid.is_some());
    assert!(scene.kube.get("configmaps", Some("default"), "a").is_none());
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    for name in ["a", "b", "c", "d", "e"] {
        api.create(&PostParams::default(), &config_map(name, "1"))
            .await
            .unwrap();
    }

    let mut names = Vec::new();
    let mut page = ListParams::default().limit(2);
    loop {
        let list = api.list(&page).await.unwrap();
        assert!(list.items.len() <= 2);
        names.extend(list.items.into_iter().filter_map(|item| item.metadata.name));
        match list.metadata.continue_ {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }

    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    scene.kube.compact();
    let expired = refusal(api.list(&page).await);
    assert_eq!((expired.code, expired.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn who_asks_for_metadata_gets_nothing_else() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();

    let one = api.get_metadata("a").await.unwrap();
    let many = api.list_metadata(&ListParams::default()).await.unwrap();

    assert_eq!(one.types.unwrap().kind, "PartialObjectMetadata");
    assert_eq!(many.items[0].metadata, one.metadata);
}

#[tokio::test]
async fn a_field_that_cannot_be_selected_is_refused() {
    let scene = Scene::start().await;

    let selected = ListParams::default().fields("data.key=1");
    let refused = refusal(scene.config_maps().list(&selected).await);

    assert_eq!((refused.code, refused.reason.as_str()), (400, "BadRequest"));
}

#[tokio::test]
async fn a_job_gets_the_defaults_and_keeps_its_template() {
    let scene = Scene::start().await;
    scene.kube.hold_jobs();
    let api = scene.jobs();
    let submitted: Job = serde_json::from_value(job("a")).unwrap();

    let created = api.create(&PostParams::default(), &submitted).await.unwrap();
    let spec = created.spec.unwrap();
    assert_eq!(
        (spec.backoff_limit, spec.completions, spec.parallelism),
        (Some(6), Some(1), Some(1))
    );
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(labels["batch.kubernetes.io/job-name"], "a");
    assert_eq!(
        labels["batch.kubernetes.io/controller-uid"],
        created.metadata.uid.unwrap()
    );

    let patch = Patch::Merge(json!({"spec": {"template": {"metadata": {"labels": {"new": "label"}}}}}));
    let refused = refusal(api.patch("a", &PatchParams::default(), &patch).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    assert_eq!(refused.details.unwrap().causes[0].field, "spec.template");
    let patch = Patch::Merge(json!({"spec": {"ttlSecondsAfterFinished": 60}}));
    let patched = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.generation, Some(2));
}

#[tokio::test]
async fn what_is_wrong_with_an_object_is_said_field_by_field() {
    let scene = Scene::start().await;
    let api: Api<DynamicObject> = dynamic_jobs(&scene);
    let mut wrong = job("a");
    wrong["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    wrong["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "main"}, {"name": "main", "image": "busybox"}]);

    let refused = refusal(
        api.create(&PostParams::default(), &serde_json::from_value(wrong).unwrap())
            .await,
    );

    assert_eq!(refused.code, 422);
    let details = refused.details.unwrap();
    assert_eq!((details.group.as_str(), details.kind.as_str()), ("batch", "Job"));
    let mut fields: Vec<_> = details.causes.iter().map(|cause| cause.field.as_str()).collect();
    fields.sort_unstable();
    let spec = "spec.template.spec";
    let expected = ["containers[0].image", "containers[1].name", "restartPolicy"];
    assert_eq!(fields, expected.map(|field| format!("{spec}.{field}")));
}

#[tokio::test]
async fn names_that_no_object_may_have_are_refused() {
    let scene = Scene::start().await;
    let long = "a".repeat(64);
    for name in ["Upper", "under_score", "-dash", "dot.", long.as_str()] {
        let object = Namespace {
            metadata: kube::core::ObjectMeta {
                name: Some(name.to_owned()),
                ..kube::core::ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let api: Api<Namespace> = Api::all(scene.client.clone());
        assert_eq!(
            refusal(api.create(&PostParams::default(), &object).await).code,
            422,
            "{name}"
        );
    }
    let too_long_for_a_label = refusal(
        dynamic_jobs(&scene)
            .create(
                &PostParams::default(),
                &serde_json::from_value(job(&long)).unwrap(),
            )
            .await,
    );
    assert_eq!(too_long_for_a_label.code, 422);
}

#[tokio::test]
async fn the_status_is_written_apart_from_the_rest() {
    let scene = Scene::start().await;
    scene.kube.hold_jobs();
    let api = scene.jobs();
    let mut object = job("a");
    object["status"] = json!({"succeeded": 7});
    let created: Job = serde_json::from_value(object).unwrap();
    let created = api.create(&PostParams::default(), &created).await.unwrap();
    assert_eq!(created.status.and_then(|status| status.succeeded), None);

    let patch = Patch::Merge(json!({"spec": {"suspend": true}, "status": {"active": 3}}));
    let patched = api
        .patch_status("a", &PatchParams::default(), &patch)
        .await
        .unwrap();

    assert_eq!(patched.status.and_then(|status| status.active), Some(3));
    assert_eq!(patched.spec.and_then(|spec| spec.suspend), Some(false));
    assert_eq!(patched.metadata.generation, Some(1));
}

#[tokio::test]
async fn texts_of_a_secret_are_kept_as_data() {
    let scene = Scene::start().await;
    let api: Api<Secret> = Api::default_namespaced(scene.client.clone());
    let secret = json!({"metadata": {"name": "a"}, "stringData": {"password": "secret"}});

    let created = api
        .create(&PostParams::default(), &serde_json::from_value(secret).unwrap())
        .await
        .unwrap();

    assert_eq!(created.data.unwrap()["password"].0, b"secret");
    assert_eq!(created.string_data, None);
}

fn dynamic_jobs(scene: &Scene) -> Api<DynamicObject> {
    let resource = kube::core::ApiResource::erase::<Job>(&());
    Api::default_namespaced_with(scene.client.clone(), &resource)
}
