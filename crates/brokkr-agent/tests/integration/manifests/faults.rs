//! An API that answers late, wrongly, or not at all.

use brokkr_testkit_kube::{Fault, Verb};
use rstest::rstest;

use super::{Scene, config_map, job, message_of};

/// The Job ran once, and its output is whole.
async fn succeeds(scene: &Scene, id: brokkr_agent::attempt::AttemptId) {
    let ending = scene.ending(id).await;
    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(scene.times_run(), 1);
    assert_eq!(
        scene.broker.see(|world| world.output(id, "stdout")),
        "before\nafter\n"
    );
}

#[rstest]
#[case::too_many_requests(Fault::on(Verb::Create, "jobs").status(429).retry_after(1).times(2))]
#[case::server_error(Fault::on(Verb::Create, "jobs").status(500).times(3))]
#[case::unavailable(Fault::on(Verb::List, "jobs").status(503).times(3))]
#[case::cut(Fault::on(Verb::Create, "jobs").cut().times(2))]
#[case::answer_of_the_dry_run_lost(Fault::on(Verb::Create, "jobs").lose_answer().times(1))]
#[case::answer_of_the_write_lost(Fault::on(Verb::Create, "jobs").after(1).lose_answer().times(1))]
#[case::watch_refused_at_first(Fault::on(Verb::Watch, "jobs").status(500).times(2))]
#[case::watch_of_an_old_version(Fault::on(Verb::Watch, "jobs").status(410).times(2))]
#[case::pods_watch_cut(Fault::on(Verb::Watch, "pods").cut().times(2))]
#[case::log_cut(Fault::on(Verb::Log, "pods").cut_after(20).times(2))]
#[tokio::test]
async fn what_passes_by_itself_is_only_seen_in_the_time_it_takes(#[case] fault: Fault) {
    let scene = Scene::start().await;
    scene.kube.fault(fault);
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene.open_gate();

    succeeds(&scene, id).await;
}

#[tokio::test]
async fn an_api_that_is_away_while_the_job_runs_changes_nothing() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene.kube.down();
    scene.open_gate();
    let renewals = scene.broker.see(|world| world.renewal_requests.len());
    scene
        .broker
        .until("two renewals", |world| {
            (renewals + 2 <= world.renewal_requests.len()).then_some(())
        })
        .await;
    scene.kube.up();

    succeeds(&scene, id).await;
}

#[tokio::test]
async fn an_api_that_forgets_old_versions_changes_nothing() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene.kube.compact();
    scene.kube.restart();
    scene.open_gate();

    succeeds(&scene, id).await;
}

#[tokio::test]
async fn a_job_that_somebody_deletes_fails_the_order_at_once() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene
        .kube
        .delete("jobs", Some("default"), "migrate-000000000001-1");

    let ending = scene.ending(id).await;

    assert_eq!(ending["class"], "work", "{ending}");
    assert!(
        message_of(&ending).contains("Job default/migrate-000000000001-1 was deleted by somebody else"),
        "{ending}"
    );
}

#[tokio::test]
async fn a_step_that_fails_midway_stops_the_jobs_before_it() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    // The dry run passes.
    scene
        .kube
        .fault(Fault::on(Verb::Apply, "configmaps").after(1).status(403));
    let order = format!(
        "{}---\n{}",
        job("migrate", &scene.patient(0)),
        config_map("settings", "one")
    );
    let id = scene.submit(&order);

    let ending = scene.ending(id).await;

    assert_eq!(ending["class"], "refused", "{ending}");
    let message = message_of(&ending);
    assert!(message.starts_with("document 2, line "), "{message}");
    assert!(
        message.contains("stopped and deleted: Job default/migrate-000000000001-1"),
        "{message}"
    );
    assert!(scene.jobs().is_empty() && scene.pods().is_empty());
}
