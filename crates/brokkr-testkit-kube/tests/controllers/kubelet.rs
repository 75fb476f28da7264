use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::cluster::{Cluster, condition, container, name, pod, terminated, with};

#[tokio::test]
async fn the_exit_code_reason_and_message_of_a_container_are_told() {
    let cluster = Cluster::start().await;
    let script = r#"echo '{"rows": 3}' > /dev/termination-log; exit 7"#;
    cluster.create::<Pod>(pod("one", script)).await;

    let ended = cluster.pod_in("one", "Failed").await;

    assert_eq!(terminated(&ended)["exitCode"], 7);
    assert_eq!(terminated(&ended)["reason"], "Error");
    assert_eq!(terminated(&ended)["message"], "{\"rows\": 3}\n");
    assert_eq!(condition(&ended, "Ready")["reason"], "PodFailed");
    let mut reasons = cluster.reasons("one").await;
    reasons.sort();
    assert_eq!(reasons, ["Created", "Pulled", "Scheduled", "Started"]);
}

#[tokio::test]
async fn a_message_comes_from_the_log_when_the_container_asks_for_that() {
    let cluster = Cluster::start().await;
    let policy = json!("FallbackToLogsOnError");
    let asked = with(
        pod("one", "echo last words; exit 1"),
        "/spec/containers/0/terminationMessagePolicy",
        policy,
    );
    cluster.create::<Pod>(asked).await;

    let ended = cluster.pod_in("one", "Failed").await;

    assert_eq!(terminated(&ended)["message"], "last words\n");
}

#[tokio::test]
async fn init_containers_run_one_after_the_other_before_the_others() {
    let cluster = Cluster::start().await;
    let init =
        |name: &str, script: &str| json!({"name": name, "image": "busybox", "command": ["sh", "-c", script]});
    let both = json!([init("first", "echo 1"), init("second", "echo 2")]);
    cluster
        .create::<Pod>(with(pod("one", "echo 3"), "/spec/initContainers", both))
        .await;

    let ended = cluster.pod_in("one", "Succeeded").await;

    let statuses = ended["status"]["initContainerStatuses"].as_array().unwrap();
    assert!(
        statuses
            .iter()
            .all(|status| status["state"]["terminated"]["reason"] == "Completed")
    );
}

#[tokio::test]
async fn nothing_runs_after_an_init_container_that_failed() {
    let cluster = Cluster::start().await;
    let init = json!([{"name": "first", "image": "busybox", "command": ["sh", "-c", "exit 5"]}]);
    cluster
        .create::<Pod>(with(pod("one", "echo never"), "/spec/initContainers", init))
        .await;

    let ended = cluster.pod_in("one", "Failed").await;

    assert_eq!(
        ended["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"],
        5
    );
    assert_eq!(container(&ended)["restartCount"], 0);
    assert!(
        container(&ended)["containerID"].is_null()
            || terminated(&ended)["reason"] == "ContainerStatusUnknown"
    );
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_waited_for() {
    let cluster = Cluster::start().await;
    let image = json!("registry.example/absent:v1");
    cluster
        .create::<Pod>(with(pod("one", "echo here"), "/spec/containers/0/image", image))
        .await;

    let waiting = cluster.pod_waiting("one", "ImagePullBackOff").await;
    assert_eq!(waiting["status"]["phase"], "Pending");
    assert!(cluster.reasons("one").await.contains(&"BackOff".to_owned()));

    cluster.kube.add_image("registry.example/absent");
    cluster.pod_in("one", "Succeeded").await;
}

#[tokio::test]
async fn images_with_bad_names_and_images_that_must_not_be_pulled_are_told_apart() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Pod>(with(
            pod("bad", "true"),
            "/spec/containers/0/image",
            json!("Not/An Image"),
        ))
        .await;
    let mut never = with(
        pod("never", "true"),
        "/spec/containers/0/image",
        json!("absent:v1"),
    );
    never["spec"]["containers"][0]["imagePullPolicy"] = json!("Never");
    cluster.create::<Pod>(never).await;

    cluster.pod_waiting("bad", "InvalidImageName").await;
    cluster.pod_waiting("never", "ErrImageNeverPull").await;
}

#[tokio::test]
async fn a_pod_that_no_node_fits_is_unschedulable() {
    let cluster = Cluster::start().await;
    let selector = json!({"kubernetes.io/hostname": "nowhere"});
    cluster
        .create::<Pod>(with(pod("one", "true"), "/spec/nodeSelector", selector))
        .await;

    let unfit = |pod: &Value| condition(pod, "PodScheduled")["reason"] == "Unschedulable";
    let waiting = cluster.until::<Pod>("one", unfit).await;

    assert_eq!(waiting["status"]["phase"], "Pending");
    assert_eq!(cluster.reasons("one").await, ["FailedScheduling"]);
}

