//! Agents that are killed at any point, and what their successors find.

use brokkr_agent::attempt::AttemptId;
use brokkr_testkit_kube::{Fault, Verb};
use rstest::rstest;
use serde_json::Value;

use super::{Scene, config_map, job, message_of, name_of};

/// When the agent is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    BeforeTheCreation,
    BetweenCreationAndRecord,
    WithoutAPod,
    WhileItRuns,
    AfterTheEnd,
}

/// When its successor starts.
#[derive(Debug, Clone, Copy)]
enum Return {
    InTime,
    AfterTheLease,
}

/// Submits a Job and kills the agent at this moment.
async fn killed(scene: &Scene, moment: Moment) -> (String, AttemptId) {
    let order = job("migrate", &scene.patient(0));
    let agent = scene.agent();
    match moment {
        Moment::BeforeTheCreation => {
            let mut held_up = scene.kube.fault(Fault::on(Verb::Create, "jobs").after(1).cut());
            let id = scene.submit(&order);
            held_up.until_met(1).await;
            agent.kill().await;
            held_up.remove();
            (order, id)
        }
        Moment::BetweenCreationAndRecord => {
            let mut held_up = scene
                .kube
                .fault(Fault::on(Verb::Create, "jobs").after(1).lose_answer());
            let _unseen = scene.kube.fault(Fault::on(Verb::Get, "jobs").cut());
            let id = scene.submit(&order);
            held_up.until_met(1).await;
            agent.kill().await;
            held_up.remove();
            _unseen.remove();
            (order, id)
        }
        Moment::WithoutAPod => {
            scene.kube.hold_jobs();
            let id = scene.submit(&order);
            scene.job_created().await;
            agent.kill().await;
            scene.kube.release();
            (order, id)
        }
        Moment::WhileItRuns => {
            let id = scene.submit(&order);
            scene.broker.printed(id, "before").await;
            agent.kill().await;
            (order, id)
        }
        Moment::AfterTheEnd => {
            let id = scene.submit(&order);
            scene.broker.printed(id, "before").await;
            agent.kill().await;
            scene.open_gate();
            scene
                .kube
                .until("the end of the Job", |_| scene.jobs().into_iter().find(ended))
                .await;
            (order, id)
        }
    }
}

fn ended(job: &Value) -> bool {
    job["status"]["succeeded"] == 1
}

