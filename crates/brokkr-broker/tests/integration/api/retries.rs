//! Repeating many orders that have ended.

use std::time::Duration;

use brokkr_api::{Ending, FailureClass, RetriesAnswer, RetriesRequest, Time, WorkOrder, WorkOrderStatus};
use brokkr_broker::dal::audit;
use brokkr_core::time::Timestamp;
use brokkr_testkit::{Answer, Backend, TestAgent, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::call::{post, refusal, refused};
use super::refusals::code;

const PATH: &str = "/api/v1/work-order-log/retries";

fn time(time: Timestamp) -> Time {
    Time::from_micros(time.as_micros())
}

/// An order that failed, one second ago by the broker's clock.
async fn failed(broker: &TestBroker, agent: &TestAgent, work_type: &str) -> WorkOrder {
    let order = broker.work_order().for_agent(agent).work_type(work_type);
    let claim = agent.claim(&order.create().await).await.unwrap();
    agent.fail(&claim, FailureClass::Work).await.unwrap();
    broker.advance(Duration::from_secs(1)).await;
    claim
}

async fn retry(broker: &TestBroker, request: RetriesRequest) -> RetriesAnswer {
    broker.admin().retry_work_orders(&request).await.unwrap()
}

async fn count(broker: &TestBroker, request: RetriesRequest) -> i64 {
    let dry_run = RetriesRequest {
        dry_run: true,
        ..request
    };
    let answer = retry(broker, dry_run).await;
    assert!(answer.retried.is_empty() && answer.refused.is_empty());
    answer.matching
}

#[rstest]
#[tokio::test]
async fn what_failed_is_counted_and_then_repeated_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let orders = [
        failed(&broker, &agent, "command").await,
        failed(&broker, &agent, "command").await,
    ];
    let request = RetriesRequest::default;
    assert_eq!(count(&broker, request()).await, 2);

    let answer = retry(&broker, request()).await;

    assert_eq!((answer.matching, answer.refused.len()), (2, 0));
    let old: Vec<_> = answer.retried.iter().map(|retried| retried.id).collect();
    assert_eq!(old, orders.each_ref().map(|order| order.id));
    for retried in &answer.retried {
        let new = broker.admin().work_order(retried.retry_id).await.unwrap();
        assert_eq!(
            (new.status, new.retry_of),
            (WorkOrderStatus::Pending, Some(retried.id))
        );
    }
    // Sent again, it finds nothing, also once the repetitions are in the log.
    assert_eq!(retry(&broker, request()).await.matching, 0);
    for claim in agent.claim_next(9).await.unwrap() {
        agent.succeed(&claim.work_order).await.unwrap();
    }
    broker.advance(Duration::from_secs(1)).await;
    assert_eq!(count(&broker, request()).await, 0);
}

#[rstest]
#[tokio::test]
async fn what_is_repeated_is_chosen_by_ending_type_agent_and_time(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (one, other) = (broker.agent().await, broker.agent().await);
    let begin = broker.now();
    failed(&broker, &one, "command").await;
    failed(&broker, &other, "build").await;
    let waiting = broker.work_order().for_agent(&one).create().await;
    broker
        .admin()
        .cancel_work_order(waiting.id, &Default::default())
        .await
        .unwrap();
    let done = broker.work_order().for_agent(&one).create().await;
    let claim = one.claim(&done).await.unwrap();
    one.succeed(&claim).await.unwrap();
    broker.advance(Duration::from_secs(1)).await;
    let counted = async |change: fn(&mut RetriesRequest)| {
        let mut request = RetriesRequest::default();
        change(&mut request);
        count(&broker, request).await
    };

    assert_eq!(counted(|_| ()).await, 2);
    assert_eq!(
        counted(|request| request.work_type = Some("build".to_owned())).await,
        1
    );
    assert_eq!(
        counted(|request| request.endings = Some(vec![Ending::Cancelled])).await,
        1
    );
    assert_eq!(
        counted(|request| request.endings = Some(vec![Ending::Cancelled, Ending::Succeeded])).await,
        2
    );
    assert_eq!(
        counted(|request| request.endings = Some(vec![Ending::Lost])).await,
        0
    );
    let of_agent = RetriesRequest {
        agent_id: Some(other.id),
        ..RetriesRequest::default()
    };
    assert_eq!(count(&broker, of_agent).await, 1);
    for (from, before, expected) in [(0, 1, 1), (1, 2, 1), (0, 2, 2), (2, 9, 0)] {
        let between = RetriesRequest {
            ended_from: Some(time(begin.plus_seconds(from))),
            ended_before: Some(time(begin.plus_seconds(before))),
            ..RetriesRequest::default()
        };
        assert_eq!(count(&broker, between).await, expected, "{from} to {before}");
    }
}

#[rstest]
#[tokio::test]
async fn many_are_repeated_in_bounded_parts_and_what_fails_meanwhile_is_not_among_them(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for _ in 0..3 {
        failed(&broker, &agent, "command").await;
    }
    let part = |ended_before| RetriesRequest {
        limit: Some(2),
        ended_before,
        ..RetriesRequest::default()
    };
    let first = retry(&broker, part(None)).await;
    assert_eq!((first.matching, first.retried.len()), (3, 2));
    for claim in agent.claim_next(9).await.unwrap() {
        agent.fail(&claim.work_order, FailureClass::Work).await.unwrap();
    }
    broker.advance(Duration::from_secs(1)).await;
    let second = retry(&broker, part(Some(first.ended_before))).await;
    assert_eq!((second.matching, second.retried.len()), (1, 1));
    let third = retry(&broker, part(Some(first.ended_before))).await;
    assert_eq!((third.matching, third.retried.len()), (0, 0));
}

