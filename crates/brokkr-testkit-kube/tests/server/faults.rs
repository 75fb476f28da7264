use std::pin::pin;

use brokkr_testkit_kube::{Fault, Verb};
use futures_util::{AsyncReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams, PostParams, WatchParams};
use kube::{Api, Error};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::scene::{PATIENCE, Scene, config_map, job, refusal};

#[tokio::test]
async fn a_fault_meets_what_it_is_meant_for_as_often_as_it_is_meant_to() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let fault = Fault::on(Verb::Create, "configmaps")
        .name("a")
        .status(422)
        .reason("Invalid");
    let fault = scene.kube.fault(fault.after(1).times(1));

    api.create(&PostParams::default(), &config_map("b", "1"))
        .await
        .unwrap();
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let refused = refusal(api.create(&PostParams::default(), &config_map("a", "1")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    assert_eq!(fault.met(), 1);
    let exists = refusal(api.create(&PostParams::default(), &config_map("a", "1")).await);
    assert_eq!(exists.reason, "AlreadyExists");
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back() {
    let scene = Scene::start().await;
    scene.kube.fault(
        Fault::on(Verb::List, "configmaps")
            .status(429)
            .retry_after(7)
            .times(1),
    );

    // The client would come back by itself.
    let address = scene.kube.url().replace("http://", "");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request =
        "GET /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: fake\r\nconnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(
        PATIENCE,
        tokio::io::AsyncReadExt::read_to_string(&mut connection, &mut answer),
    )
    .await
    .unwrap()
    .unwrap();

    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 7\r\n"), "{answer}");
    assert!(answer.contains(r#""reason":"TooManyRequests""#), "{answer}");
    assert!(answer.contains(r#""retryAfterSeconds":7"#), "{answer}");
}

#[tokio::test]
async fn what_hangs_goes_on_once_the_fault_is_removed() {
    let scene = Scene::start().await;
    let mut fault = scene.kube.fault(Fault::on(Verb::Create, "configmaps").hang());
    let api = scene.config_maps();
    let waiting =
        tokio::spawn(async move { api.create(&PostParams::default(), &config_map("a", "1")).await });

    timeout(PATIENCE, fault.until_met(1)).await.unwrap();
    assert!(scene.names("configmaps").is_empty());
    fault.remove();

    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_of_a_request_that_was_done() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    scene
        .kube
        .fault(Fault::on(Verb::Create, "configmaps").cut().times(1));
    scene
        .kube
        .fault(Fault::on(Verb::Create, "configmaps").lose_answer().times(1));

    let cut = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap_err();
    assert!(!matches!(cut, Error::Api(_)), "{cut:?}");
    assert!(scene.names("configmaps").is_empty());
    let lost = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap_err();
    assert!(!matches!(lost, Error::Api(_)), "{lost:?}");
    assert_eq!(scene.names("configmaps"), ["a"]);
}

#[tokio::test]
async fn a_watch_breaks_off_in_the_middle_of_a_line() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    api.create(&PostParams::default(), &config_map("b", "1"))
        .await
        .unwrap();
    let first = serde_json::to_string(&scene.kube.get("configmaps", Some("default"), "a")).unwrap();
    let line = first.len() + r#"{"object":,"type":"ADDED"}"#.len() + 1;
    scene
        .kube
        .fault(Fault::on(Verb::Watch, "configmaps").cut_after(line + 10));

    let events = api.watch(&WatchParams::default(), "0").await.unwrap();
    let events: Vec<_> = timeout(PATIENCE, events.collect()).await.unwrap();

    assert!(events[0].is_ok(), "{events:?}");
    assert!(events[1..].iter().all(Result::is_err), "{events:?}");
}

#[tokio::test]
async fn a_log_breaks_off_where_it_is_told_to() {
    let scene = Scene::start().await;
    let mut job = job("a");
    job["spec"]["template"]["spec"]["containers"][0]["command"][2] = "echo one; echo two".into();
    scene
        .jobs()
        .create(&PostParams::default(), &serde_json::from_value(job).unwrap())
        .await
        .unwrap();
    let done = |kube: &brokkr_testkit_kube::FakeKube| {
        kube.pods_of_job("default", "a")
            .pop()
            .filter(|pod| pod["status"]["phase"] == "Succeeded")
    };
    let pod = scene.kube.until("the pod's end", done).await;
    let name = pod["metadata"]["name"].as_str().unwrap();
    let pods: Api<Pod> = Api::default_namespaced(scene.client.clone());
    assert_eq!(
        pods.logs(name, &LogParams::default()).await.unwrap(),
        "one\ntwo\n"
    );
    let other = LogParams {
        container: Some("other".to_owned()),
        ..LogParams::default()
    };
    assert_eq!(refusal(pods.logs(name, &other).await).code, 400);

    scene.kube.fault(Fault::on(Verb::Log, "pods").cut_after(5));
    let mut log = pin!(pods.log_stream(name, &LogParams::default()).await.unwrap());
    let mut read = [0; 5];
    timeout(PATIENCE, log.read_exact(&mut read))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&read, b"one\nt");
    let broken = timeout(PATIENCE, log.read(&mut read)).await.unwrap();
    assert!(broken.is_err(), "{broken:?}");
}

#[tokio::test]
async fn nothing_comes_through_while_the_cluster_is_down() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    api.list(&ListParams::default()).await.unwrap();

    scene.kube.down();
    assert!(!matches!(
        api.list(&ListParams::default()).await.unwrap_err(),
        Error::Api(_)
    ));
    scene.kube.up();

    api.list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn requests_are_remembered() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    api.list(&ListParams::default().labels("app=a")).await.unwrap();

    let requests = scene.kube.requests();

    assert_eq!(
        (requests[0].verb, requests[0].resource.as_str()),
        (Verb::Create, "configmaps")
    );
    assert_eq!(
        (requests[0].name.as_deref(), &requests[0].body["data"]["key"]),
        (Some("a"), &"1".into())
    );
    assert_eq!(
        (requests[1].verb, requests[1].query["labelSelector"].as_str()),
        (Verb::List, "app=a")
    );
    assert_eq!(requests[1].namespace.as_deref(), Some("default"));
}
