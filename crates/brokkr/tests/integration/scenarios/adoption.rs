//! Agents that vanish while their work goes on.

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

use super::cluster::Scene;
use crate::world::until;

fn is_complete(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Complete" && condition.status == "True")
}

async fn attempts(scene: &Scene, order: &str) -> Vec<Value> {
    let found = scene
        .broker
        .run(&scene.world, &["get", "attempts", order, "-o", "json"])
        .await
        .with_code(0)
        .json();
    found.as_array().cloned().unwrap_or_default()
}

async fn lease_lost(scene: &Scene, order: &str) {
    until("the attempt is lost", async || {
        let attempts = attempts(scene, order).await;
        attempts
            .iter()
            .any(|attempt| attempt["ending"] == "lost")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_was_killed_and_comes_back_in_time_adopts_the_job() {
    let scene = Scene::new().await;
    let agent = scene.agent().await;
    let order = scene.submit(&scene.job("echo one; sleep 6; echo two"), &[]).await;
    scene.printed(&order, "one").await;
    agent.kill();
    let _agent = scene.restart_agent();

    let entry = scene.ended(&order, 0).await;

    assert_eq!(entry["attempt"], 1, "{entry}");
    assert_eq!(scene.jobs().await.len(), 1, "the Job ran once");
    assert_eq!(
        scene.output(&order).await,
        "one\ntwo\n",
        "no line is missing or doubled"
    );
}

#[tokio::test]
async fn the_job_of_a_lost_attempt_that_still_runs_is_taken_over_and_not_run_again() {
    let scene = Scene::new().await;
    let agent = scene.agent().await;
    let order = scene
        .submit(
            &scene.job("echo one; sleep 20; echo two"),
            &["--max-retries", "1"],
        )
        .await;
    scene.printed(&order, "one").await;
    agent.kill();
    lease_lost(&scene, &order).await;
    let _agent = scene.restart_agent();

    let entry = scene.ended(&order, 0).await;

    assert_eq!(entry["attempt"], 2, "{entry}");
    let message = entry["result_message"].as_str().unwrap();
    assert!(
        message.contains("attempt 1"),
        "it says from which attempt: {message}"
    );
    assert_eq!(scene.jobs().await.len(), 1, "the Job ran once");
    assert_eq!(scene.output(&order).await, "one\ntwo\n");
}

#[tokio::test]
async fn the_true_outcome_of_a_job_that_ended_while_no_agent_was_there_is_reported() {
    let scene = Scene::new().await;
    let agent = scene.agent().await;
    let order = scene
        .submit(&scene.job("echo one; sleep 3; echo two"), &["--max-retries", "1"])
        .await;
    scene.printed(&order, "one").await;
    agent.kill();
    until("the Job is complete", async || {
        scene.jobs().await.iter().any(is_complete).then_some(())
    })
    .await;
    lease_lost(&scene, &order).await;
    let _agent = scene.restart_agent();

    let entry = scene.ended(&order, 0).await;

    assert_eq!(entry["attempt"], 2, "{entry}");
    assert_eq!(scene.jobs().await.len(), 1, "the Job ran once");
    assert_eq!(scene.output(&order).await, "one\ntwo\n");
}

#[tokio::test]
async fn an_agent_that_lost_its_state_finds_its_job_by_the_labels() {
    let scene = Scene::new().await;
    let agent = scene.agent().await;
    let order = scene.submit(&scene.job("echo one; sleep 6; exit 4"), &[]).await;
    scene.printed(&order, "one").await;
    agent.kill();
    std::fs::remove_dir_all(scene.world.path("agent.state")).unwrap();
    let _agent = scene.restart_agent();

    let entry = scene.ended(&order, 1).await;

    assert_eq!(entry["exit_code"], 4, "{entry}");
    assert_eq!(entry["attempt"], 1, "{entry}");
    assert_eq!(scene.jobs().await.len(), 1, "the Job ran once");
    assert_eq!(scene.output(&order).await, "one\n");
}

#[tokio::test]
async fn a_second_process_of_the_agent_takes_the_running_job_over_and_the_first_one_leaves_it() {
    let scene = Scene::new().await;
    let first = scene.agent().await;
    let order = scene
        .submit(&scene.job("echo one; sleep 5; echo two"), &["--max-retries", "0"])
        .await;
    scene.printed(&order, "one").await;
    let _second = scene.second_agent();

    let ended = first.finish().await;
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains("newer process"), "{}", ended.stderr);
    let entry = scene.ended(&order, 0).await;
    assert_eq!(entry["attempt"], 1, "{entry}");
    assert_eq!(scene.jobs().await.len(), 1, "the Job ran once");
    assert_eq!(scene.output(&order).await, "one\ntwo\n");
}
