//! Lists in pages.

use std::time::Duration;

use brokkr_api::{ListLog, ListPending, ListWorkOrders};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use uuid::Uuid;

use super::call::{get, refusal, refused};

const ORDERS: u128 = 5;

#[rstest]
#[tokio::test]
async fn a_list_in_pages_has_everything_once_and_in_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let mut created = Vec::new();
    for _ in 0..ORDERS {
        created.push(broker.work_order().for_agent(&agent).create().await.id);
    }
    let (mut queue, mut query) = (
        Vec::new(),
        ListWorkOrders {
            limit: Some(2),
            ..ListWorkOrders::default()
        },
    );
    loop {
        let page = broker.admin().work_orders(&query).await.unwrap();
        assert!(page.items.len() <= 2);
        queue.extend(page.items.iter().map(|order| order.id));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
        // What comes in meanwhile is newer than any page that is still to come.
        broker.work_order().label("other").create().await;
    }
    let (mut pending, mut query) = (
        Vec::new(),
        ListPending {
            limit: Some(5),
            ..ListPending::default()
        },
    );
    loop {
        let page = agent.client.pending_work_orders(agent.id, &query).await.unwrap();
        pending.extend(page.items.iter().map(|order| order.id));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(pending, created);
    created.reverse();
    assert_eq!(queue, created);
}

#[rstest]
#[tokio::test]
async fn log_entries_of_one_moment_are_told_apart_at_the_edge_of_a_page(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let mut ended = Vec::new();
    for second in [0, 0, 0, 1, 0] {
        broker.advance(Duration::from_secs(second)).await;
        let order = broker.work_order().for_agent(&agent).create().await;
        let claim = agent.claim(&order).await.unwrap();
        agent.succeed(&claim).await.unwrap();
        ended.push(order.id);
    }
    ended.reverse();
    for agent_id in [None, Some(agent.id)] {
        let mut query = ListLog {
            limit: Some(1),
            agent_id,
            ..ListLog::default()
        };
        let mut listed: Vec<Uuid> = Vec::new();
        loop {
            let page = broker.admin().work_order_log(&query).await.unwrap();
            listed.extend(page.items.iter().map(|entry| entry.id));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(listed, ended);
    }
}

#[tokio::test]
async fn a_page_that_makes_no_sense_is_refused() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    for list in ["/api/v1/work-orders", "/api/v1/work-order-log"] {
        for (query, code) in [
            ("limit=0", "invalid_limit"),
            ("limit=1001", "invalid_limit"),
            ("limit=-1", "invalid_limit"),
            ("limit=x", "invalid_query"),
            ("cursor=nonsense", "invalid_cursor"),
            ("cursor=", "invalid_cursor"),
        ] {
            let answer = get(&broker, broker.admin_pak(), &format!("{list}?{query}")).await;
            assert_eq!(refusal(&answer), refused(400, code), "{list}?{query}");
        }
    }
}
