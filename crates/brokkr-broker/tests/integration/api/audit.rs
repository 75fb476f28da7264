//! What is noted of the acts on work orders.

use brokkr_api::{Cancel, FailureClass, SetTargeting, WorkOrder};
use brokkr_broker::dal::audit::{self, AuditEntry};
use brokkr_testkit::{Answer, Backend, LEASE, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::endings::claimed;

/// The facts about an order, the oldest first.
async fn facts(broker: &TestBroker, order: &WorkOrder) -> Vec<AuditEntry> {
    let mut tx = broker.db().read().await.unwrap();
    let subject = format!("work_order:{}", order.id);
    let mut facts = audit::list(&mut tx, Some(&subject), None, 100).await.unwrap();
    facts.reverse();
    facts
}

async fn acts(broker: &TestBroker, order: &WorkOrder) -> Vec<(String, String)> {
    facts(broker, order)
        .await
        .into_iter()
        .map(|fact| (fact.actor, fact.action))
        .collect()
}

#[rstest]
#[tokio::test]
async fn every_act_on_an_order_is_noted_with_who_did_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, client) = (broker.agent().await, broker.admin());
    let order = broker.work_order().label("nobody").max_retries(1).create().await;
    let to_agent = SetTargeting {
        agent_ids: Some(vec![agent.id]),
        ..SetTargeting::default()
    };
    client.set_targeting(order.id, &to_agent).await.unwrap();
    let claim = agent.claim_one().await;
    agent.release(&claim).await.unwrap();
    agent.claim_next(1).await.unwrap();
    broker.advance(LEASE).await;
    let claim = agent.claim_one().await;
    client
        .cancel_work_order(order.id, &Cancel::default())
        .await
        .unwrap();
    client
        .cancel_work_order(order.id, &Cancel::default())
        .await
        .unwrap();
    agent.fail(&claim, FailureClass::Cancelled).await.unwrap();
    let again = client.retry_work_order(order.id).await.unwrap();
    client.delete_work_order(again.id).await.unwrap();

    let (admin, agent, broker_itself) = (
        order.submitted_by.as_str(),
        format!("agent:{}", agent.id),
        "broker",
    );
    let expected = [
        (admin, "work_order.create"),
        (admin, "work_order.target"),
        (&agent, "work_order.release"),
        (broker_itself, "work_order.take_back"),
        (admin, "work_order.cancel"),
        (&agent, "work_order.complete"),
    ];
    assert_eq!(
        acts(&broker, &order).await,
        expected.map(|(actor, act)| (actor.to_owned(), act.to_owned()))
    );
    let expected = [(admin, "work_order.create"), (admin, "work_order.delete")];
    assert_eq!(
        acts(&broker, &again).await,
        expected.map(|(actor, act)| (actor.to_owned(), act.to_owned()))
    );
    let created: Value = serde_json::from_str(&facts(&broker, &again).await[0].details).unwrap();
    assert_eq!(created["retry_of"], json!(order.id));
}

#[rstest]
#[tokio::test]
async fn an_act_is_noted_with_its_request_and_without_what_it_carried(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let path = format!("/api/v1/work-orders/{}/complete", claim.id);
    let request = broker
        .http(Method::POST, &path)
        .bearer_auth(agent.pak.expose())
        .header("X-Request-Id", "req-7");
    let body = json!({"success": true, "message": "the secret is in here", "result": {"token": "and here"}});
    assert_eq!(Answer::of(request.json(&body)).await.status, 200);

    let facts = facts(&broker, &claim).await;
    let last = facts.last().unwrap();
    assert_eq!(
        (last.action.as_str(), last.request_id.as_deref()),
        ("work_order.complete", Some("req-7"))
    );
    assert_eq!(last.at, broker.now());
    for fact in &facts {
        assert!(
            !fact.details.contains("here") && !fact.details.contains("hello"),
            "{fact:?}"
        );
    }
}

#[rstest]
#[tokio::test]
async fn an_act_that_was_refused_is_not_noted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let claim = claimed(&broker, &agent).await;
    let before = facts(&broker, &claim).await;
    let stale = WorkOrder {
        attempt: 9,
        ..claim.clone()
    };
    other.succeed(&claim).await.unwrap_err();
    agent.succeed(&stale).await.unwrap_err();
    agent.release(&stale).await.unwrap_err();
    agent.client.delete_work_order(claim.id).await.unwrap_err();
    broker.admin().retry_work_order(claim.id).await.unwrap_err();
    assert_eq!(facts(&broker, &claim).await, before);
    agent.succeed(&claim).await.unwrap();
    agent.succeed(&claim).await.unwrap();
    assert_eq!(
        facts(&broker, &claim).await.len(),
        before.len() + 1,
        "the same report again is no act"
    );
}