#[rstest]
#[tokio::test]
async fn a_killed_agents_order_ends_once_and_its_job_runs_once(
    #[values(
        Moment::BeforeTheCreation,
        Moment::BetweenCreationAndRecord,
        Moment::WithoutAPod,
        Moment::WhileItRuns,
        Moment::AfterTheEnd
    )]
    moment: Moment,
    #[values(Return::InTime, Return::AfterTheLease)] back: Return,
) {
    let scene = Scene::start().await;
    let (order, id) = killed(&scene, moment).await;
    let id = match back {
        Return::InTime => id,
        Return::AfterTheLease => scene.lose(id, &order),
    };

    let _agent = scene.agent();
    scene.open_gate();
    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(scene.times_run(), 1);
    assert_eq!(scene.jobs().len(), 1);
    assert_eq!(name_of(&scene.jobs()[0]), "migrate-000000000001-1");
    assert_eq!(
        scene.broker.see(|world| world.output(id, "stdout")),
        "before\nafter\n"
    );
    assert_eq!(scene.broker.see(|world| world.endings.len()), 1);
    if let Return::AfterTheLease = back {
        assert!(
            message_of(&ending).contains("the outcome of attempt 1"),
            "{ending}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_before_its_ending_was_accepted_reports_it_once() {
    let scene = Scene::start().await;
    scene.broker.change(|world| world.endings_fail = true);
    let agent = scene.agent();
    let id = scene.submit(&job("migrate", &scene.patient(0)));
    scene.open_gate();
    scene
        .broker
        .until("a report", |world| (0 < world.ending_reports).then_some(()))
        .await;
    agent.kill().await;
    scene.broker.change(|world| world.endings_fail = false);

    let _agent = scene.agent();

    assert_eq!(scene.ending(id).await["success"], true);
    assert_eq!(scene.times_run(), 1);
    assert_eq!(scene.jobs().len(), 1);
}

#[tokio::test]
async fn an_agent_without_its_state_finds_the_job_by_its_labels() {
    let scene = Scene::start().await;
    let (_, id) = killed(&scene, Moment::WhileItRuns).await;
    std::fs::remove_dir_all(scene.host.state_dir()).unwrap();

    let _agent = scene.agent();
    scene.open_gate();
    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(scene.times_run(), 1);
}

#[tokio::test]
async fn a_job_that_was_deleted_while_no_agent_watched_has_an_unknown_outcome() {
    let scene = Scene::start().await;
    let (order, id) = killed(&scene, Moment::WhileItRuns).await;
    scene
        .kube
        .delete("jobs", Some("default"), name_of(&scene.jobs()[0]));
    scene.nothing_left().await;

    let _agent = scene.agent();
    crate::agent::eventually("the record to be gone", || {
        let records = scene.host.state_dir().join("custom/records");
        (std::fs::read_dir(records).ok()?.count() == 0).then_some(())
    })
    .await;

    assert_eq!(scene.broker.see(|world| world.ending_of(id).cloned()), None);
    let next = scene.lose(id, &order);
    scene.open_gate();
    assert_eq!(scene.ending(next).await["success"], true);
    assert_eq!(scene.times_run(), 2);
}

#[tokio::test]
async fn an_adopted_job_can_be_cancelled() {
    let scene = Scene::start().await;
    let (_, id) = killed(&scene, Moment::WhileItRuns).await;

    let _agent = scene.agent();
    scene.broker.change(|world| world.cancel.push(id));
    let ending = scene.ending(id).await;

    assert_eq!(ending["class"], "cancelled", "{ending}");
    assert!(scene.jobs().is_empty() && scene.pods().is_empty());
}

#[tokio::test]
async fn a_job_is_adopted_although_the_api_is_away_at_first() {
    let scene = Scene::start().await;
    let (_, id) = killed(&scene, Moment::WhileItRuns).await;
    scene.kube.down();
    let renewals = scene.broker.see(|world| world.renewal_requests.len());

    let _agent = scene.agent();
    scene
        .broker
        .until("the agent to hold it", |world| {
            let renewed = world.renewal_requests[renewals..].iter();
            renewed
                .clone()
                .any(|request| !request["claims"].as_array().unwrap().is_empty())
                .then_some(())
        })
        .await;
    scene.kube.up();
    scene.open_gate();
    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(scene.times_run(), 1);
}

#[tokio::test]
async fn what_was_applied_before_the_agent_was_killed_is_not_applied_again() {
    let scene = Scene::start().await;
    let order = format!(
        "{}---\n{}",
        config_map("settings", "one"),
        job("migrate", &scene.patient(0))
    );
    let agent = scene.agent();
    let id = scene.submit(&order);
    scene.broker.printed(id, "before").await;
    agent.kill().await;
    let applied = |scene: &Scene| {
        let requests = scene.kube.requests();
        let real = |request: &&brokkr_testkit_kube::Request| {
            request.verb == Verb::Apply && !request.query.contains_key("dryRun")
        };
        requests.iter().filter(real).count()
    };
    assert_eq!(applied(&scene), 1);

    let _agent = scene.agent();
    scene.open_gate();
    assert_eq!(scene.ending(id).await["success"], true);

    assert_eq!(applied(&scene), 1);
}

#[tokio::test]
async fn a_taken_over_job_says_which_agent_answers_for_it_now() {
    let scene = Scene::start().await;
    let (_, id) = killed(&scene, Moment::WhileItRuns).await;
    let name = name_of(&scene.jobs()[0]).to_owned();
    scene.kube.change("jobs", Some("default"), &name, |job| {
        job["metadata"]["labels"]["brokkr.io/agent"] = "00000000-0000-0000-0000-000000000bad".into();
    });

    let _agent = scene.agent();
    let agent = scene.broker.agent.to_string();
    scene
        .kube
        .until("the label of the new agent", |_| {
            let labels = scene.jobs().pop()?["metadata"]["labels"].clone();
            (labels["brokkr.io/agent"] == agent).then_some(())
        })
        .await;
    scene.open_gate();
    assert_eq!(scene.ending(id).await["success"], true);
}
