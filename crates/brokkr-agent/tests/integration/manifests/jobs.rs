//! Jobs that run to their end.

use serde_json::json;

use super::{Scene, job, job_with, message_of, name_of};

#[tokio::test]
async fn a_job_that_completes_is_a_success_with_its_output() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", "echo one; echo two"));

    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(
        message_of(&ending),
        "Job default/migrate-000000000001-1 is complete"
    );
    assert_eq!(scene.broker.see(|world| world.output(id, "stdout")), "one\ntwo\n");
    let headers = scene.broker.see(|world| world.output(id, "system"));
    assert!(headers.starts_with("==> migrate-000000000001-1-"), "{headers}");
}

#[tokio::test]
async fn a_job_is_created_under_a_name_and_with_labels_of_its_attempt() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit_with(&job("migrate", "true"), json!({"deadline_seconds": 60}));
    scene.ending(id).await;

    let job = scene.job_created().await;

    assert_eq!(name_of(&job), "migrate-000000000001-1");
    let labels = &job["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/managed-by"], "brokkr");
    assert_eq!(labels["brokkr.io/work-order"], id.order.to_string());
    assert_eq!(labels["brokkr.io/attempt"], "1");
    assert_eq!(labels["brokkr.io/agent"], scene.broker.agent.to_string());
    assert_eq!(labels["brokkr.io/document"], "1");
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 60);
}

#[tokio::test]
async fn the_same_order_submitted_twice_runs_twice() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let order = job("migrate", "true");
    let (first, second) = (scene.submit(&order), scene.submit(&order));

    assert_eq!(scene.ending(first).await["success"], true);
    assert_eq!(scene.ending(second).await["success"], true);

    assert_eq!(scene.jobs().len(), 2);
}

#[tokio::test]
async fn a_job_that_fails_says_container_exit_code_and_reason() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", "echo no; exit 3"));

    let ending = scene.ending(id).await;

    assert_eq!(
        (ending["success"].as_bool(), ending["class"].as_str()),
        (Some(false), Some("work"))
    );
    assert_eq!(ending["exit_code"], 3);
    let message = message_of(&ending);
    assert!(
        message.starts_with("container app of pod migrate-000000000001-1-"),
        "{message}"
    );
    assert!(message.contains("exited with 3 (Error)"), "{message}");
    assert!(
        message.contains("Job default/migrate-000000000001-1 failed: BackoffLimitExceeded"),
        "{message}"
    );
    let evidence = scene.broker.see(|world| world.output(id, "system"));
    assert!(
        evidence.lines().count() > 1,
        "the evidence is in the output: {evidence}"
    );
}

#[tokio::test]
async fn a_termination_message_that_is_json_is_the_result() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", r#"echo '{"rows": 7}' > /dev/termination-log"#));

    let ending = scene.ending(id).await;

    assert_eq!(ending["result"], json!({"rows": 7}), "{ending}");
}

#[tokio::test]
async fn a_job_without_a_result_of_its_own_gets_a_summary() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job_with("migrate", "true", "  ttlSecondsAfterFinished: 1\n"));

    let ending = scene.ending(id).await;

    let document = &ending["result"]["documents"][0];
    assert_eq!(
        (document["document"].as_i64(), document["state"].as_str()),
        (Some(1), Some("complete"))
    );
    assert_eq!(document["name"], "migrate-000000000001-1");
    assert!(
        document["notes"][0]
            .as_str()
            .unwrap()
            .contains("ttlSecondsAfterFinished"),
        "{ending}"
    );
    assert!(
        message_of(&ending).contains("ttlSecondsAfterFinished was raised"),
        "{ending}"
    );
    assert_eq!(
        ending["result"]["pods"][0]["containers"][0]["exit_code"], 0,
        "{ending}"
    );
}

#[tokio::test]
async fn a_job_that_exceeds_its_deadline_fails_for_that() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit_with(&job("migrate", "sleep 60"), json!({"deadline_seconds": 1}));

    let ending = scene.ending(id).await;

    assert_eq!(ending["class"], "deadline", "{ending}");
    assert!(message_of(&ending).contains("DeadlineExceeded"), "{ending}");
}

#[tokio::test]
async fn every_job_of_an_order_runs_to_its_end_and_one_failure_fails_it() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let order = format!(
        "{}---\n{}",
        job("first", "exit 5"),
        job("second", "sleep 0.3; echo done")
    );
    let id = scene.submit(&order);

    let ending = scene.ending(id).await;

    assert_eq!(
        (ending["class"].as_str(), ending["exit_code"].as_i64()),
        (Some("work"), Some(5))
    );
    assert!(
        message_of(&ending).contains("Job default/first-000000000001-1 failed"),
        "{ending}"
    );
    assert_eq!(ending["result"]["documents"][1]["state"], "complete");
    assert_eq!(scene.broker.see(|world| world.output(id, "stdout")), "done\n");
}
