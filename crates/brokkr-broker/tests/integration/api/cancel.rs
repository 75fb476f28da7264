//! How work orders are cancelled.

use std::time::Duration;

use brokkr_api::{
    AttemptEnding, Cancel, Complete, Ending, FailureClass, ListPending, Time, WorkOrder, WorkOrderLog,
    WorkOrderStatus,
};
use brokkr_client::{CancelOutcome, CompleteOutcome};
use brokkr_testkit::{Answer, Backend, LEASE, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{ask, post, refusal, refused};
use super::endings::claimed;
use super::refusals::code;

fn path(order: &WorkOrder) -> String {
    format!("/api/v1/work-orders/{}/cancel", order.id)
}

fn because(reason: &str) -> Cancel {
    Cancel {
        reason: Some(reason.to_owned()),
    }
}

/// Asks for the cancellation of an order that an agent holds.
async fn requested(broker: &TestBroker, claim: &WorkOrder) -> WorkOrder {
    match broker
        .admin()
        .cancel_work_order(claim.id, &because("too late"))
        .await
        .unwrap()
    {
        CancelOutcome::Requested(order) => *order,
        CancelOutcome::Ended(entry) => panic!("it was claimed, and yet it ended: {entry:?}"),
    }
}

/// Cancels an order that waits.
async fn ended(broker: &TestBroker, order: &WorkOrder) -> WorkOrderLog {
    match broker
        .admin()
        .cancel_work_order(order.id, &because("not needed"))
        .await
        .unwrap()
    {
        CancelOutcome::Ended(entry) => *entry,
        CancelOutcome::Requested(order) => panic!("nobody holds it, and yet it goes on: {order:?}"),
    }
}

async fn attempt_endings(broker: &TestBroker, order: &WorkOrder) -> Vec<AttemptEnding> {
    let attempts = broker.admin().attempts(order.id).await.unwrap();
    attempts.iter().filter_map(|attempt| attempt.ending).collect()
}

#[rstest]
#[tokio::test]
async fn an_order_that_waits_is_cancelled_at_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let retried = claimed(&broker, &agent).await;
    agent.fail(&retried, FailureClass::Infrastructure).await.unwrap();
    let pending = broker.work_order().for_agent(&agent).create().await;
    let scheduled = broker
        .work_order()
        .for_agent(&agent)
        .run_at(broker.now().plus_seconds(60))
        .create()
        .await;

    for (order, attempt, retries) in [(&pending, 0, 0), (&scheduled, 0, 0), (&retried, 1, 1)] {
        let entry = ended(&broker, order).await;
        assert_eq!(
            (entry.id, entry.ending, entry.success),
            (order.id, Ending::Cancelled, false)
        );
        assert_eq!(
            (entry.attempt, entry.infrastructure_retries_attempted),
            (attempt, retries)
        );
        assert_eq!(
            (entry.result_message.as_deref(), entry.class),
            (Some("not needed"), None)
        );
        assert_eq!(entry.completed_at.to_string(), broker.now().to_string());
        let shown = broker.admin().work_order(order.id).await.unwrap();
        assert_eq!(
            (shown.status, shown.next_retry_after),
            (WorkOrderStatus::Cancelled, None)
        );
        assert_eq!(
            broker.admin().work_order_log_entry(order.id).await.unwrap(),
            entry
        );
    }
    let query = ListPending::default();
    assert!(
        agent
            .client
            .pending_work_orders(agent.id, &query)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    broker.advance(Duration::from_secs(3_600)).await;
    assert!(agent.claim_next(9).await.unwrap().is_empty());
}

#[rstest]
#[tokio::test]
async fn an_order_that_is_claimed_goes_on_until_its_agent_has_stopped_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let order = requested(&broker, &claim).await;
    assert_eq!((order.status, order.attempt), (WorkOrderStatus::Claimed, 1));
    assert_eq!(
        order.cancel_requested_at.unwrap().to_string(),
        broker.now().to_string()
    );
    assert_eq!(order.claimed_by, Some(agent.id));

    let cancel = agent.renew(&[&claim]).await.unwrap().cancel;
    assert_eq!(
        (cancel[0].id, cancel[0].reason.as_deref()),
        (claim.id, Some("too late"))
    );
    let CompleteOutcome::Ended(entry) = agent.fail(&claim, FailureClass::Cancelled).await.unwrap() else {
        panic!("a cancelled order is not tried again")
    };
    assert_eq!(
        (entry.ending, entry.class),
        (Ending::Cancelled, Some(FailureClass::Cancelled))
    );
    assert_eq!((entry.success, entry.retries_attempted), (false, 0));
    assert_eq!(attempt_endings(&broker, &claim).await, [AttemptEnding::Cancelled]);
    let shown = broker.admin().work_order(claim.id).await.unwrap();
    assert_eq!(
        (shown.status, shown.cancel_requested_at),
        (WorkOrderStatus::Cancelled, order.cancel_requested_at)
    );
}