#[tokio::test]
async fn the_environment_comes_from_the_spec_and_from_what_it_names() {
    let cluster = Cluster::start().await;
    let data = BTreeMap::from([("mode".to_owned(), "quick".to_owned())]);
    let map = json!({"metadata": {"name": "settings"}, "data": data});
    cluster.create::<ConfigMap>(map).await;
    cluster
        .create::<Secret>(json!({"metadata": {"name": "token"}, "stringData": {"key": "s3cret"}}))
        .await;
    let mut asked = pod("one", "echo $GREETING $MODE $KEY $POD");
    asked["spec"]["containers"][0]["env"] = json!([
        {"name": "WHO", "value": "you"},
        {"name": "GREETING", "value": "hello-$(WHO)"},
        {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "token", "key": "key"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]);
    cluster.create::<Pod>(asked).await;

    cluster.pod_in("one", "Succeeded").await;

    assert_eq!(cluster.log("one").await, "hello-you quick s3cret one\n");
}

#[tokio::test]
async fn a_container_that_names_a_missing_secret_waits_for_it() {
    let cluster = Cluster::start().await;
    let env = json!([{"secretRef": {"name": "token"}}]);
    cluster
        .create::<Pod>(with(pod("one", "echo $key"), "/spec/containers/0/envFrom", env))
        .await;
    let waiting = cluster.pod_waiting("one", "CreateContainerConfigError").await;
    assert_eq!(
        container(&waiting)["state"]["waiting"]["message"],
        "secret \"token\" not found"
    );

    cluster
        .create::<Secret>(json!({"metadata": {"name": "token"}, "stringData": {"key": "value"}}))
        .await;

    cluster.pod_in("one", "Succeeded").await;
    assert_eq!(cluster.log("one").await, "value\n");
}

#[tokio::test]
async fn a_volume_that_names_a_missing_object_keeps_the_pod_from_starting() {
    let cluster = Cluster::start().await;
    let volumes = json!([{"name": "files", "configMap": {"name": "absent"}}]);
    cluster
        .create::<Pod>(with(pod("one", "true"), "/spec/volumes", volumes))
        .await;

    let told = cluster.kube.until("the failure is told", |kube| {
        let mut events = kube.list("events", Some("default")).into_iter();
        events.find(|event| event["reason"] == "FailedMount")
    });

    assert_eq!(told.await["involvedObject"]["name"], "one");
    cluster.pod_waiting("one", "ContainerCreating").await;
}

#[tokio::test]
async fn a_program_that_is_not_there_cannot_start() {
    let cluster = Cluster::start().await;
    let command = json!(["/no/such/program"]);
    cluster
        .create::<Pod>(with(pod("one", ""), "/spec/containers/0/command", command))
        .await;

    let ended = cluster.pod_in("one", "Failed").await;

    assert_eq!(terminated(&ended)["reason"], "StartError");
    assert_eq!(terminated(&ended)["exitCode"], 128);
}

#[tokio::test]
async fn a_container_that_keeps_failing_is_restarted_after_a_pause() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Pod>(with(
            pod("one", "exit 2"),
            "/spec/restartPolicy",
            json!("OnFailure"),
        ))
        .await;

    let restarted = cluster
        .until::<Pod>("one", |pod| container(pod)["restartCount"] == 1)
        .await;
    assert_eq!(container(&restarted)["lastState"]["terminated"]["exitCode"], 2);
    cluster.pod_waiting("one", "CrashLoopBackOff").await;
    assert_eq!(name(&restarted), "one");
}

#[tokio::test]
async fn nothing_outlives_the_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("held");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    let mut held = pipe::OpenOptions::new().open_receiver(&path).unwrap();
    let cluster = Cluster::start().await;
    let script = format!("exec 3> {}; echo here >&3; sleep 60", path.display());
    cluster.create::<Pod>(pod("one", &script)).await;
    let mut said = [0; 5];
    held.readable().await.unwrap();
    held.read_exact(&mut said).await.unwrap();

    drop(cluster);

    let end = held.read(&mut said);
    let length = timeout(Duration::from_secs(10), end)
        .await
        .expect("it still runs")
        .unwrap();
    assert_eq!(length, 0);
}
