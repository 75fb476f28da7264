//! What an order says when it is submitted, and what is refused.

use std::time::Duration;

use brokkr_api::{Delivery, FailureClass, ListPending, WorkOrderStatus};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ORDERS, body, nothing_is_queued, refusal_of};
use crate::api::call::{post, refused};

#[rstest]
#[tokio::test]
async fn an_order_that_says_only_what_it_must_gets_the_contracts_defaults(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;

    assert_eq!(order.status, WorkOrderStatus::Pending);
    assert_eq!(
        (
            order.max_retries,
            order.backoff_seconds,
            order.claim_timeout_seconds
        ),
        (3, 60, 3_600)
    );
    assert_eq!(
        (order.retry_count, order.lost_count, order.attempt, order.priority),
        (0, 0, 0, 0)
    );
    assert_eq!(order.delivery, Delivery::AtLeastOnce);
    assert_eq!(order.targeting.agent_ids, [agent.id]);
    assert!(order.submitted_by.starts_with("admin:"));
    assert_eq!(broker.admin().work_order(order.id).await.unwrap(), order);
}

#[rstest]
#[tokio::test]
async fn everything_that_an_order_says_comes_back(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (run_at, start_by) = (broker.now().plus_seconds(60), broker.now().plus_seconds(120));
    let order = broker
        .work_order()
        .work_type("build")
        .yaml("a: ü\n---\nb: 2\n")
        .label("gpu")
        .annotation("zone", "eu")
        .max_retries(0)
        .infrastructure_retries_max(3)
        .backoff_seconds(7)
        .claim_timeout_seconds(11)
        .priority(-100)
        .deadline_seconds(13)
        .run_at(run_at)
        .start_by(start_by)
        .at_most_once()
        .retry_on([FailureClass::Work])
        .metadata("ticket", "OPS-42")
        .create()
        .await;

    assert_eq!(order.status, WorkOrderStatus::Scheduled);
    assert_eq!(order.yaml_content, "a: ü\n---\nb: 2\n");
    assert_eq!(
        (
            order.max_retries,
            order.backoff_seconds,
            order.claim_timeout_seconds
        ),
        (0, 7, 11)
    );
    assert_eq!(
        (order.infrastructure_retries_max, order.backoff_jitter),
        (3, false)
    );
    assert_eq!(
        (order.priority, order.deadline_seconds, order.delivery),
        (-100, Some(13), Delivery::AtMostOnce)
    );
    assert_eq!(order.run_at.unwrap().to_string(), run_at.to_string());
    assert_eq!(order.start_by.unwrap().to_string(), start_by.to_string());
    assert_eq!(order.targeting.labels, ["gpu"]);
    assert_eq!(order.targeting.annotations["zone"], "eu");
    assert_eq!(order.metadata["ticket"], "OPS-42");
    assert_eq!(broker.admin().work_order(order.id).await.unwrap(), order);
}

#[rstest]
#[tokio::test]
async fn an_order_for_nobody_is_refused_before_anything_else_is_looked_at(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    for targeting in [
        json!(null),
        json!({}),
        json!({"agent_ids": [], "labels": [], "annotations": {}}),
    ] {
        let more = json!({"targeting": targeting, "work_type": "", "yaml_content": "", "priority": 1_000});
        assert_eq!(
            refusal_of(&broker, more).await,
            refused(400, "no_targeting_specified")
        );
    }
    assert!(nothing_is_queued(&broker).await);
}

#[rstest]
#[case(json!({"work_type": ""}))]
#[case(json!({"work_type": "  "}))]
#[case(json!({"work_type": "x".repeat(51)}))]
#[case(json!({"work_type": "a\u{0}b"}))]
#[case(json!({"yaml_content": " \n"}))]
#[case(json!({"yaml_content": "a: \"\u{0}\""}))]
#[case(json!({"yaml_content": "a: [1, 2"}))]
#[case(json!({"yaml_content": "[".repeat(1_000)}))]
#[case(json!({"max_retries": -1}))]
#[case(json!({"start_by_seconds": 0}))]
#[case(json!({"start_by_seconds": 60, "start_by": "9999-01-01T00:00:00Z"}))]
#[case(json!({"start_by_seconds": 60, "run_at": "9999-01-01T00:00:00Z"}))]
#[case(json!({"infrastructure_retries_max": 1_001}))]
#[case(json!({"max_retries": i64::MAX}))]
#[case(json!({"backoff_seconds": -1}))]
#[case(json!({"claim_timeout_seconds": 0}))]
#[case(json!({"priority": 101}))]
#[case(json!({"deadline_seconds": 0}))]
#[case(json!({"retry_on": ["cancelled"]}))]
#[case(json!({"start_by": "2001-01-01T00:00:00Z"}))]
#[case(json!({"start_by": "2040-01-01T00:00:00Z", "run_at": "2041-01-01T00:00:00Z"}))]
#[case(json!({"run_at": "0001-01-01T00:00:00Z"}))]
#[case(json!({"metadata": {"": "x"}}))]
#[case(json!({"metadata": {"x": "a\u{0}b"}}))]
#[case(json!({"targeting": {"labels": ["two words"]}}))]
#[case(json!({"targeting": {"labels": ["x".repeat(65)]}}))]
#[case(json!({"targeting": {"annotations": {"k": ""}}}))]
#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused_and_leaves_nothing_behind(#[case] more: Value) {
    let broker = TestBroker::start(Backend::Sqlite).await;
    assert_eq!(
        refusal_of(&broker, more).await,
        refused(400, "invalid_work_order")
    );
    assert!(nothing_is_queued(&broker).await);
}