#[rstest]
#[tokio::test]
async fn asking_again_changes_nothing(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let first = requested(&broker, &claim).await;
    broker.clock().advance(Duration::from_secs(3));
    let again = broker
        .admin()
        .cancel_work_order(claim.id, &because("another reason"))
        .await
        .unwrap();
    assert_eq!(again, CancelOutcome::Requested(Box::new(first)));
    assert_eq!(
        agent.renew(&[&claim]).await.unwrap().cancel[0].reason.as_deref(),
        Some("too late")
    );
}

#[rstest]
#[case::success(Complete { success: true, ..Complete::default() }, Ending::Succeeded)]
#[case::work(Complete { class: Some(FailureClass::Work), ..Complete::default() }, Ending::Failed)]
#[case::infrastructure(Complete { class: Some(FailureClass::Infrastructure), ..Complete::default() }, Ending::Failed)]
#[case::retryable(Complete { retryable: Some(true), ..Complete::default() }, Ending::Failed)]
#[case::confirmed(Complete { class: Some(FailureClass::Cancelled), ..Complete::default() }, Ending::Cancelled)]
#[tokio::test]
async fn what_the_agent_reports_of_a_cancelled_order_is_what_happened(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
    #[case] report: Complete,
    #[case] ending: Ending,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    requested(&broker, &claim).await;
    let CompleteOutcome::Ended(entry) = agent.complete(&claim, report).await.unwrap() else {
        panic!("it is not tried again")
    };
    assert_eq!(entry.ending, ending);
}

#[rstest]
#[tokio::test]
async fn a_cancelled_order_that_is_given_back_has_ended(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    requested(&broker, &claim).await;
    let released = agent.release(&claim).await.unwrap();
    assert_eq!(released.status, WorkOrderStatus::Cancelled);
    assert!(agent.claim_next(1).await.unwrap().is_empty());
    assert_eq!(attempt_endings(&broker, &claim).await, [AttemptEnding::Cancelled]);
}

#[rstest]
#[tokio::test]
async fn a_cancelled_order_whose_agent_vanished_has_ended_too(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (vanished, deleted) = (broker.agent().await, broker.agent().await);
    let (by_time, by_removal) = (
        claimed(&broker, &vanished).await,
        claimed(&broker, &deleted).await,
    );
    requested(&broker, &by_time).await;
    requested(&broker, &by_removal).await;
    broker.admin().delete_agent(deleted.id).await.unwrap();
    broker.advance(LEASE).await;
    for claim in [&by_time, &by_removal] {
        let entry = broker.admin().work_order_log_entry(claim.id).await.unwrap();
        assert_eq!((entry.ending, entry.lost_count), (Ending::Cancelled, 0));
        // Whether its work was stopped is not known.
        assert_eq!(attempt_endings(&broker, claim).await, [AttemptEnding::Lost]);
    }
    assert_eq!(
        code(vanished.fail(&by_time, FailureClass::Cancelled).await),
        "work_order_ended"
    );
}

#[rstest]
#[tokio::test]
async fn a_failure_that_calls_itself_cancelled_is_not_tried_again(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let CompleteOutcome::Ended(entry) = agent.fail(&claim, FailureClass::Cancelled).await.unwrap() else {
        panic!("it is not tried again")
    };
    assert_eq!(
        (entry.ending, entry.class),
        (Ending::Failed, Some(FailureClass::Cancelled))
    );
}

