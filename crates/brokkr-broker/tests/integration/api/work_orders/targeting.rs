//! Whom an order is for, and how it is sent elsewhere.

use std::time::Duration;

use brokkr_api::{FailureClass, ListPending, SetTargeting, WorkOrderStatus};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::ORDERS;
use crate::api::call::{put, refusal, refused};
use crate::api::refusals::code;

#[rstest]
#[tokio::test]
async fn a_waiting_order_can_be_sent_elsewhere_and_a_claimed_one_cannot(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (before, after) = (broker.agent().await, broker.agent().await);
    let order = broker.work_order().for_agent(&before).create().await;
    let to_after = SetTargeting {
        agent_ids: Some(vec![after.id]),
        ..SetTargeting::default()
    };

    let targeting = broker.admin().set_targeting(order.id, &to_after).await.unwrap();
    assert_eq!(targeting.agent_ids, [after.id]);
    assert_eq!(broker.admin().targeting(order.id).await.unwrap(), targeting);
    assert_eq!(code(before.claim(&order).await), "work_order_not_claimable");
    assert!(before.claim_next(1).await.unwrap().is_empty());
    after.claim(&order).await.unwrap();
    assert_eq!(
        code(broker.admin().set_targeting(order.id, &to_after).await),
        "work_order_not_waiting"
    );
}

#[rstest]
#[tokio::test]
async fn a_targeting_that_makes_no_sense_changes_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    let path = format!("{ORDERS}/{}/targeting", order.id);
    for (targeting, expected) in [
        (json!({}), refused(400, "no_targeting_specified")),
        (json!({"labels": ["a b"]}), refused(400, "invalid_work_order")),
        (
            json!({"agent_ids": [Uuid::from_u128(1)]}),
            refused(422, "foreign_key_violation"),
        ),
        (
            json!({"agent_ids": [agent.id, agent.id]}),
            refused(409, "unique_violation"),
        ),
        (json!({"lables": ["a"]}), refused(422, "invalid_body")),
    ] {
        assert_eq!(
            refusal(&put(&broker, broker.admin_pak(), &path, targeting).await),
            expected
        );
    }
    assert_eq!(broker.admin().work_order(order.id).await.unwrap(), order);
    agent.claim(&order).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn an_order_is_for_an_agent_by_id_by_any_label_or_by_any_annotation(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (labelled, annotated, other) = (broker.agent().await, broker.agent().await, broker.agent().await);
    broker.admin().add_agent_label(labelled.id, "gpu").await.unwrap();
    broker
        .admin()
        .add_agent_annotation(annotated.id, "zone", "eu")
        .await
        .unwrap();
    broker
        .admin()
        .add_agent_annotation(other.id, "zone", "us")
        .await
        .unwrap();
    let by_either = broker
        .work_order()
        .label("gpu")
        .label("tpu")
        .annotation("zone", "eu")
        .create()
        .await;

    for (agent, sees) in [(&labelled, 1), (&annotated, 1), (&other, 0)] {
        let pending = agent
            .client
            .pending_work_orders(agent.id, &ListPending::default())
            .await
            .unwrap();
        assert_eq!(pending.items.len(), sees);
    }
    assert_eq!(code(other.claim(&by_either).await), "work_order_not_claimable");
    labelled.claim(&by_either).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_deleted_agents_orders_are_there_for_others_at_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (gone, stays) = (broker.agent().await, broker.agent().await);
    let order = broker.work_order().for_agents([&gone, &stays]).create().await;
    let once = broker.work_order().for_agent(&gone).at_most_once().create().await;
    gone.claim(&order).await.unwrap();
    gone.claim(&once).await.unwrap();
    broker.admin().delete_agent(gone.id).await.unwrap();

    let claimed = stays.claim_next(9).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(
        (claimed[0].work_order.id, claimed[0].work_order.attempt),
        (order.id, 2)
    );
    assert_eq!(claimed[0].lost_attempts, [1]);
    assert_eq!(
        broker.admin().work_order(once.id).await.unwrap().status,
        WorkOrderStatus::Lost
    );
}

#[rstest]
#[tokio::test]
async fn a_label_or_annotation_that_is_taken_away_leads_to_no_order_any_more(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, admin) = (broker.agent().await, broker.admin());
    let order = broker
        .work_order()
        .label("gpu")
        .annotation("zone", "eu")
        .create()
        .await;
    assert_eq!(code(agent.claim(&order).await), "work_order_not_claimable");
    admin.add_agent_label(agent.id, "gpu").await.unwrap();
    admin.add_agent_annotation(agent.id, "zone", "eu").await.unwrap();
    let sees = async || {
        let pending = agent
            .client
            .pending_work_orders(agent.id, &ListPending::default())
            .await
            .unwrap();
        pending.items.len()
    };
    assert_eq!(sees().await, 1, "once, although it matches twice");
    admin.remove_agent_label(agent.id, "gpu").await.unwrap();
    assert_eq!(sees().await, 1);
    admin.remove_agent_annotation(agent.id, "zone").await.unwrap();
    assert_eq!(sees().await, 0);
    assert!(agent.claim_next(1).await.unwrap().is_empty());
    assert_eq!(code(agent.claim(&order).await), "work_order_not_claimable");
}

#[rstest]
#[tokio::test]
async fn an_order_that_waits_for_its_time_can_be_sent_elsewhere_too(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (before, after) = (broker.agent().await, broker.agent().await);
    let failed = broker
        .work_order()
        .for_agent(&before)
        .backoff_seconds(1)
        .create()
        .await;
    let claim = before.claim(&failed).await.unwrap();
    before.fail(&claim, FailureClass::Infrastructure).await.unwrap();
    let run_at = broker.now().plus_seconds(5);
    let scheduled = broker
        .work_order()
        .for_agent(&before)
        .run_at(run_at)
        .create()
        .await;
    let to_after = SetTargeting {
        agent_ids: Some(vec![after.id]),
        ..SetTargeting::default()
    };
    for order in [&failed, &scheduled] {
        broker.admin().set_targeting(order.id, &to_after).await.unwrap();
    }
    assert!(
        after.claim_next(9).await.unwrap().is_empty(),
        "its time has not come"
    );

    broker.advance(Duration::from_secs(5)).await;
    assert!(before.claim_next(9).await.unwrap().is_empty());
    assert_eq!(after.claim_next(9).await.unwrap().len(), 2);
}
