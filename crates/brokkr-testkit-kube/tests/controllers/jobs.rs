use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, condition, container, is_true, job, name, terminated, with};

#[tokio::test]
async fn a_job_whose_pod_succeeds_is_complete() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("one", "echo done")).await;

    let ended = cluster.ended("one").await;

    assert_eq!(
        condition(&ended, "SuccessCriteriaMet")["reason"],
        "CompletionsReached"
    );
    assert!(is_true(&ended, "Complete"));
    assert_eq!(ended["status"]["succeeded"], 1);
    assert!(ended["status"]["startTime"].is_string());
    assert!(ended["status"]["completionTime"].is_string());
    let pod = cluster.pod_of("one", "Succeeded").await;
    assert_eq!(pod["metadata"]["labels"]["batch.kubernetes.io/job-name"], "one");
    assert_eq!(pod["metadata"]["labels"]["job-name"], "one");
    assert!(name(&pod).starts_with("one-"));
    assert_eq!(cluster.log(name(&pod)).await, "done\n");
    let mut reasons = cluster.reasons("one").await;
    reasons.sort();
    assert_eq!(reasons, ["Completed", "SuccessfulCreate"]);
}

#[tokio::test]
async fn a_job_fails_once_its_pods_have_failed_more_often_than_its_limit() {
    let cluster = Cluster::start().await;
    let twice = with(job("one", "exit 3"), "/spec/backoffLimit", json!(1));
    cluster.create::<Job>(twice).await;

    let ended = cluster.ended("one").await;

    assert_eq!(
        condition(&ended, "FailureTarget")["reason"],
        "BackoffLimitExceeded"
    );
    assert_eq!(condition(&ended, "Failed")["reason"], "BackoffLimitExceeded");
    assert_eq!(ended["status"]["failed"], 2);
    let pods = cluster.kube.pods_of_job("default", "one");
    let codes: Vec<_> = pods
        .iter()
        .map(|pod| terminated(pod)["exitCode"].clone())
        .collect();
    assert_eq!(codes, [3, 3]);
    assert!(
        cluster
            .reasons("one")
            .await
            .contains(&"BackoffLimitExceeded".to_owned())
    );
}

#[tokio::test]
async fn a_job_that_takes_longer_than_its_deadline_fails_and_its_pods_are_gone() {
    let cluster = Cluster::start().await;
    let short = with(
        job("one", "exec sleep 60"),
        "/spec/activeDeadlineSeconds",
        json!(1),
    );
    cluster.create::<Job>(short).await;

    let ended = cluster.ended("one").await;

    assert_eq!(condition(&ended, "Failed")["reason"], "DeadlineExceeded");
    assert!(ended["status"]["completionTime"].is_null());
    assert!(cluster.kube.pods_of_job("default", "one").is_empty());
}

#[tokio::test]
async fn a_job_has_as_many_pods_as_its_parallelism_and_completions_ask_for() {
    let cluster = Cluster::start().await;
    let mut many = job("one", "true");
    many["spec"]["parallelism"] = json!(2);
    many["spec"]["completions"] = json!(3);
    cluster.create::<Job>(many).await;

    let ended = cluster.ended("one").await;

    assert_eq!(ended["status"]["succeeded"], 3);
    assert_eq!(cluster.kube.pods_of_job("default", "one").len(), 3);
}

#[tokio::test]
async fn a_container_that_is_restarted_within_its_pod_counts_against_the_limit() {
    let cluster = Cluster::start().await;
    let mut again = job("one", "exit 1");
    again["spec"]["backoffLimit"] = json!(2);
    again["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
    cluster.create::<Job>(again).await;

    let ended = cluster.ended("one").await;

    assert_eq!(condition(&ended, "Failed")["reason"], "BackoffLimitExceeded");
    assert_eq!(ended["status"]["failed"], 1);
}

#[tokio::test]
async fn a_suspended_job_has_no_pods_until_it_is_resumed() {
    let cluster = Cluster::start().await;
    let suspended = with(job("one", "true"), "/spec/suspend", json!(true));
    cluster.create::<Job>(suspended).await;
    let waiting = cluster.until::<Job>("one", |job| is_true(job, "Suspended")).await;
    assert!(waiting["status"]["startTime"].is_null());
    assert!(cluster.kube.pods_of_job("default", "one").is_empty());

    let resume = Patch::Merge(json!({"spec": {"suspend": false}}));
    let jobs = cluster.api::<Job>();
    jobs.patch("one", &PatchParams::default(), &resume).await.unwrap();

    let ended = cluster.ended("one").await;
    assert!(is_true(&ended, "Complete"));
    assert_eq!(condition(&ended, "Suspended")["reason"], "JobResumed");
}

#[tokio::test]
async fn a_finished_job_goes_when_its_time_is_over_and_its_pods_with_it() {
    let cluster = Cluster::start().await;
    let short = with(job("one", "true"), "/spec/ttlSecondsAfterFinished", json!(0));
    cluster.create::<Job>(short).await;

    cluster.until_gone::<Job>("one").await;

    let pods = cluster.api::<k8s_openapi::api::core::v1::Pod>();
    assert!(pods.list(&Default::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_job_whose_service_account_does_not_exist_has_no_pods_and_says_why() {
    let cluster = Cluster::start().await;
    let stranger = with(
        job("one", "true"),
        "/spec/template/spec/serviceAccountName",
        json!("stranger"),
    );
    cluster.create::<Job>(stranger).await;

    let told = cluster.kube.until("the failure is told", |kube| {
        let mut events = kube.list("events", Some("default")).into_iter();
        events.find(|event| event["reason"] == "FailedCreate")
    });

    let message = told.await["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("serviceaccount \"stranger\" not found"),
        "{message}"
    );
    assert!(cluster.kube.pods_of_job("default", "one").is_empty());
}

#[tokio::test]
async fn the_pods_of_a_running_job_are_counted() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("one", "exec sleep 60")).await;

    let running = cluster
        .until::<Job>("one", |job| job["status"]["ready"] == 1)
        .await;

    assert_eq!(running["status"]["active"], 1);
    let pod = cluster.pod_of("one", "Running").await;
    assert_eq!(container(&pod)["ready"], true);
    assert!(is_true(&pod, "Ready"));
}