#[rstest]
#[tokio::test]
async fn the_same_request_sent_twice_at_once_repeats_each_order_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let replica = broker.replica().await;
    let agent = broker.agent().await;
    for _ in 0..5 {
        failed(&broker, &agent, "command").await;
    }
    let (one, two) = tokio::join!(
        retry(&broker, RetriesRequest::default()),
        retry(&replica, RetriesRequest::default())
    );
    assert_eq!(one.retried.len() + two.retried.len(), 5);
    assert_eq!(agent.claim_next(9).await.unwrap().len(), 5);
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_that_is_gone_is_named_and_the_others_are_repeated(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (one, gone) = (broker.agent().await, broker.agent().await);
    failed(&broker, &one, "command").await;
    let stays = failed(&broker, &gone, "command").await;
    broker.admin().delete_agent(gone.id).await.unwrap();

    let answer = retry(&broker, RetriesRequest::default()).await;

    assert_eq!((answer.matching, answer.retried.len()), (2, 1));
    assert_eq!(
        (answer.refused[0].id, answer.refused[0].error.code.as_str()),
        (stays.id, "foreign_key_violation")
    );
}

#[rstest]
#[case(json!({"endings": []}), 400, "invalid_query")]
#[case(json!({"work_type": ""}), 400, "invalid_query")]
#[case(json!({"limit": 0}), 400, "invalid_limit")]
#[case(json!({"limit": 1_001}), 400, "invalid_limit")]
#[case(json!({"ending": ["failed"]}), 422, "invalid_body")]
#[tokio::test]
async fn a_filter_that_makes_no_sense_repeats_nothing(
    #[case] body: serde_json::Value,
    #[case] status: u16,
    #[case] expected: &str,
) {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    failed(&broker, &agent, "command").await;
    let answer = post(&broker, broker.admin_pak(), PATH, body).await;
    assert_eq!(refusal(&answer), refused(status, expected));
    assert_eq!(count(&broker, RetriesRequest::default()).await, 1);
    let viewer = broker.viewer().await;
    let request = RetriesRequest::default();
    assert_eq!(code(viewer.client.retry_work_orders(&request).await), "read_only");
}

#[rstest]
#[tokio::test]
async fn who_repeated_how_many_is_in_the_audit(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    failed(&broker, &agent, "command").await;
    retry(&broker, RetriesRequest::default()).await;
    let mut tx = broker.db().read().await.unwrap();
    let facts = audit::list(&mut tx, None, None, 100).await.unwrap();
    let retried: Vec<_> = facts
        .into_iter()
        .filter(|fact| fact.action == "work_order_log.retry")
        .collect();
    assert_eq!(retried.len(), 1);
    assert!(retried[0].actor.starts_with("admin:"));
    let details: serde_json::Value = serde_json::from_str(&retried[0].details).unwrap();
    assert_eq!(details, json!({"matching": 1, "retried": 1, "refused": 0}));
}

#[rstest]
#[tokio::test]
async fn what_is_repeated_is_chosen_by_label_caller_and_text(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for (label, yaml) in [("gpu", "name: one"), ("other", "name: Two")] {
        let order = broker.work_order().for_agent(&agent).label(label).yaml(yaml);
        let claim = agent.claim(&order.create().await).await.unwrap();
        agent.fail(&claim, FailureClass::Work).await.unwrap();
    }
    broker.advance(Duration::from_secs(1)).await;
    let counted =
        async |request: serde_json::Value| count(&broker, serde_json::from_value(request).unwrap()).await;
    for (request, expected) in [
        (json!({}), 2),
        (json!({"label": "gpu"}), 1),
        (json!({"label": "gp"}), 0),
        (json!({"text": "name: two"}), 1),
        (json!({"label": "gpu", "text": "two"}), 0),
        (json!({"submitted_by": "admin:nobody"}), 0),
    ] {
        assert_eq!(counted(request.clone()).await, expected, "{request}");
    }
}

#[rstest]
#[tokio::test]
async fn the_same_request_with_a_key_repeats_once_and_answers_the_same(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for _ in 0..3 {
        failed(&broker, &agent, "command").await;
    }
    let send = async |body: serde_json::Value| {
        let request = broker
            .http(Method::POST, PATH)
            .bearer_auth(broker.admin_pak().expose());
        Answer::of(request.header("Idempotency-Key", "one").json(&body)).await
    };
    let first = send(json!({"limit": 2})).await;
    let again = send(json!({"limit": 2})).await;
    let other = send(json!({"limit": 3})).await;

    assert_eq!((first.status, first.header("idempotency-replayed")), (200, ""));
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (200, "true")
    );
    assert_eq!(first.text, again.text);
    assert_eq!(refusal(&other), refused(409, "idempotency_key_reused"));
    assert_eq!(count(&broker, RetriesRequest::default()).await, 1);
}
