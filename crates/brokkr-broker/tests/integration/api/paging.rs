//! Lists in pages.

use std::time::Duration;

use brokkr_api::{BatchCreate, Cancel, ListLog, ListPending, ListWorkOrders};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::Value;
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

/// Follows the links of a list as the header gives them, and answers the ids of each page.
async fn pages(broker: &TestBroker, first: &str) -> Vec<Vec<String>> {
    let (mut pages, mut path) = (Vec::new(), first.to_owned());
    loop {
        let page = get(broker, broker.admin_pak(), &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let rows = page.json().as_array().expect("the body stays an array").clone();
        let name = |row: &Value| {
            row["id"]
                .as_str()
                .map_or_else(|| row["attempt"].to_string(), str::to_owned)
        };
        pages.push(rows.iter().map(name).collect());
        if page.header("link").is_empty() {
            return pages;
        }
        let link = page
            .header("link")
            .strip_prefix('<')
            .and_then(|link| link.strip_suffix(">; rel=\"next\""));
        path = link
            .expect("the link is written as clients of the contract read it")
            .to_owned();
    }
}

#[rstest]
#[tokio::test]
async fn every_list_goes_on_where_its_link_says_with_the_same_filters(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let mut waiting = Vec::new();
    for work_type in ["build", "command", "build", "command", "build"] {
        let ended = broker
            .work_order()
            .for_agent(&agent)
            .work_type(work_type)
            .create()
            .await;
        let claim = agent.claim(&ended).await.unwrap();
        agent.succeed(&claim).await.unwrap();
        waiting.push(
            broker
                .work_order()
                .for_agent(&agent)
                .work_type(work_type)
                .create()
                .await,
        );
    }
    let often = &waiting[0];
    for _ in 0..2 {
        let claim = agent.claim(often).await.unwrap();
        agent.release(&claim).await.unwrap();
    }
    agent.claim(often).await.unwrap();

    for (path, rows) in [
        ("/api/v1/work-orders?limit=2".to_owned(), vec![2, 2, 1]),
        (
            "/api/v1/work-orders?work_type=build&limit=2".to_owned(),
            vec![2, 1],
        ),
        (
            "/api/v1/work-orders?status=PENDING&limit=2&work_type=build".to_owned(),
            vec![2],
        ),
        (
            format!("/api/v1/agents/{}/work-orders/pending?limit=3", agent.id),
            vec![3, 1],
        ),
        (
            format!(
                "/api/v1/agents/{}/work-orders/pending?limit=1&work_type=command",
                agent.id
            ),
            vec![1, 1],
        ),
        ("/api/v1/work-order-log?limit=2".to_owned(), vec![2, 2, 1]),
        (
            format!(
                "/api/v1/work-order-log?success=true&agent_id={}&work_type=build&limit=1",
                agent.id
            ),
            vec![1, 1, 1],
        ),
        (
            format!("/api/v1/work-orders/{}/attempts?limit=2", often.id),
            vec![2, 1],
        ),
    ] {
        let found = pages(&broker, &path).await;
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), rows, "{path}");
        let all: Vec<_> = found.concat();
        let whole = pages(&broker, &path.replace("limit=", "limit=10")).await;
        assert_eq!([all], *whole, "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_page_has_500_rows_unless_another_number_up_to_a_thousand_is_asked_for(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let order = broker.work_order().label("any").request();
    for orders in [1_000, 1] {
        let batch = BatchCreate {
            work_orders: vec![order.clone(); orders],
        };
        broker.admin().create_work_orders(&batch, None).await.unwrap();
    }
    let rows = async |query: &str| {
        let found = pages(&broker, &format!("/api/v1/work-orders{query}")).await;
        found.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(rows("").await, [500, 500, 1]);
    assert_eq!(rows("?limit=1000").await, [1_000, 1]);
}

#[rstest]
#[tokio::test]
async fn what_ends_or_comes_between_two_pages_moves_no_other_row(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let mut orders = Vec::new();
    for _ in 0..6 {
        orders.push(broker.work_order().label("any").create().await.id);
    }
    orders.reverse();
    let query = |cursor| ListWorkOrders {
        limit: Some(2),
        cursor,
        ..ListWorkOrders::default()
    };
    let first = broker.admin().work_orders(&query(None)).await.unwrap();
    // The row that the cursor stands on, one of the next page, and a new one.
    for gone in [orders[1], orders[2]] {
        broker
            .admin()
            .cancel_work_order(gone, &Cancel::default())
            .await
            .unwrap();
    }
    broker.work_order().label("any").create().await;
    let second = broker.admin().work_orders(&query(first.next)).await.unwrap();
    let ids: Vec<_> = second.items.iter().map(|order| order.id).collect();
    assert_eq!(ids, orders[3..5]);
}

#[rstest]
#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for _ in 0..2 {
        let order = broker.work_order().for_agent(&agent).create().await;
        let claim = agent.claim(&order).await.unwrap();
        agent.succeed(&claim).await.unwrap();
        broker.work_order().for_agent(&agent).create().await;
    }
    let log = ListLog {
        limit: Some(1),
        ..ListLog::default()
    };
    let log = broker.admin().work_order_log(&log).await.unwrap().next.unwrap();
    let queue = ListWorkOrders {
        limit: Some(1),
        ..ListWorkOrders::default()
    };
    let queue = broker.admin().work_orders(&queue).await.unwrap().next.unwrap();
    for (list, cursor) in [("work-orders", &log), ("work-order-log", &queue)] {
        let answer = get(
            &broker,
            broker.admin_pak(),
            &format!("/api/v1/{list}?cursor={cursor}"),
        )
        .await;
        assert_eq!(refusal(&answer), refused(400, "invalid_cursor"), "{list}");
    }
}
