use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::cluster::{Cluster, condition, is_true, job, name, pod, terminated, with};

async fn running_pod(cluster: &Cluster) -> String {
    cluster.create::<Job>(job("one", "exec sleep 60")).await;
    name(&cluster.pod_of("one", "Running").await).to_owned()
}

#[tokio::test]
async fn an_evicted_pod_has_failed_and_says_so() {
    let cluster = Cluster::start().await;
    let pod = running_pod(&cluster).await;

    cluster.kube.evict("default", &pod);

    let killed = |pod: &Value| terminated(pod)["exitCode"] == 137;
    let evicted = cluster.until::<Pod>(&pod, killed).await;
    assert_eq!(evicted["status"]["phase"], "Failed");
    assert_eq!(evicted["status"]["reason"], "Evicted");
    assert_eq!(
        condition(&evicted, "DisruptionTarget")["reason"],
        "TerminationByKubelet"
    );
    assert_eq!(
        condition(&cluster.ended("one").await, "Failed")["reason"],
        "BackoffLimitExceeded"
    );
}

#[tokio::test]
async fn a_preempted_pod_is_deleted_with_its_grace() {
    let cluster = Cluster::start().await;
    let marked = with(
        pod("one", "exec sleep 60"),
        "/metadata/finalizers",
        json!(["example.org/look"]),
    );
    cluster.create::<Pod>(marked).await;
    cluster.pod_in("one", "Running").await;

    cluster.kube.preempt("default", "one");

    let ended = cluster.pod_in("one", "Failed").await;
    assert_eq!(terminated(&ended)["exitCode"], 143);
    assert_eq!(
        condition(&ended, "DisruptionTarget")["reason"],
        "PreemptionByScheduler"
    );
    assert!(ended["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test]
async fn the_pods_of_a_lost_node_are_gone() {
    let cluster = Cluster::start().await;
    let pod = running_pod(&cluster).await;

    cluster.kube.lose_node("default", &pod);

    cluster.until_gone::<Pod>(&pod).await;
    let ended = cluster.ended("one").await;
    assert_eq!(ended["status"]["failed"], 1);
    assert!(is_true(&ended, "Failed"));
}

#[tokio::test]
async fn a_container_that_memory_ran_out_for_says_so() {
    let cluster = Cluster::start().await;
    let pod = running_pod(&cluster).await;

    cluster.kube.oom_kill("default", &pod, "main");

    let ended = cluster.pod_in(&pod, "Failed").await;
    assert_eq!(terminated(&ended)["reason"], "OOMKilled");
    assert_eq!(terminated(&ended)["exitCode"], 137);
}

#[tokio::test]
async fn a_held_job_has_no_pods_until_it_is_released() {
    let cluster = Cluster::start().await;
    cluster.kube.hold_jobs();
    cluster.create::<Job>(job("one", "true")).await;
    // The garbage collector and all others run before the Job controller would have: one more round is enough.
    cluster.create::<Pod>(pod("other", "true")).await;
    cluster.pod_in("other", "Succeeded").await;
    assert!(cluster.kube.pods_of_job("default", "one").is_empty());

    cluster.kube.release();

    assert!(is_true(&cluster.ended("one").await, "Complete"));
}

#[tokio::test]
async fn a_job_can_be_ended_by_hand() {
    let cluster = Cluster::start().await;
    cluster.kube.hold_jobs();
    for name in ["one", "two"] {
        cluster.create::<Job>(job(name, "true")).await;
    }

    cluster.kube.complete_job("default", "one");
    cluster
        .kube
        .fail_job("default", "two", "DeadlineExceeded", "too long");

    assert!(is_true(&cluster.ended("one").await, "Complete"));
    assert_eq!(
        condition(&cluster.ended("two").await, "Failed")["reason"],
        "DeadlineExceeded"
    );
}
