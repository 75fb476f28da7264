//! Work orders: submitting, showing, sending elsewhere, removing and repeating them, and who may.

mod batches;
mod submissions;
mod targeting;

use brokkr_api::{FailureClass, ListPending, ListWorkOrders, UpdateAgent, WorkOrderStatus};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{delete, get, post, refusal, refused};
use super::refusals::code;

const ORDERS: &str = "/api/v1/work-orders";

fn body(more: Value) -> Value {
    let mut body = json!({"work_type": "command", "yaml_content": "a: 1", "targeting": {"labels": ["any"]}});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The refusal of an order that is like a good one, but for this.
async fn refusal_of(broker: &TestBroker, more: Value) -> (u16, String) {
    refusal(&post(broker, broker.admin_pak(), ORDERS, body(more)).await)
}

async fn nothing_is_queued(broker: &TestBroker) -> bool {
    broker
        .admin()
        .work_orders(&ListWorkOrders::default())
        .await
        .unwrap()
        .items
        .is_empty()
}

#[rstest]
#[tokio::test]
async fn the_queue_is_listed_newest_first_by_status_and_type(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let first = broker.work_order().for_agent(&agent).create().await;
    let second = broker
        .work_order()
        .for_agent(&agent)
        .work_type("build")
        .create()
        .await;
    let third = broker.work_order().for_agent(&agent).create().await;
    agent.claim(&first).await.unwrap();

    let ids = async |query: ListWorkOrders| -> Vec<Uuid> {
        broker
            .admin()
            .work_orders(&query)
            .await
            .unwrap()
            .items
            .iter()
            .map(|order| order.id)
            .collect()
    };
    let of_status = |status| ListWorkOrders {
        status: Some(status),
        ..ListWorkOrders::default()
    };
    assert_eq!(
        ids(ListWorkOrders::default()).await,
        [third.id, second.id, first.id]
    );
    assert_eq!(
        ids(of_status(WorkOrderStatus::Pending)).await,
        [third.id, second.id]
    );
    assert_eq!(ids(of_status(WorkOrderStatus::Claimed)).await, [first.id]);
    assert!(ids(of_status(WorkOrderStatus::Completed)).await.is_empty());
    let builds = ListWorkOrders {
        work_type: Some("build".to_owned()),
        ..ListWorkOrders::default()
    };
    assert_eq!(ids(builds).await, [second.id]);
}

#[rstest]
#[tokio::test]
async fn an_ended_order_is_shown_from_the_log(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .metadata("a", "b")
        .create()
        .await;
    let claim = agent.claim(&order).await.unwrap();
    agent.succeed(&claim).await.unwrap();

    let shown = broker.admin().work_order(order.id).await.unwrap();
    assert_eq!(shown.status, WorkOrderStatus::Completed);
    assert_eq!((shown.claimed_by, shown.attempt), (Some(agent.id), 1));
    assert_eq!(
        (shown.yaml_content, shown.metadata),
        (order.yaml_content, order.metadata)
    );
    assert!(nothing_is_queued(&broker).await);
}

#[rstest]
#[tokio::test]
async fn an_order_that_never_was_is_not_found(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let path = format!("{ORDERS}/{}", Uuid::from_u128(1));
    let pak = broker.admin_pak();
    assert_eq!(
        refusal(&get(&broker, pak, &path).await),
        refused(404, "work_order_not_found")
    );
    assert_eq!(
        refusal(&delete(&broker, pak, &path).await),
        refused(404, "work_order_not_found")
    );
    for sub in ["cancel", "retry", "complete"] {
        let answer = post(&broker, pak, &format!("{path}/{sub}"), json!({"success": true})).await;
        assert!(matches!(answer.status, 404 | 422), "{sub}: {}", answer.status);
    }
    for sub in ["targeting", "attempts", "output"] {
        let answer = get(&broker, pak, &format!("{path}/{sub}")).await;
        assert_eq!(refusal(&answer), refused(404, "work_order_not_found"), "{sub}");
    }
    assert_eq!(
        refusal(&get(&broker, pak, &format!("{ORDERS}/nonsense")).await),
        refused(400, "invalid_id")
    );
}

#[rstest]
#[tokio::test]
async fn an_order_can_be_removed_in_any_state_of_the_queue_but_not_from_the_log(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let waiting = broker.work_order().for_agent(&agent).create().await;
    let scheduled = broker
        .work_order()
        .for_agent(&agent)
        .run_at(broker.now().plus_seconds(9))
        .create()
        .await;
    let claimed = broker.work_order().for_agent(&agent).create().await;
    let retried = broker.work_order().for_agent(&agent).create().await;
    let ended = broker.work_order().for_agent(&agent).create().await;
    let held = agent.claim(&claimed).await.unwrap();
    let failed = agent.claim(&retried).await.unwrap();
    agent.fail(&failed, FailureClass::Infrastructure).await.unwrap();
    let done = agent.claim(&ended).await.unwrap();
    agent.succeed(&done).await.unwrap();

    for order in [&waiting, &scheduled, &claimed, &retried] {
        broker.admin().delete_work_order(order.id).await.unwrap();
        assert_eq!(
            code(broker.admin().work_order(order.id).await),
            "work_order_not_found"
        );
    }
    assert_eq!(
        code(broker.admin().delete_work_order(ended.id).await),
        "work_order_not_found"
    );
    assert_eq!(code(agent.succeed(&held).await), "work_order_not_found");
    let renewals = agent.renew(&[&held]).await.unwrap();
    assert_eq!(renewals.lost[0].code, "work_order_not_found");
}

#[rstest]
#[tokio::test]
async fn pending_orders_are_listed_oldest_first_and_only_while_they_wait(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let low = broker.work_order().for_agent(&agent).priority(-5).create().await;
    let high = broker
        .work_order()
        .for_agent(&agent)
        .priority(5)
        .work_type("build")
        .create()
        .await;
    broker
        .work_order()
        .for_agent(&agent)
        .run_at(broker.now().plus_seconds(60))
        .create()
        .await;
    let taken = broker.work_order().for_agent(&agent).create().await;
    agent.claim(&taken).await.unwrap();

    let pending = async |query: ListPending| -> Vec<Uuid> {
        agent
            .client
            .pending_work_orders(agent.id, &query)
            .await
            .unwrap()
            .items
            .iter()
            .map(|order| order.id)
            .collect()
    };
    assert_eq!(pending(ListPending::default()).await, [low.id, high.id]);
    let builds = ListPending {
        work_type: Some("build".to_owned()),
        ..ListPending::default()
    };
    assert_eq!(pending(builds).await, [high.id]);
    let nobody = broker
        .admin()
        .pending_work_orders(Uuid::from_u128(1), &ListPending::default())
        .await
        .unwrap();
    assert!(nobody.items.is_empty());
}

#[rstest]
#[tokio::test]
async fn an_agent_that_is_not_active_sees_nothing_and_claims_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.inactive_agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    let pending = agent
        .client
        .pending_work_orders(agent.id, &ListPending::default())
        .await
        .unwrap();
    assert!(pending.items.is_empty());
    assert_eq!(code(agent.claim(&order).await), "work_order_not_claimable");
    assert!(agent.claim_next(1).await.unwrap().is_empty());
    assert_eq!(
        code(broker.admin().claim_work_order(order.id, agent.id).await),
        "work_order_not_claimable"
    );

    let active = UpdateAgent {
        status: Some("ACTIVE".to_owned()),
        ..UpdateAgent::default()
    };
    broker.admin().update_agent(agent.id, &active).await.unwrap();
    agent.claim(&order).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn an_ended_order_can_be_repeated_and_the_new_one_names_the_old_one(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .max_retries(0)
        .priority(7)
        .metadata("a", "b")
        .create()
        .await;
    assert_eq!(
        code(broker.admin().retry_work_order(order.id).await),
        "work_order_not_ended"
    );
    let claim = agent.claim(&order).await.unwrap();
    agent.fail(&claim, FailureClass::Work).await.unwrap();

    let again = broker.admin().retry_work_order(order.id).await.unwrap();
    assert_eq!(
        (again.retry_of, again.status),
        (Some(order.id), WorkOrderStatus::Pending)
    );
    assert_eq!((again.attempt, again.retry_count, again.priority), (0, 0, 7));
    assert_eq!(
        (again.targeting, again.metadata),
        (order.targeting, order.metadata)
    );
    let claimed = agent.claim_next(1).await.unwrap();
    let entry = agent.succeed(&claimed[0].work_order).await.unwrap();
    assert_eq!(entry.retry_of, Some(order.id));
}

#[rstest]
#[tokio::test]
async fn only_an_administrator_submits_and_a_viewer_reads_everything(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, generator, viewer) = (
        broker.agent().await,
        broker.generator().await,
        broker.viewer().await,
    );
    let order = broker.work_order().for_agent(&agent).create().await;
    let submit = async |client| {
        code(
            broker
                .work_order()
                .for_agent(&agent)
                .by(client)
                .try_create()
                .await,
        )
    };

    assert_eq!(submit(&agent.client).await, "admin_required");
    assert_eq!(submit(&generator.client).await, "admin_required");
    assert_eq!(submit(&viewer.client).await, "read_only");
    assert_eq!(submit(&broker.nobody()).await, "missing_credentials");
    assert_eq!(viewer.client.work_order(order.id).await.unwrap(), order);
    // Who may not look does not learn what there is.
    assert_eq!(code(agent.client.work_order(order.id).await), "admin_required");
    assert_eq!(
        code(agent.client.work_order(Uuid::from_u128(1)).await),
        "admin_required"
    );
}

