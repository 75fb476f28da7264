//! Cancelling an order in every state that it can be in.

use brokkr_agent::attempt::AttemptId;
use brokkr_testkit_kube::{Fault, Verb};
use rstest::rstest;
use serde_json::Value;

use super::{Scene, job, message_of};

fn cancel(scene: &Scene, id: AttemptId) {
    scene.broker.change(|world| world.cancel.push(id));
}

/// The order ends as cancelled, and nothing of it is left in the cluster.
async fn cancelled(scene: &Scene, id: AttemptId) -> Value {
    let ending = scene.ending(id).await;
    assert_eq!(ending["class"], "cancelled", "{ending}");
    assert!(
        scene.jobs().is_empty(),
        "the Job is gone before the ending is reported"
    );
    assert!(
        scene.pods().is_empty(),
        "its pods are gone before the ending is reported"
    );
    ending
}

#[tokio::test]
async fn an_order_is_cancelled_before_anything_is_created() {
    let scene = Scene::start().await;
    let mut held_up = scene.kube.fault(Fault::on(Verb::Create, "jobs").hang());
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", "true"));
    held_up.until_met(1).await;
    cancel(&scene, id);

    let ending = cancelled(&scene, id).await;

    assert!(
        message_of(&ending).contains("not started, because the order was cancelled"),
        "{ending}"
    );
}

#[tokio::test]
async fn an_order_is_cancelled_while_its_job_is_being_created() {
    let scene = Scene::start().await;
    // The dry run passes, and the write hangs.
    let mut held_up = scene.kube.fault(Fault::on(Verb::Create, "jobs").after(1).hang());
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    held_up.until_met(1).await;
    cancel(&scene, id);
    heard(&scene, id).await;
    held_up.remove();

    cancelled(&scene, id).await;
}

#[tokio::test]
async fn a_job_without_a_pod_is_cancelled() {
    let scene = Scene::start().await;
    scene.kube.hold_jobs();
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", "true"));
    scene.job_created().await;
    cancel(&scene, id);

    cancelled(&scene, id).await;
}

#[tokio::test]
async fn a_pod_that_is_pending_is_cancelled() {
    let scene = Scene::start().await;
    scene.kube.hold_kubelet();
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", "true"));
    scene.kube.until("a pod", |_| scene.pods().pop()).await;
    cancel(&scene, id);

    cancelled(&scene, id).await;
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_its_output_is_kept() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    cancel(&scene, id);

    let ending = cancelled(&scene, id).await;

    assert_eq!(
        message_of(&ending),
        "stopped, because the order was cancelled; stopped and deleted: Job default/migrate-000000000001-1"
    );
    assert_eq!(scene.broker.see(|world| world.output(id, "stdout")), "before\n");
}

#[tokio::test]
async fn a_container_that_ignores_its_end_is_killed_when_the_grace_has_passed() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job(
        "migrate",
        "trap '' TERM; echo before; while true; do sleep 0.1; done",
    ));
    scene.broker.printed(id, "before").await;
    cancel(&scene, id);

    cancelled(&scene, id).await;
}

#[tokio::test]
async fn a_job_that_had_ended_before_the_cancellation_was_heard_has_its_true_outcome() {
    let scene = Scene::start().await;
    // The watch does not tell of the end.
    let _silent = scene.kube.fault(Fault::on(Verb::Watch, "jobs").hang());
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", "echo done"));
    scene
        .kube
        .until("the end of the Job", |_| {
            scene
                .jobs()
                .into_iter()
                .find(|job| job["status"]["succeeded"] == 1)
        })
        .await;
    cancel(&scene, id);

    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
}

#[tokio::test]
async fn every_job_of_an_order_is_cancelled() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&format!(
        "{}---\n{}",
        job("one", &scene.patient(0)),
        job("two", &scene.patient(0))
    ));
    crate::agent::eventually("both Jobs to run", || (scene.times_run() == 2).then_some(())).await;
    cancel(&scene, id);

    let ending = cancelled(&scene, id).await;

    let message = message_of(&ending);
    assert!(
        message.contains("Job default/one-") && message.contains("Job default/two-"),
        "{message}"
    );
}

#[rstest]
#[case::server_error(Fault::on(Verb::Delete, "jobs").status(500).times(2))]
#[case::too_many_requests(Fault::on(Verb::Delete, "jobs").status(429).retry_after(1).times(1))]
#[case::answer_lost(Fault::on(Verb::Delete, "jobs").lose_answer().times(1))]
#[case::cut(Fault::on(Verb::Delete, "jobs").cut().times(2))]
#[case::looking_fails(Fault::on(Verb::List, "jobs").after(1).status(503).times(2))]
#[tokio::test]
async fn a_cancellation_gets_past_what_passes_by_itself(#[case] fault: Fault) {
    let scene = Scene::start().await;
    scene.kube.fault(fault);
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    cancel(&scene, id);

    cancelled(&scene, id).await;
}

#[tokio::test]
async fn a_cancellation_is_confirmed_only_when_the_api_is_back() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene.kube.down();
    cancel(&scene, id);
    heard(&scene, id).await;
    scene.kube.up();

    cancelled(&scene, id).await;
}

/// Waits until the agent has renewed once more, and so heard what there is to hear.
async fn heard(scene: &Scene, id: AttemptId) {
    let before = scene.broker.see(|world| world.renewal_requests.len());
    scene
        .broker
        .until("two renewals", |world| {
            (before + 2 <= world.renewal_requests.len()).then_some(())
        })
        .await;
    assert!(
        scene.broker.see(|world| world.ending_of(id).is_none()),
        "nothing is reported before it is certain"
    );
}
