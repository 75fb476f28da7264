//! Work orders: submitting, showing, sending elsewhere, removing and repeating them, and who may.

mod batches;

use std::time::Duration;

use brokkr_api::{
    Delivery, FailureClass, ListPending, ListWorkOrders, SetTargeting, UpdateAgent, WorkOrderStatus,
};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{delete, get, post, put, refusal, refused};
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