#[rstest]
#[tokio::test]
async fn an_agent_claims_only_for_itself_and_an_administrator_for_any(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (own, other) = (broker.agent().await, broker.agent().await);
    let order = broker.work_order().for_agents([&own, &other]).create().await;
    assert_eq!(
        code(other.client.claim_work_order(order.id, own.id).await),
        "agent_pak_mismatch"
    );
    let query = ListPending::default();
    assert_eq!(
        code(other.client.pending_work_orders(own.id, &query).await),
        "agent_pak_mismatch"
    );
    let claimed = broker.admin().claim_work_order(order.id, own.id).await.unwrap();
    assert_eq!(claimed.claimed_by, Some(own.id));
}

#[rstest]
#[tokio::test]
async fn an_order_for_an_agent_that_is_gone_cannot_be_repeated(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, gone) = (broker.agent().await, broker.agent().await);
    let order = broker.work_order().for_agents([&agent, &gone]).create().await;
    let claim = agent.claim(&order).await.unwrap();
    agent.succeed(&claim).await.unwrap();
    broker.admin().delete_agent(gone.id).await.unwrap();
    let path = format!("{ORDERS}/{}/retry", order.id);
    let answer = post(&broker, broker.admin_pak(), &path, json!({})).await;
    assert_eq!(refusal(&answer), refused(422, "foreign_key_violation"));
    assert!(nothing_is_queued(&broker).await);
}
