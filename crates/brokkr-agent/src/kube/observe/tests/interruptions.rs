use ::kube::Api;
use ::kube::api::LogParams;
use brokkr_testkit_kube::{Fault, Verb};
use futures_util::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use rstest::rstest;
use tokio::time::timeout;

use super::{PATIENCE, Scene, timing};
use crate::kube::ClusterTiming;

/// A script that prints ten lines, waits, and prints ten more.
fn twenty_lines(scene: &Scene) -> String {
    let wait = scene.wait_for("gate");
    format!(
        "for i in $(seq 1 10); do echo line $i; done; {wait}; for i in $(seq 11 20); do echo line $i; done"
    )
}

async fn all_twenty_come_once(scene: &Scene, fault: Fault) {
    let mut fault = scene.kube.fault(fault);
    let (observer, mut printed) = scene.observe();
    scene.run("work", &twenty_lines(scene));
    printed.until("line 10\n").await;
    timeout(PATIENCE, fault.until_met(1)).await.unwrap();
    scene.open("gate");
    scene.until_phase("work", "Succeeded").await;

    observer.finish(PATIENCE).await;

    printed.take_rest().await;
    let expected: Vec<_> = (1..=20).map(|index| format!("line {index}")).collect();
    assert_eq!(printed.lines(), expected);
    assert_eq!(printed.count("is missing here"), 0);
}

#[rstest]
#[case::at_once(0)]
#[case::within_the_time(17)]
#[case::within_the_text(35)]
#[case::after_a_line(38)]
#[case::within_a_later_line(100)]
#[tokio::test]
async fn a_log_that_is_cut_goes_on_without_doubled_or_lost_lines(#[case] bytes: usize) {
    let scene = Scene::start().await;
    let cut = Fault::on(Verb::Log, "pods").cut_after(bytes).times(3);
    all_twenty_come_once(&scene, cut).await;
}

#[tokio::test]
async fn a_very_long_line_that_is_cut_comes_once_and_whole() {
    let scene = Scene::start().await;
    let cut = Fault::on(Verb::Log, "pods").cut_after(200_000).times(2);
    scene.kube.fault(cut);
    let (observer, mut printed) = scene.observe();
    scene.run("work", "head -c 300000 /dev/zero | tr '\\0' x; echo; echo behind");
    scene.until_phase("work", "Succeeded").await;

    let finishing = tokio::spawn(observer.finish(PATIENCE));

    printed.take_rest().await;
    finishing.await.unwrap();
    let text = printed.text();
    let expected = format!("==> work/app <==\n{}\nbehind\n", "x".repeat(300_000));
    assert!(text == expected, "{} bytes: {:?}", text.len(), &text[..40]);
}

#[rstest]
#[case::too_many_requests(429)]
#[case::error(500)]
#[case::not_ready_yet(400)]
#[tokio::test]
async fn a_log_that_is_refused_for_a_while_is_read_later(#[case] status: u16) {
    let scene = Scene::start().await;
    let refused = Fault::on(Verb::Log, "pods").status(status).times(3);
    all_twenty_come_once(&scene, refused).await;
}

#[tokio::test]
async fn a_log_that_does_not_answer_is_asked_for_again() {
    let scene = Scene::start().await;
    all_twenty_come_once(&scene, Fault::on(Verb::Log, "pods").hang().times(1)).await;
}

#[tokio::test]
async fn a_watch_that_is_refused_or_cut_goes_on() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe();
    scene.run("first", "echo one");
    printed.until("one\n").await;
    scene.kube.compact();
    scene.run("second", "echo two");
    printed.until("two\n").await;
    scene.kube.restart();
    scene.run("third", "echo three");
    printed.until("three\n").await;
    scene
        .kube
        .fault(Fault::on(Verb::Watch, "pods").status(500).times(2));
    scene.kube.restart();
    scene.run("fourth", "echo four");
    printed.until("four\n").await;

    scene.until_phase("fourth", "Succeeded").await;
    let evidence = observer.finish(PATIENCE).await;

    printed.take_rest().await;
    assert_eq!(printed.lines(), ["one", "two", "three", "four"]);
    assert_eq!(evidence.pods.len(), 4);
}

#[tokio::test]
async fn lines_that_a_node_has_removed_leave_a_marker() {
    let patient = ClusterTiming {
        request_limit: PATIENCE,
        ..timing()
    };
    let scene = Scene::with(patient).await;
    let (observer, mut printed) = scene.observe();
    let (first, second) = (scene.wait_for("first"), scene.wait_for("second"));
    scene.run(
        "work",
        &format!("echo one; {first}; echo lost; {second}; echo two"),
    );
    printed.until("one\n").await;
    let mut hanging = scene.kube.fault(Fault::on(Verb::Log, "pods").hang().times(1));
    scene.kube.restart();
    timeout(PATIENCE, hanging.until_met(1)).await.unwrap();
    scene.open("first");
    until_in_log(&scene, "lost").await;
    scene.kube.rotate_logs("default", "work", "app");
    scene.open("second");
    scene.until_phase("work", "Succeeded").await;
    hanging.remove();

    observer.finish(PATIENCE).await;

    printed.take_rest().await;
    assert_eq!(printed.lines(), ["one", "two"]);
    let text = printed.text();
    assert!(
        text.contains("one\n[output of work/app is missing here"),
        "{text}"
    );
    assert!(text.ends_with("]\ntwo\n"), "{text}");
}

/// Waits until the node has this line, by asking as somebody else.
async fn until_in_log(scene: &Scene, line: &str) {
    let pods: Api<Pod> = Api::namespaced(scene.cluster.client().clone(), "default");
    let follow = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let log = pods.log_stream("work", &follow).await.unwrap();
    let mut lines = log.lines();
    let came = async { while lines.try_next().await.unwrap().unwrap() != line {} };
    timeout(PATIENCE, came).await.unwrap();
}

#[tokio::test]
async fn a_log_that_nobody_may_read_does_not_keep_the_attempt_from_ending() {
    let scene = Scene::start().await;
    scene.kube.forbid("get", "pods/log", None);
    let (observer, mut printed) = scene.observe();
    scene.run("work", "echo secret; exit 3");
    scene.until_phase("work", "Failed").await;

    let evidence = observer.finish(PATIENCE).await;

    printed.take_rest().await;
    assert_eq!(printed.lines(), Vec::<&str>::new());
    assert_eq!(printed.count("[output of work/app is missing here"), 1);
    assert_eq!(evidence.exit_code(), Some(3));
}
