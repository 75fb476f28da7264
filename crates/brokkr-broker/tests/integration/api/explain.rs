//! Orders that are stuck, each for a reason of its own, and what is said about them.

mod ended;
mod held;
mod preview;

use std::time::Duration;

use brokkr_api::{
    Agent, AgentReport, Explanation, ExplanationReason, FailureClass, HoldsBack, RenewalsRequest, Time,
    UpdateAgent, WorkOrder, WorkOrderStatus, WorkTypeReport,
};
use brokkr_broker::api::Problem;
use brokkr_broker::app::explain::ExplainError;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::time::Timestamp;
use brokkr_testkit::{Backend, TestAgent, TestBroker};
use rstest::rstest;

use super::refusals::code;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn time(time: Timestamp) -> Option<Time> {
    Some(Time::from_micros(time.as_micros()))
}

/// What an agent says of itself that can run commands, two at a time.
fn report() -> AgentReport {
    AgentReport {
        slots: 2,
        work_types: vec![WorkTypeReport {
            work_type: "command".to_owned(),
            ..WorkTypeReport::default()
        }],
        version: "0.1.0".to_owned(),
        ..AgentReport::default()
    }
}

/// The agent gives a sign of life and says this of itself.
async fn says(agent: &TestAgent, report: AgentReport) {
    let request = RenewalsRequest {
        instance_id: agent.instance_id.clone(),
        report: Some(report),
        ..RenewalsRequest::default()
    };
    agent.client.renew(agent.id, &request).await.unwrap();
}

/// An agent that could run commands.
async fn ready(broker: &TestBroker) -> TestAgent {
    let agent = broker.agent().await;
    says(&agent, report()).await;
    agent
}

async fn set_status(broker: &TestBroker, agent: &TestAgent, status: &str) {
    let update = UpdateAgent {
        status: Some(status.to_owned()),
        ..UpdateAgent::default()
    };
    broker.admin().update_agent(agent.id, &update).await.unwrap();
}

async fn label(broker: &TestBroker, agent: &TestAgent, label: &str) {
    broker.admin().add_agent_label(agent.id, label).await.unwrap();
}

async fn explain(broker: &TestBroker, order: &WorkOrder) -> Explanation {
    broker.admin().explain(order.id).await.unwrap()
}

fn codes(explanation: &Explanation) -> Vec<&str> {
    let codes = explanation.reasons.iter().map(|reason| reason.code.as_str());
    codes.collect()
}

/// The one reason of an order.
async fn why(broker: &TestBroker, order: &WorkOrder, code: &str) -> ExplanationReason {
    let explanation = explain(broker, order).await;
    assert_eq!(codes(&explanation), [code], "{explanation:?}");
    let reason = explanation.reasons.into_iter().next().unwrap();
    assert!(!reason.sentence.is_empty() && !reason.remedy.is_empty());
    reason
}

/// The agent that a reason is about.
fn about(reason: &ExplanationReason, agent: &TestAgent) {
    let agents: Vec<_> = reason.agents.iter().map(|agent| agent.id).collect();
    assert_eq!(agents, [agent.id], "{reason:?}");
    assert_eq!(reason.agents_total, 1);
}

#[rstest]
#[tokio::test]
async fn an_order_for_a_label_that_no_agent_has_tells_the_nearest_one(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (near, far) = (ready(&broker).await, ready(&broker).await);
    label(&broker, &near, "prodution").await;
    label(&broker, &far, "gpu").await;
    let order = broker.work_order().label("production").create().await;
    broker.clock().advance(MINUTE);

    let reason = why(&broker, &order, "no_matching_agent").await;

    about(&reason, &near);
    assert!(
        reason.sentence.contains("the label production") && reason.sentence.contains("the label prodution"),
        "{reason:?}"
    );
    assert_eq!(reason.since, Some(order.updated_at));
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_annotation_tells_who_has_another_value(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let admin = broker.admin();
    admin
        .add_agent_annotation(agent.id, "region", "us-east")
        .await
        .unwrap();
    let order = broker.work_order().annotation("region", "eu-west").create().await;

    let reason = why(&broker, &order, "no_matching_agent").await;

    about(&reason, &agent);
    assert_eq!(
        reason.agents[0].detail,
        "has the annotation region=us-east, not the annotation region=eu-west"
    );
}

#[rstest]
#[tokio::test]
async fn an_order_that_no_agent_could_run_since_there_is_none_says_so(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let order = broker.work_order().label("gpu").create().await;
    let reason = why(&broker, &order, "no_agents").await;
    assert!(reason.remedy.contains("brokkr create agent"), "{reason:?}");
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_that_was_deleted_names_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, _other) = (ready(&broker).await, ready(&broker).await);
    let order = broker.work_order().for_agent(&agent).create().await;
    broker.clock().advance(MINUTE);
    broker.admin().delete_agent(agent.id).await.unwrap();
    let deleted_at = broker.now();
    broker.clock().advance(MINUTE);

    let reason = why(&broker, &order, "agent_deleted").await;

    about(&reason, &agent);
    assert_eq!(reason.since, time(deleted_at));
}

