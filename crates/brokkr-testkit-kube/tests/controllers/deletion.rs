use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::{Cluster, condition, job, name, pod, terminated, with};

#[tokio::test]
async fn a_job_that_is_deleted_in_the_foreground_goes_after_its_pods() {
    let cluster = Cluster::start().await;
    let polite = "trap 'exit 4' TERM; echo on; while true; do sleep 0.05; done";
    cluster.create::<Job>(job("one", polite)).await;
    let running = cluster.pod_of("one", "Running").await;
    cluster.kube.pause_deletion();

    cluster.delete::<Job>("one", DeleteParams::foreground()).await;
    let pod = cluster
        .until::<Pod>(name(&running), |pod| {
            pod["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    let waiting = cluster
        .until::<Job>("one", |job| job["metadata"]["deletionTimestamp"].is_string())
        .await;
    assert_eq!(waiting["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    cluster.kube.release();

    cluster.until_gone::<Job>("one").await;
    let pods = cluster.api::<Pod>();
    assert!(pods.get_opt(name(&pod)).await.unwrap().is_none());
    assert!(cluster.reasons(name(&pod)).await.contains(&"Killing".to_owned()));
}

#[tokio::test]
async fn a_job_that_is_deleted_in_the_background_leaves_its_pods_to_the_collector() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("one", "exec sleep 60")).await;
    let pod = cluster.pod_of("one", "Running").await;

    cluster.delete::<Job>("one", DeleteParams::background()).await;

    assert!(cluster.api::<Job>().get_opt("one").await.unwrap().is_none());
    cluster.until_gone::<Pod>(name(&pod)).await;
}

#[tokio::test]
async fn an_orphaned_pod_runs_on() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Job>(job("one", "until test -e release; do sleep 0.02; done"))
        .await;
    let pod = cluster.pod_of("one", "Running").await;

    let orphan = DeleteParams {
        propagation_policy: Some(kube::api::PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    cluster.delete::<Job>("one", orphan).await;
    cluster.until_gone::<Job>("one").await;

    let is_free = |pod: &Value| pod["metadata"]["finalizers"].is_null();
    let pod = cluster.until::<Pod>(name(&pod), is_free).await;
    assert!(pod["metadata"]["deletionTimestamp"].is_null());
    assert_eq!(pod["status"]["phase"], "Running");
}

#[tokio::test]
async fn a_pod_that_does_not_end_when_asked_is_killed_after_its_grace() {
    let cluster = Cluster::start().await;
    let stubborn = with(
        pod("one", "trap '' TERM; echo on; while true; do sleep 0.05; done"),
        "/spec/terminationGracePeriodSeconds",
        json!(1),
    );
    cluster
        .create::<Pod>(with(
            stubborn,
            "/metadata/finalizers",
            json!(["example.org/look"]),
        ))
        .await;
    cluster.until_it_writes("one").await;

    cluster.delete::<Pod>("one", DeleteParams::default()).await;

    let ended = cluster.pod_in("one", "Failed").await;
    assert_eq!(terminated(&ended)["exitCode"], 137);
    assert_eq!(terminated(&ended)["reason"], "Error");
    assert!(ended["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test]
async fn a_pod_that_is_deleted_before_its_containers_start_goes_without_having_run() {
    let cluster = Cluster::start().await;
    cluster.kube.hold_kubelet();
    cluster.create::<Job>(job("one", "echo never")).await;
    let pod = cluster.pod_of("one", "Pending").await;
    let scheduled = |pod: &Value| condition(pod, "PodScheduled")["status"] == "True";
    cluster.until::<Pod>(name(&pod), scheduled).await;

    cluster.delete::<Job>("one", DeleteParams::foreground()).await;

    cluster.until_gone::<Job>("one").await;
    assert!(!cluster.reasons(name(&pod)).await.contains(&"Started".to_owned()));
}

#[tokio::test]
async fn a_pod_that_is_deleted_while_its_job_lives_is_replaced_and_counts_as_failed() {
    let cluster = Cluster::start().await;
    let twice = with(job("one", "exec sleep 60"), "/spec/backoffLimit", json!(1));
    cluster.create::<Job>(twice).await;
    let first = cluster.pod_of("one", "Running").await;

    cluster.delete::<Pod>(name(&first), DeleteParams::default()).await;

    let next = cluster.kube.until("another pod runs", |kube| {
        let mut pods = kube.pods_of_job("default", "one").into_iter();
        pods.find(|pod| pod["status"]["phase"] == "Running" && name(pod) != name(&first))
    });
    next.await;
    cluster
        .until::<Job>("one", |job| job["status"]["failed"] == 1)
        .await;
}

#[tokio::test]
async fn an_object_goes_with_its_owner() {
    let cluster = Cluster::start().await;
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let owner = cluster.create::<ConfigMap>(map("owner")).await;
    let reference =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid}]);
    cluster
        .create::<ConfigMap>(with(map("owned"), "/metadata/ownerReferences", reference))
        .await;

    cluster
        .delete::<ConfigMap>("owner", DeleteParams::default())
        .await;

    cluster.until_gone::<ConfigMap>("owned").await;
}

#[tokio::test]
async fn a_namespace_has_a_service_account_and_goes_once_it_is_empty() {
    let cluster = Cluster::start().await;
    let namespaces = Api::<Namespace>::all(cluster.client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": "other"}})).unwrap();
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client.clone(), "other");
    let found = |account: Option<&ServiceAccount>| account.is_some();
    kube::runtime::wait::await_condition(accounts, "default", found)
        .await
        .unwrap();
    let jobs = Api::<Job>::namespaced(cluster.client.clone(), "other");
    let job = serde_json::from_value(job("one", "exec sleep 60")).unwrap();
    jobs.create(&PostParams::default(), &job).await.unwrap();
    cluster
        .kube
        .until("the pod runs", |kube| kube.pods_of_job("other", "one").pop())
        .await;

    namespaces
        .delete("other", &DeleteParams::default())
        .await
        .unwrap();

    let gone =
        |kube: &brokkr_testkit_kube::FakeKube| kube.get("namespaces", None, "other").is_none().then_some(());
    cluster.kube.until("the namespace is gone", gone).await;
    assert!(cluster.kube.list("pods", Some("other")).is_empty());
}
