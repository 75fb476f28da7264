use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};

use crate::cluster::{Cluster, condition, is_true};

fn workload(kind: &str, image: &str) -> Value {
    let labels = json!({"app": "web"});
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "serviceName": "web",
            "progressDeadlineSeconds": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    })
}

#[tokio::test]
async fn a_deployment_becomes_available() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Deployment>(workload("Deployment", "busybox"))
        .await;

    let ready = cluster
        .until::<Deployment>("web", |web| is_true(web, "Available"))
        .await;

    assert_eq!(ready["status"]["availableReplicas"], 2);
    assert_eq!(ready["status"]["updatedReplicas"], 2);
    assert_eq!(
        ready["status"]["observedGeneration"],
        ready["metadata"]["generation"]
    );
    assert_eq!(
        condition(&ready, "Progressing")["reason"],
        "NewReplicaSetAvailable"
    );
}

#[tokio::test]
async fn a_deployment_whose_image_does_not_exist_stops_progressing() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Deployment>(workload("Deployment", "absent:v1"))
        .await;

    let passed = |web: &Value| condition(web, "Progressing")["reason"] == "ProgressDeadlineExceeded";
    let stuck = cluster.until::<Deployment>("web", passed).await;

    assert_eq!(condition(&stuck, "Progressing")["status"], "False");
    assert_eq!(condition(&stuck, "Available")["status"], "False");
    assert_eq!(stuck["status"]["unavailableReplicas"], 2);
}

#[tokio::test]
async fn stateful_sets_and_daemon_sets_become_ready() {
    let cluster = Cluster::start().await;
    cluster
        .create::<StatefulSet>(workload("StatefulSet", "busybox"))
        .await;
    cluster
        .create::<DaemonSet>(workload("DaemonSet", "busybox"))
        .await;

    let set = cluster
        .until::<StatefulSet>("web", |web| web["status"]["readyReplicas"] == 2)
        .await;
    assert_eq!(set["status"]["currentRevision"], set["status"]["updateRevision"]);
    cluster
        .until::<DaemonSet>("web", |web| web["status"]["numberAvailable"] == 1)
        .await;
}

#[tokio::test]
async fn a_claim_is_bound() {
    let cluster = Cluster::start().await;
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    cluster.create::<PersistentVolumeClaim>(claim).await;

    let is_bound = |claim: &Value| claim["status"]["phase"] == "Bound";
    let bound = cluster.until::<PersistentVolumeClaim>("data", is_bound).await;

    assert_eq!(bound["status"]["capacity"]["storage"], "1Gi");
}
