//! Losing the lease, and the end of the agent itself.

use brokkr_testkit_kube::{Fault, Verb};
use rstest::rstest;

use super::{Scene, eventually, job, message_of};

/// How far an attempt is when its lease is lost.
#[derive(Debug, Clone, Copy)]
enum Phase {
    BeforeTheCreation,
    WithoutAPod,
    Pending,
    Running,
}

#[rstest]
#[tokio::test]
async fn a_lost_lease_stops_the_work_however_far_it_is(
    #[values(Phase::BeforeTheCreation, Phase::WithoutAPod, Phase::Pending, Phase::Running)] phase: Phase,
) {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let mut held_up = match phase {
        Phase::BeforeTheCreation => Some(scene.kube.fault(Fault::on(Verb::Create, "jobs").hang())),
        Phase::WithoutAPod | Phase::Pending | Phase::Running => None,
    };
    match phase {
        Phase::WithoutAPod => scene.kube.hold_jobs(),
        Phase::Pending => scene.kube.hold_kubelet(),
        Phase::BeforeTheCreation | Phase::Running => {}
    }
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    match (&mut held_up, phase) {
        (Some(held_up), _) => held_up.until_met(1).await,
        (None, Phase::Pending) => drop(scene.kube.until("a pod", |_| scene.pods().pop()).await),
        (None, Phase::Running) => scene.broker.printed(id, "before").await,
        (None, _) => drop(scene.job_created().await),
    }
    scene.broker.change(|world| world.lost.push(id));

    scene
        .broker
        .until("a report", |world| (0 < world.ending_reports).then_some(()))
        .await;
    scene.nothing_left().await;

    assert_eq!(scene.broker.see(|world| world.ending_of(id).cloned()), None);
}

#[tokio::test]
async fn an_outcome_that_came_too_late_is_taken_over_by_the_next_attempt() {
    let scene = Scene::start().await;
    scene.broker.change(|world| world.endings_fail = true);
    let _agent = scene.agent();
    let order = job("migrate", &scene.patient(3));
    let first = scene.submit(&order);
    scene.open_gate();
    scene
        .broker
        .until("a report", |world| (0 < world.ending_reports).then_some(()))
        .await;
    scene.broker.change(|world| world.lost.push(first));
    scene.broker.change(|world| world.endings_fail = false);
    let refused = scene.broker.see(|world| world.ending_reports) + 1;
    scene
        .broker
        .until("the refusal", |world| {
            (refused <= world.ending_reports).then_some(())
        })
        .await;
    let second = scene.lose(first, &order);

    let ending = scene.ending(second).await;

    assert_eq!(ending["exit_code"], 3, "{ending}");
    assert!(
        message_of(&ending).contains("the outcome of attempt 1"),
        "{ending}"
    );
    assert_eq!(scene.times_run(), 1);
}

#[tokio::test]
async fn the_next_attempt_begins_only_when_nothing_of_the_last_one_runs() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let trace = scene.host.path("trace");
    let script = format!(
        "trap '' TERM; echo begin >> {0}; echo before; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done; echo end >> {0}; \
         until [ -e {1} ]; do sleep 0.05; done",
        trace.display(),
        scene.host.path("gate").display()
    );
    let order = job("migrate", &script);
    let first = scene.submit(&order);
    scene.broker.printed(first, "before").await;
    let second = scene.lose(first, &order);
    scene.broker.printed(second, "before").await;
    scene.open_gate();

    assert_eq!(scene.ending(second).await["success"], true);

    let names: Vec<_> = scene
        .jobs()
        .iter()
        .map(|job| super::name_of(job).to_owned())
        .collect();
    assert_eq!(names, ["migrate-000000000001-2"]);
}

#[tokio::test]
async fn work_that_was_stopped_with_its_lease_is_run_anew_by_the_next_attempt() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let order = job("migrate", &scene.patient(0));
    let first = scene.submit(&order);
    scene.broker.printed(first, "before").await;
    scene.broker.change(|world| world.lost.push(first));
    scene.nothing_left().await;
    let second = scene.lose(first, &order);
    scene.open_gate();

    let ending = scene.ending(second).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(
        message_of(&ending),
        "Job default/migrate-000000000001-2 is complete"
    );
    assert_eq!(scene.times_run(), 2);
}

#[tokio::test]
async fn an_agent_that_is_stopped_leaves_the_job_to_its_successor() {
    let scene = Scene::start().await;
    let agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    agent.trigger.escalate();
    agent.trigger.escalate();
    agent.ended().await.unwrap();
    assert_eq!(scene.broker.see(|world| world.ending_of(id).cloned()), None);
    assert_eq!(scene.jobs().len(), 1);

    let _agent = scene.agent();
    scene.open_gate();
    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(
        scene.broker.see(|world| world.output(id, "stdout")),
        "before\nafter\n"
    );
    assert_eq!(scene.times_run(), 1);
}

#[tokio::test]
async fn a_lease_that_is_lost_while_the_api_is_away_is_followed_by_a_sweep() {
    let scene = Scene::start().await;
    let mut config = scene.host.config(&scene.broker);
    config.orphan_window = std::time::Duration::from_millis(100);
    let agent = scene.agent_with(config.clone());
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.broker.printed(id, "before").await;
    scene.kube.down();
    scene.broker.change(|world| world.lost.push(id));
    eventually("the attempt to be given up", async || {
        scene.broker.see(|world| (0 < world.ending_reports).then_some(()))
    })
    .await;
    agent.kill().await;
    scene.kube.up();
    assert_eq!(scene.jobs().len(), 1);

    let _agent = scene.agent_with(config);

    scene.nothing_left().await;
}
