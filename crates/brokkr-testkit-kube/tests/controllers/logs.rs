use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use serde_json::json;

use crate::cluster::{Cluster, container, pod, with};

#[tokio::test]
async fn a_log_can_be_followed_until_its_container_ends() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Pod>(pod("one", "for i in 1 2 3; do echo line $i; sleep 0.05; done"))
        .await;
    cluster
        .kube
        .until("it has started", |kube| {
            let pod = kube.get("pods", Some("default"), "one")?;
            (!container(&pod)["containerID"].is_null()).then_some(())
        })
        .await;

    let follow = LogParams {
        follow: true,
        timestamps: true,
        ..LogParams::default()
    };
    let stream = cluster.api::<Pod>().log_stream("one", &follow).await.unwrap();
    let lines: Vec<String> = stream.lines().try_collect().await.unwrap();

    let texts: Vec<&str> = lines.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(texts, ["line 1", "line 2", "line 3"]);
    assert!(
        lines
            .iter()
            .all(|line| line.split(' ').next().unwrap().len() == "2030-01-02T03:04:05.123456789Z".len())
    );
}

#[tokio::test]
async fn a_container_that_has_not_started_has_no_log() {
    let cluster = Cluster::start().await;
    cluster.kube.hold_kubelet();
    cluster.create::<Pod>(pod("one", "true")).await;
    cluster.pod_waiting("one", "ContainerCreating").await;

    let error = cluster
        .api::<Pod>()
        .logs("one", &LogParams::default())
        .await
        .unwrap_err();

    let kube::Error::Api(status) = error else {
        panic!("{error}");
    };
    assert_eq!((status.code, status.reason.as_str()), (400, "BadRequest"));
}

#[tokio::test]
async fn what_rotation_took_is_not_in_the_log_any_more() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Pod>(pod(
            "one",
            "echo before; until test -e go; do sleep 0.02; done; echo after",
        ))
        .await;
    cluster.until_it_writes("one").await;

    cluster.kube.rotate_logs("default", "one", "main");

    assert_eq!(cluster.log("one").await, "");
}

#[tokio::test]
async fn the_log_of_the_run_before_can_be_read() {
    let cluster = Cluster::start().await;
    let again = with(
        pod("one", "echo run; exit 1"),
        "/spec/restartPolicy",
        json!("OnFailure"),
    );
    cluster.create::<Pod>(again).await;
    cluster
        .until::<Pod>("one", |pod| container(pod)["restartCount"] == 2)
        .await;

    let previous = LogParams {
        previous: true,
        ..LogParams::default()
    };

    assert_eq!(
        cluster.api::<Pod>().logs("one", &previous).await.unwrap(),
        "run\n"
    );
}
