//! Cancelling many orders.

use std::time::Duration;

use brokkr_api::{CancellationsAnswer, CancellationsRequest, ListWorkOrders, Time, WorkOrderStatus};
use brokkr_broker::dal::audit;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::call::{post, refusal, refused};

const PATH: &str = "/api/v1/work-orders/cancellations";

fn labelled(label: &str) -> CancellationsRequest {
    CancellationsRequest {
        label: Some(label.to_owned()),
        ..CancellationsRequest::default()
    }
}

async fn cancel(broker: &TestBroker, request: CancellationsRequest) -> CancellationsAnswer {
    broker.admin().cancel_work_orders(&request).await.unwrap()
}

async fn count(broker: &TestBroker, request: CancellationsRequest) -> i64 {
    let dry_run = CancellationsRequest {
        dry_run: true,
        ..request
    };
    let answer = cancel(broker, dry_run).await;
    assert!(answer.ended.is_empty() && answer.requested.is_empty());
    answer.matching
}

async fn left(broker: &TestBroker) -> Vec<Uuid> {
    let page = broker.admin().work_orders(&ListWorkOrders::default()).await;
    page.unwrap().items.iter().map(|order| order.id).collect()
}

#[rstest]
#[tokio::test]
async fn what_waits_ends_and_what_runs_is_stopped_by_its_agent(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let running = broker.work_order().for_agent(&agent).label("old").create().await;
    let claim = agent.claim(&running).await.unwrap();
    let waiting = broker.work_order().label("old").create().await;
    let later = broker
        .work_order()
        .label("old")
        .run_at(broker.now().plus_seconds(600))
        .create()
        .await;
    let other = broker.work_order().label("new").create().await;
    broker.advance(Duration::from_secs(1)).await;
    assert_eq!(count(&broker, labelled("old")).await, 3);
    assert_eq!(left(&broker).await.len(), 4, "counting changed something");

    let because = CancellationsRequest {
        reason: Some("a typing error".to_owned()),
        ..labelled("old")
    };
    let answer = cancel(&broker, because.clone()).await;

    assert_eq!(answer.matching, 3);
    assert_eq!(
        (answer.ended, answer.requested),
        (vec![waiting.id, later.id], vec![running.id])
    );
    assert_eq!(left(&broker).await, [other.id, running.id]);
    let entry = broker.admin().work_order_log_entry(waiting.id).await.unwrap();
    assert_eq!(entry.result_message.as_deref(), Some("a typing error"));
    let stopping = broker.admin().work_order(running.id).await.unwrap();
    assert!(stopping.cancel_requested_at.is_some());
    assert_eq!(stopping.status, WorkOrderStatus::Claimed);
    let renewals = agent.renew(&[&claim]).await.unwrap();
    assert_eq!(renewals.cancel.len(), 1, "the agent hears of it");

    // Sent again, it finds nothing.
    let again = cancel(&broker, because).await;
    assert_eq!(
        (again.matching, again.ended.len(), again.requested.len()),
        (0, 0, 0)
    );
}

#[rstest]
#[tokio::test]
async fn each_cancellation_of_many_is_in_the_audit_and_an_event(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let running = broker.work_order().for_agent(&agent).create().await;
    agent.claim(&running).await.unwrap();
    let waiting = broker.work_order().label("old").create().await;
    let these = CancellationsRequest {
        ids: Some(vec![running.id, waiting.id, Uuid::from_u128(7)]),
        ..CancellationsRequest::default()
    };
    assert_eq!(cancel(&broker, these).await.matching, 2);

    for (order, kind) in [
        (&running, "work_order.cancel_requested"),
        (&waiting, "work_order.cancelled"),
    ] {
        let mut tx = broker.db().begin().await.unwrap();
        let facts = audit::list(&mut tx, Some(&format!("work_order:{}", order.id)), None, 9)
            .await
            .unwrap();
        assert_eq!(
            facts
                .iter()
                .filter(|fact| fact.action == "work_order.cancel")
                .count(),
            1,
            "{kind}"
        );
        let events = broker
            .admin()
            .events(&brokkr_api::EventsQuery {
                work_order_id: Some(order.id),
                ..Default::default()
            })
            .await
            .unwrap();
        assert!(events.events.iter().any(|event| event.kind == kind), "{kind}");
    }
}

#[rstest]
#[tokio::test]
async fn many_are_cancelled_in_bounded_parts_and_what_comes_meanwhile_is_not_among_them(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    for _ in 0..3 {
        broker.work_order().label("old").create().await;
        broker.advance(Duration::from_secs(1)).await;
    }
    let part = |created_before: Option<Time>| CancellationsRequest {
        limit: Some(2),
        created_before,
        ..labelled("old")
    };
    let first = cancel(&broker, part(None)).await;
    assert_eq!((first.matching, first.ended.len()), (3, 2));
    let late = broker.work_order().label("old").create().await;
    let rest = cancel(&broker, part(Some(first.created_before))).await;
    assert_eq!((rest.matching, rest.ended.len()), (1, 1));
    assert_eq!(left(&broker).await, [late.id]);
}

