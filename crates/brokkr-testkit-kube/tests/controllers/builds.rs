use brokkr_testkit_kube::{BuildScript, FakeKube};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::{Cluster, condition};

async fn shipwright() -> Cluster {
    let kube = FakeKube::builder().shipwright(true).start().await;
    Cluster::of(kube)
}

fn api(cluster: &Cluster, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("shipwright.io", "v1beta1", kind);
    Api::namespaced_with(cluster.client.clone(), "default", &ApiResource::from_gvk(&kind))
}

async fn create(cluster: &Cluster, kind: &str, name: &str, spec: Value) {
    let object = json!({
        "apiVersion": "shipwright.io/v1beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    let object = serde_json::from_value(object).unwrap();
    api(cluster, kind)
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
}

/// Creates a Build and a run of it, and returns the run once it says this about `Succeeded`.
async fn run_until(cluster: &Cluster, run: Value, status: &str) -> Value {
    create(
        cluster,
        "Build",
        "app",
        json!({"output": {"image": "registry.example/app"}}),
    )
    .await;
    create(cluster, "BuildRun", "app-1", run).await;
    until(cluster, status).await
}

async fn until(cluster: &Cluster, status: &str) -> Value {
    let said = |kube: &FakeKube| {
        let run = kube.get("buildruns", Some("default"), "app-1")?;
        (condition(&run, "Succeeded")["status"] == status).then_some(run)
    };
    cluster.kube.until("the run says this", said).await
}

#[tokio::test]
async fn a_build_that_succeeds_tells_its_image_and_commit() {
    let cluster = shipwright().await;

    let ended = run_until(&cluster, json!({"build": {"name": "app"}}), "True").await;

    let script = BuildScript::default();
    assert_eq!(ended["status"]["output"]["digest"], script.digest);
    assert_eq!(ended["status"]["output"]["size"], script.size_bytes);
    assert_eq!(ended["status"]["source"]["git"]["commitSha"], script.commit);
    assert_eq!(condition(&ended, "Succeeded")["reason"], "Succeeded");
    assert!(ended["status"]["completionTime"].is_string());
    let pod = cluster.kube.list("pods", Some("default")).remove(0);
    assert_eq!(pod["metadata"]["labels"]["buildrun.shipwright.io/name"], "app-1");
    assert_eq!(
        cluster.log(pod["metadata"]["name"].as_str().unwrap()).await,
        "building\n"
    );
}

#[tokio::test]
async fn a_build_that_fails_tells_where_and_why() {
    let cluster = shipwright().await;
    cluster.kube.script_builds(BuildScript {
        steps: vec![("step-source-default".to_owned(), "exit 1".to_owned())],
        error: Some(("GitRemotePrivate".to_owned(), "no such repository".to_owned())),
        ..BuildScript::default()
    });

    let ended = run_until(&cluster, json!({"build": {"name": "app"}}), "False").await;

    let details = &ended["status"]["failureDetails"];
    assert_eq!(condition(&ended, "Succeeded")["reason"], "Failed");
    assert_eq!(details["location"]["container"], "step-source-default");
    assert!(details["location"]["pod"].is_string());
    assert_eq!(details["reason"], "GitRemotePrivate");
}

fn endless() -> BuildScript {
    BuildScript {
        steps: vec![("step-build".to_owned(), "exec sleep 60".to_owned())],
        ..BuildScript::default()
    }
}

#[tokio::test]
async fn a_build_ends_when_it_is_cancelled() {
    let cluster = shipwright().await;
    cluster.kube.script_builds(endless());
    run_until(&cluster, json!({"build": {"name": "app"}}), "Unknown").await;

    let cancel = Patch::Merge(json!({"spec": {"state": "BuildRunCanceled"}}));
    api(&cluster, "BuildRun")
        .patch("app-1", &PatchParams::default(), &cancel)
        .await
        .unwrap();

    let ended = until(&cluster, "False").await;
    assert_eq!(condition(&ended, "Succeeded")["reason"], "BuildRunCanceled");
    assert!(cluster.kube.list("pods", Some("default")).is_empty());
}

#[tokio::test]
async fn a_build_ends_when_its_time_is_over() {
    let cluster = shipwright().await;
    cluster.kube.script_builds(endless());

    let ended = run_until(
        &cluster,
        json!({"build": {"name": "app"}, "timeout": "1s"}),
        "False",
    )
    .await;

    assert_eq!(condition(&ended, "Succeeded")["reason"], "BuildRunTimeout");
}

#[tokio::test]
async fn a_run_of_a_build_that_does_not_exist_fails() {
    let cluster = shipwright().await;

    let ended = run_until(&cluster, json!({"build": {"name": "absent"}}), "False").await;

    assert_eq!(condition(&ended, "Succeeded")["reason"], "BuildNotFound");
}