#[rstest]
#[tokio::test]
async fn what_has_ended_or_never_was_cannot_be_cancelled(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let done = claimed(&broker, &agent).await;
    let entry = agent.succeed(&done).await.unwrap();
    let cancelled = broker.work_order().for_agent(&agent).create().await;
    ended(&broker, &cancelled).await;
    for order in [&done, &cancelled] {
        let answer = post(&broker, broker.admin_pak(), &path(order), json!({})).await;
        assert_eq!(refusal(&answer), refused(409, "work_order_ended"));
    }
    let absent = WorkOrder {
        id: Uuid::from_u128(1),
        ..done.clone()
    };
    let answer = post(&broker, broker.admin_pak(), &path(&absent), json!({})).await;
    assert_eq!(refusal(&answer), refused(404, "work_order_not_found"));
    assert_eq!(broker.admin().work_order_log_entry(done.id).await.unwrap(), entry);
}

#[rstest]
#[tokio::test]
async fn of_a_claim_and_a_cancellation_that_race_both_know_what_became_of_the_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for _ in 0..8 {
        let (order, silent) = (
            broker.work_order().for_agent(&agent).create().await,
            Cancel::default(),
        );
        let (claim, cancel) = tokio::join!(
            agent.claim(&order),
            broker.admin().cancel_work_order(order.id, &silent)
        );
        match (claim, cancel.unwrap()) {
            (Ok(claim), CancelOutcome::Requested(order)) => {
                assert_eq!(order.attempt, claim.attempt);
                assert_eq!(agent.renew(&[&claim]).await.unwrap().cancel.len(), 1);
            }
            (refused @ Err(_), CancelOutcome::Ended(entry)) => {
                assert_eq!(code(refused), "work_order_not_claimable");
                assert_eq!(entry.attempt, 0);
            }
            both => panic!("an order is either claimed or cancelled: {both:?}"),
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_reason_is_wanted_by_nobody_but_must_make_sense_when_it_is_given(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    let cases: [(Value, u16, &str); 6] = [
        (json!({"reason": ""}), 400, "invalid_reason"),
        (json!({"reason": " \t"}), 400, "invalid_reason"),
        (json!({"reason": "a\u{0}b"}), 400, "invalid_reason"),
        (json!({"reason": "x".repeat(1_025)}), 400, "invalid_reason"),
        (json!({"reason": 7}), 422, "invalid_body"),
        (json!({"reasn": "typed in haste"}), 422, "invalid_body"),
    ];
    for (body, status, expected) in cases {
        let answer = post(&broker, broker.admin_pak(), &path(&order), body).await;
        assert_eq!(refusal(&answer), refused(status, expected));
    }
    assert_eq!(broker.admin().work_order(order.id).await.unwrap(), order);
    let bare = ask(&broker, broker.admin_pak(), Method::POST, &path(&order)).await;
    assert_eq!(
        (bare.status, bare.json()["result_message"].clone()),
        (200, Value::Null)
    );
}

#[rstest]
#[tokio::test]
async fn only_an_administrator_cancels(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let (agent, generator, viewer) = (
        broker.agent().await,
        broker.generator().await,
        broker.viewer().await,
    );
    let claim = claimed(&broker, &agent).await;
    for (pak, expected) in [
        (&agent.pak, "admin_required"),
        (&generator.pak, "admin_required"),
        (&viewer.pak, "read_only"),
    ] {
        let answer = post(&broker, pak, &path(&claim), json!({})).await;
        assert_eq!(refusal(&answer), refused(403, expected));
    }
    let nobody = Answer::of(broker.http(Method::POST, &path(&claim))).await;
    assert_eq!(refusal(&nobody), refused(401, "missing_credentials"));
    assert_eq!(
        broker
            .admin()
            .work_order(claim.id)
            .await
            .unwrap()
            .cancel_requested_at,
        None::<Time>
    );
}

#[rstest]
#[tokio::test]
async fn the_reason_why_a_waiting_order_was_cancelled_is_told(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for (reason, told) in [
        (
            Some("a mistake."),
            "It was cancelled while it waited. The reason: a mistake.",
        ),
        (None, "It was cancelled while it waited."),
    ] {
        let order = broker.work_order().for_agent(&agent).create().await;
        let cancel = Cancel {
            reason: reason.map(str::to_owned),
        };
        broker.admin().cancel_work_order(order.id, &cancel).await.unwrap();
        let explanation = broker.admin().explain(order.id).await.unwrap();
        assert_eq!(explanation.reasons[0].sentence, told);
    }
}
