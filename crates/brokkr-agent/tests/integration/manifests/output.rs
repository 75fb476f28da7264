//! What the containers print, on its way to the broker.

use brokkr_testkit_kube::{Fault, Verb};
use serde_json::json;

use super::{Scene, job, name_of};

/// A Job whose pod has one init container and two others.
fn three_containers(scene: &Scene) -> String {
    let patient = json!(scene.patient(0));
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: several}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      initContainers:
      - {{name: prepare, image: busybox, command: [sh, -c, 'echo prepared']}}
      containers:
      - {{name: app, image: busybox, command: [sh, -c, {patient}]}}
      - {{name: quiet, image: busybox, command: [sh, -c, 'true']}}
"
    )
}

#[tokio::test]
async fn whose_output_follows_is_said_whenever_that_changes() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&three_containers(&scene));
    scene.broker.printed(id, "before").await;
    scene.open_gate();
    let ending = scene.ending(id).await;
    assert_eq!(ending["success"], true, "{ending}");

    assert_eq!(
        scene.broker.see(|world| world.output(id, "stdout")),
        "prepared\nbefore\nafter\n"
    );
    let said = scene.broker.see(|world| world.output(id, "system"));
    let pod = name_of(&scene.pods()[0]).to_owned();
    assert_eq!(said, format!("==> {pod}/prepare <==\n==> {pod}/app <==\n"));
}

#[tokio::test]
async fn a_log_that_is_cut_again_and_again_is_whole_in_the_end() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    // Each stream ends in the middle of a line.
    scene
        .kube
        .fault(Fault::on(Verb::Log, "pods").cut_after(700).times(8));
    let script = "for n in $(seq 1 60); do echo line $n; done; sleep 0.3; for n in $(seq 61 120); do echo line $n; done";
    let id = scene.submit(&job("talks", script));
    scene.ending(id).await;

    let expected: String = (1..=120).map(|n| format!("line {n}\n")).collect();
    assert_eq!(scene.broker.see(|world| world.output(id, "stdout")), expected);
}

#[tokio::test]
async fn lines_that_the_node_has_removed_leave_a_visible_gap() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("talks", &scene.patient(0)));
    scene.broker.printed(id, "before").await;

    let mut away = scene.kube.fault(Fault::on(Verb::Log, "pods").status(500));
    scene.kube.restart();
    away.until_met(1).await;
    scene
        .kube
        .rotate_logs("default", name_of(&scene.pods()[0]), "app");
    scene.open_gate();
    away.remove();
    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(
        scene.broker.see(|world| world.output(id, "stdout")),
        "before\nafter\n"
    );
    let said = scene.broker.see(|world| world.output(id, "system"));
    assert!(said.contains("is missing here"), "{said}");
}

#[tokio::test]
async fn an_agent_that_was_killed_goes_on_where_the_output_was() {
    let scene = Scene::start().await;
    let agent = scene.agent();
    let id = scene.submit(&three_containers(&scene));
    scene.broker.printed(id, "before").await;
    agent.kill().await;
    let _agent = scene.agent();
    scene.open_gate();
    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(
        scene.broker.see(|world| world.output(id, "stdout")),
        "prepared\nbefore\nafter\n"
    );
}

#[tokio::test]
async fn of_a_very_long_output_both_ends_are_kept_and_the_gap_is_told() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    // Twice what the agent of these tests keeps.
    let script = "i=0; while [ $i -lt 40000 ]; do echo 'line of about fifty bytes, so that it fills' $i; i=$((i+1)); done";
    let id = scene.submit(&job("talks", script));
    scene.ending(id).await;

    let printed = scene.broker.see(|world| world.output(id, "stdout"));
    assert!(printed.starts_with("line of about fifty bytes, so that it fills 0\n"));
    assert!(printed.ends_with("fills 39999\n"));
    assert!(printed.len() <= 1024 * 1024, "{}", printed.len());
    let said = scene.broker.see(|world| world.output(id, "system"));
    assert!(said.contains("bytes of output were left out here"), "{said}");
}