#[rstest]
#[tokio::test]
async fn an_order_for_a_paused_agent_says_since_when_it_is_paused(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let order = broker.work_order().for_agent(&agent).create().await;
    broker.clock().advance(MINUTE);
    set_status(&broker, &agent, Agent::INACTIVE).await;
    let paused_at = broker.now();
    broker.clock().advance(MINUTE);

    let reason = why(&broker, &order, "agent_inactive").await;

    about(&reason, &agent);
    assert_eq!(reason.since, time(paused_at));
    assert!(reason.remedy.contains("brokkr resume"), "{reason:?}");
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_that_was_never_started_says_so(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    about(&why(&broker, &order, "agent_never_seen").await, &agent);
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_that_fell_silent_says_when_it_was_last_heard(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let heard_at = broker.now();
    broker.clock().advance(MINUTE);
    let order = broker.work_order().for_agent(&agent).create().await;
    why(&broker, &order, "claimable").await;
    broker.clock().advance(SECOND);

    let reason = why(&broker, &order, "agent_not_seen").await;

    about(&reason, &agent);
    assert_eq!(reason.agents[0].since, time(heard_at));
    assert_eq!(
        reason.since,
        Some(order.updated_at),
        "the order was not there before"
    );
}

#[rstest]
#[tokio::test]
async fn an_order_for_a_busy_agent_says_what_that_runs(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let first = broker.work_order().for_agent(&agent).create().await;
    broker.work_order().for_agent(&agent).create().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    broker.clock().advance(SECOND);
    assert_eq!(agent.claim_next(2).await.unwrap().len(), 2);
    let claimed_at = broker.now();
    broker.clock().advance(SECOND);

    let reason = why(&broker, &order, "no_free_slot").await;

    about(&reason, &agent);
    assert!(
        reason.sentence.contains("runs 2 of 2") && reason.sentence.contains(&first.id.to_string()),
        "{reason:?}"
    );
    assert_eq!(reason.since, time(claimed_at));
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_whose_lost_work_has_not_stopped_says_that_its_slots_are_taken(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let full = AgentReport {
        running: 2,
        ..report()
    };
    says(&agent, full).await;
    let order = broker.work_order().for_agent(&agent).create().await;

    let reason = why(&broker, &order, "no_free_slot").await;

    about(&reason, &agent);
    assert!(
        reason.sentence.contains("of which the broker knows 0"),
        "{reason:?}"
    );
}

#[rstest]
#[tokio::test]
async fn an_order_of_a_type_that_the_agent_does_not_run_says_what_it_runs(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let order = broker
        .work_order()
        .work_type("build")
        .for_agent(&agent)
        .create()
        .await;

    let reason = why(&broker, &order, "work_type_not_run").await;

    about(&reason, &agent);
    assert!(reason.sentence.contains("it runs command"), "{reason:?}");
}

#[rstest]
#[tokio::test]
async fn an_order_of_a_type_that_the_agent_cannot_run_now_says_why_not(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let mut unable = report();
    unable.work_types[0].unavailable = Some("the state directory cannot be written".to_owned());
    says(&agent, unable).await;
    let order = broker.work_order().for_agent(&agent).create().await;

    let reason = why(&broker, &order, "work_type_unavailable").await;

    about(&reason, &agent);
    assert!(
        reason.sentence.contains("the state directory cannot be written"),
        "{reason:?}"
    );
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_whose_window_is_closed_says_when_it_opens(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let opens_at = broker.now().plus(MINUTE);
    let closed = AgentReport {
        holds_back: Some(HoldsBack::WindowClosed),
        window_opens_at: time(opens_at),
        ..report()
    };
    says(&agent, closed).await;
    let order = broker.work_order().for_agent(&agent).create().await;

    let reason = why(&broker, &order, "window_closed").await;

    about(&reason, &agent);
    assert_eq!(reason.until, time(opens_at));
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_that_is_about_to_stop_says_so(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let draining = AgentReport {
        holds_back: Some(HoldsBack::Draining),
        ..report()
    };
    says(&agent, draining).await;
    let order = broker.work_order().for_agent(&agent).create().await;
    about(&why(&broker, &order, "agent_draining").await, &agent);
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_that_reports_nothing_says_what_is_not_known(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    agent
        .client
        .heartbeat(agent.id, &Default::default())
        .await
        .unwrap();
    let order = broker.work_order().for_agent(&agent).create().await;

    let reason = why(&broker, &order, "agent_reports_nothing").await;

    about(&reason, &agent);
    assert!(
        reason.sentence.contains("does not say how many slots"),
        "{reason:?}"
    );
}

#[rstest]
#[tokio::test]
async fn an_order_that_failed_says_when_it_is_tried_again_and_what_the_failure_said(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let order = broker.work_order().for_agent(&agent).backoff_seconds(60);
    let order = order.retry_on([FailureClass::Work]).create().await;
    let claim = agent.claim(&order).await.unwrap();
    broker.clock().advance(SECOND);
    agent.fail(&claim, FailureClass::Work).await.unwrap();
    let failed_at = broker.now();

    let explanation = explain(&broker, &order).await;

    let reason = &explanation.reasons[0];
    assert_eq!(codes(&explanation), ["retry_pending"]);
    assert_eq!(reason.since, time(failed_at));
    assert_eq!(reason.until, time(failed_at.plus(2 * MINUTE)));
    assert!(
        reason.sentence.contains("failed: work") && reason.sentence.contains("1 of 3 retries used"),
        "{reason:?}"
    );
    assert_eq!(explanation.attempts.len(), 1);
    assert_eq!(explanation.attempts[0].class, Some(FailureClass::Work));
}

#[rstest]
#[tokio::test]
async fn an_order_that_waits_for_its_time_says_when_that_comes_and_that_nobody_will_be_there(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    ready(&broker).await;
    let run_at = broker.now().plus(MINUTE);
    let start_by = run_at.plus(MINUTE);
    let order = broker.work_order().label("gpu").run_at(run_at);
    let order = order.start_by(start_by).create().await;

    let explanation = explain(&broker, &order).await;

    assert_eq!(explanation.status, WorkOrderStatus::Scheduled);
    assert_eq!(
        codes(&explanation),
        ["scheduled", "no_matching_agent", "start_by"]
    );
    assert_eq!(explanation.reasons[0].until, time(run_at));
    assert_eq!(explanation.reasons[2].until, time(start_by));
}

#[rstest]
#[tokio::test]
async fn an_order_that_can_be_claimed_says_by_whom(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, paused) = (ready(&broker).await, broker.inactive_agent().await);
    for agent in [&agent, &paused] {
        label(&broker, agent, "gpu").await;
    }
    let order = broker.work_order().label("gpu").create().await;

    let explanation = explain(&broker, &order).await;

    assert_eq!(codes(&explanation), ["claimable", "agent_inactive"]);
    about(&explanation.reasons[0], &agent);
    about(&explanation.reasons[1], &paused);
}

#[rstest]
#[tokio::test]
async fn an_unknown_order_cannot_be_explained(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let unknown = broker.admin().explain(uuid::Uuid::nil()).await;
    assert_eq!(code(unknown), "work_order_not_found");
}

#[test]
fn an_order_without_a_reason_is_a_defect_with_a_code_of_its_own() {
    let error = ExplainError::Unexplained {
        id: WorkOrderId::new(uuid::Uuid::nil()),
        status: "PENDING",
    };
    let code = Problem::from(error).code();
    assert_eq!((code.status().as_u16(), code.as_str()), (500, "unexplained"));
}
