//! What agents are told that list what they could claim, and all want the first.

use brokkr_api::{BatchCreate, PakText};
use brokkr_testkit::{Backend, TestAgent, TestBroker};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::call::{get, post};

/// More than a page, for two agents.
const MANY: usize = 110;
const FEW: usize = 3;

async fn two_agents_and(broker: &TestBroker, orders: usize) -> (TestAgent, TestAgent) {
    let (one, other) = (broker.agent().await, broker.agent().await);
    let order = broker.work_order().for_agents([&one, &other]).request();
    let work_orders = vec![order; orders];
    broker
        .admin()
        .create_work_orders(&BatchCreate { work_orders }, None)
        .await
        .unwrap();
    (one, other)
}

fn list_of(agent: &TestAgent) -> String {
    format!("/api/v1/agents/{}/work-orders/pending", agent.id)
}

async fn told(broker: &TestBroker, pak: &PakText, list: &str) -> Vec<Uuid> {
    let answer = get(broker, pak, list).await.json();
    let ids = answer.as_array().unwrap().iter();
    ids.map(|order| order["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[rstest]
#[tokio::test]
async fn agents_that_ask_at_the_same_time_are_told_different_orders_first_while_more_than_a_page_waits(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (one, other) = two_agents_and(&broker, MANY).await;
    let all = told(
        &broker,
        broker.admin_pak(),
        &format!("{}?limit={MANY}", list_of(&one)),
    )
    .await;
    assert_eq!(all.len(), MANY);

    let first = told(&broker, &one.pak, &list_of(&one)).await;
    let second = told(&broker, &other.pak, &list_of(&other)).await;

    assert_eq!(first, all[..100]);
    assert_eq!(second, all[1..101]);
    assert_eq!(told(&broker, &one.pak, &list_of(&one)).await[0], all[0]);
    // Who says how much to tell, and who only looks, is told everything.
    let whole = format!("{}?limit=100", list_of(&other));
    assert_eq!(told(&broker, &other.pak, &whole).await, all[..100]);
    assert_eq!(
        told(&broker, broker.admin_pak(), &list_of(&other)).await,
        all[..100]
    );

    let claim = format!("/api/v1/work-orders/{}/claim", all[0]);
    let claimed = post(&broker, &other.pak, &claim, json!({"agent_id": other.id})).await;
    assert_eq!(
        claimed.status, 200,
        "what another agent was told first is still for all"
    );
}

#[rstest]
#[tokio::test]
async fn agents_are_told_the_same_while_a_page_holds_all_that_waits(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (one, other) = two_agents_and(&broker, FEW).await;

    let first = told(&broker, &one.pak, &list_of(&one)).await;
    let second = told(&broker, &other.pak, &list_of(&other)).await;

    assert_eq!(first.len(), FEW);
    assert_eq!(first, second);
}