#[rstest]
#[tokio::test]
async fn what_is_cancelled_is_chosen_by_state_type_agent_label_caller_and_text(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let held = broker.work_order().for_agent(&agent).create().await;
    agent.claim(&held).await.unwrap();
    broker.work_order().label("gpu").work_type("build").create().await;
    broker
        .work_order()
        .label("gpu")
        .yaml("name: Reports-2026")
        .create()
        .await;
    broker.advance(Duration::from_secs(1)).await;
    let counted = async |request: serde_json::Value| {
        let request = serde_json::from_value(request).unwrap();
        count(&broker, request).await
    };
    for (request, expected) in [
        (json!({"status": "CLAIMED"}), 1),
        (json!({"status": "PENDING"}), 2),
        (json!({"work_type": "build"}), 1),
        (json!({"agent_id": agent.id}), 1),
        (json!({"label": "gpu"}), 2),
        (json!({"label": "gp"}), 0),
        (json!({"submitted_by": held.submitted_by}), 3),
        (json!({"submitted_by": "admin:nobody"}), 0),
        (json!({"text": "reports-2026"}), 1),
        (json!({"text": "reports_2026"}), 0),
        (json!({"label": "gpu", "work_type": "build"}), 1),
        (json!({"created_before": "2000-01-01T00:00:00Z"}), 0),
        (json!({"created_from": "2000-01-01T00:00:00Z"}), 3),
    ] {
        assert_eq!(counted(request.clone()).await, expected, "{request}");
    }
}

#[rstest]
#[tokio::test]
async fn nobody_cancels_everything_by_leaving_something_out(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    broker.work_order().label("any").create().await;
    let many: Vec<_> = (0..1_001).map(Uuid::from_u128).collect();
    for (body, code) in [
        (json!({}), "invalid_query"),
        (json!({"dry_run": true, "reason": "all"}), "invalid_query"),
        (json!({"ids": []}), "invalid_query"),
        (json!({"ids": many}), "invalid_query"),
        (json!({"ids": [Uuid::nil()], "label": "any"}), "invalid_query"),
        (json!({"status": "COMPLETED"}), "invalid_query"),
        (json!({"text": ""}), "invalid_query"),
        (json!({"label": "two words"}), "invalid_label"),
        (json!({"label": "any", "limit": 0}), "invalid_limit"),
        (json!({"label": "any", "reason": ""}), "invalid_reason"),
    ] {
        let answer = post(&broker, broker.admin_pak(), PATH, body.clone()).await;
        assert_eq!(refusal(&answer), refused(400, code), "{body}");
    }
    assert_eq!(left(&broker).await.len(), 1);
}

/// Only PostgreSQL lets a claim come between the look and the lock.
#[tokio::test]
async fn an_order_that_is_claimed_meanwhile_is_none_of_those_that_wait() {
    let broker = TestBroker::start(Backend::Postgres).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).label("old").create().await;
    broker.advance(Duration::from_secs(1)).await;
    let connection = sqlx::PgPool::connect(broker.db().url()).await.unwrap();
    let mut claim = connection.begin().await.unwrap();
    let claimed = sqlx::query(
        "UPDATE work_orders
            SET status = 'CLAIMED', attempt = 1, claimed_by = $1, claimed_at = created_at,
                lease_expires_at = created_at + 3600000000
          WHERE id = $2",
    );
    let claimed = claimed.bind(agent.id).bind(order.id).execute(&mut *claim).await;
    assert_eq!(claimed.unwrap().rows_affected(), 1);

    let waiting = CancellationsRequest {
        status: Some(WorkOrderStatus::Pending),
        ..labelled("old")
    };
    let commit = async {
        let blocked = "SELECT COUNT(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waits = async || sqlx::query_scalar::<_, i64>(blocked).fetch_one(&connection).await;
        let until_blocked = async {
            while waits().await.unwrap() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let blocked = tokio::time::timeout(Duration::from_secs(30), until_blocked).await;
        blocked.expect("the cancellation waits for the claim");
        claim.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(cancel(&broker, waiting), commit);

    assert!(
        answer.ended.is_empty() && answer.requested.is_empty(),
        "{answer:?}"
    );
    let order = broker.admin().work_order(order.id).await.unwrap();
    assert_eq!(
        (order.status, order.cancel_requested_at),
        (WorkOrderStatus::Claimed, None)
    );
    connection.close().await;
}