#[tokio::test]
async fn content_that_is_not_yaml_is_refused_with_its_place() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let answer = post(
        &broker,
        broker.admin_pak(),
        ORDERS,
        body(json!({"yaml_content": "a: 1\nb: [1, }"})),
    )
    .await;
    let details = &answer.json()["details"];
    assert_eq!(
        (&details["field"], &details["line"]),
        (&json!("yaml_content"), &json!(2))
    );
}

#[rstest]
#[tokio::test]
async fn an_unknown_agent_is_a_foreign_key_violation_and_leaves_nothing_behind(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let known = broker.agent().await;
    let more = json!({"targeting": {"agent_ids": [known.id, Uuid::from_u128(1)]}});
    assert_eq!(
        refusal_of(&broker, more).await,
        refused(422, "foreign_key_violation")
    );
    broker.admin().delete_agent(known.id).await.unwrap();
    let more = json!({"targeting": {"agent_ids": [known.id]}});
    assert_eq!(
        refusal_of(&broker, more).await,
        refused(422, "foreign_key_violation")
    );
    assert!(nothing_is_queued(&broker).await);
}

#[rstest]
#[tokio::test]
async fn an_agent_that_is_named_twice_is_a_unique_violation(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await.id;
    for more in [
        json!({"targeting": {"agent_ids": [agent, agent]}}),
        json!({"targeting": {"agent_ids": [agent]}, "target_agent_ids": [agent]}),
    ] {
        assert_eq!(refusal_of(&broker, more).await, refused(409, "unique_violation"));
    }
    assert!(nothing_is_queued(&broker).await);
}

#[rstest]
#[tokio::test]
async fn the_older_way_to_name_agents_adds_to_the_targeting(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (old, new) = (broker.agent().await, broker.agent().await);
    let more = json!({"targeting": {"agent_ids": [new.id]}, "target_agent_ids": [old.id]});
    let answer = post(&broker, broker.admin_pak(), ORDERS, body(more)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["targeting"]["agent_ids"], json!([new.id, old.id]));
    for agent in [old, new] {
        let pending = agent
            .client
            .pending_work_orders(agent.id, &ListPending::default())
            .await
            .unwrap();
        assert_eq!(pending.items.len(), 1);
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_told() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let more = json!({"prioritty": 1, "targeting": {"labels": ["a"], "lables": []}});
    let answer = post(&broker, broker.admin_pak(), ORDERS, body(more)).await;
    assert_eq!(answer.status, 201);
    assert!(
        answer.header("warning").contains("prioritty"),
        "{}",
        answer.header("warning")
    );
    assert!(answer.header("warning").contains("targeting.lables"));
}

#[rstest]
#[tokio::test]
async fn times_are_written_with_six_digits_and_z(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    broker.advance(Duration::from_nanos(1_234_567_000)).await;
    let answer = post(
        &broker,
        broker.admin_pak(),
        ORDERS,
        body(json!({"run_at": "2035-01-01T01:00:00.5+01:00"})),
    )
    .await;
    let order = answer.json();
    assert_eq!(order["run_at"], "2035-01-01T00:00:00.500000Z");
    assert_eq!(order["created_at"], json!(broker.now().to_string()));
}

#[rstest]
#[tokio::test]
async fn an_optional_null_is_as_good_as_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let targeting = json!({"labels": ["any"], "agent_ids": null, "annotations": null});
    let mut nulls = json!({"targeting": targeting});
    for name in [
        "max_retries",
        "infrastructure_retries_max",
        "backoff_seconds",
        "claim_timeout_seconds",
        "target_agent_ids",
        "priority",
        "deadline_seconds",
        "start_by",
        "start_by_seconds",
        "run_at",
        "delivery",
        "retry_on",
        "metadata",
    ] {
        nulls[name] = Value::Null;
    }
    let submit = async |more| {
        let answer = post(&broker, broker.admin_pak(), ORDERS, body(more)).await;
        assert_eq!((answer.status, answer.header("warning")), (201, ""));
        let mut order = answer.json();
        order["id"] = Value::Null;
        order
    };
    assert_eq!(submit(nulls).await, submit(json!({})).await);
}
