//! What lists of orders are narrowed to.

use std::time::Duration;

use brokkr_api::{FailureClass, WorkOrder};
use brokkr_broker::config::Limits;
use brokkr_testkit::{Answer, Backend, TestAgent, TestBroker};
use rstest::rstest;
use uuid::Uuid;

use super::call::{get, refusal, refused};

async fn listed(broker: &TestBroker, path: &str) -> Vec<Uuid> {
    let answer = get(broker, broker.admin_pak(), path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    let rows = answer.json();
    let ids = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap());
    ids.map(|id| id.parse().unwrap()).collect()
}

/// Three orders: of the agent, with the label `gpu` and metadata, and of a generator.
async fn orders(broker: &TestBroker, agent: &TestAgent) -> [WorkOrder; 3] {
    let of_agent = broker.work_order().for_agent(agent).label("own").create().await;
    let mut request = broker
        .work_order()
        .label("gpu")
        .yaml("name: Nightly 100%")
        .request();
    request.metadata = Some([("team".to_owned(), "Finance".to_owned())].into());
    let labelled = broker.admin().create_work_order(&request, None).await.unwrap();
    let other = broker.work_order().label("other").create().await;
    [of_agent, labelled.work_order, other]
}

#[rstest]
#[tokio::test]
async fn the_queue_is_narrowed_by_agent_label_caller_and_text(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let [one, two, three] = orders(&broker, &agent).await;
    agent.claim(&one).await.unwrap();
    let by = one.submitted_by.clone();
    for (query, expected) in [
        (format!("agent_id={}", agent.id), vec![one.id]),
        (format!("agent_id={}", Uuid::from_u128(7)), vec![]),
        ("label=gpu".to_owned(), vec![two.id]),
        ("label=gp".to_owned(), vec![]),
        (format!("submitted_by={by}"), vec![three.id, two.id, one.id]),
        ("submitted_by=admin:nobody".to_owned(), vec![]),
        ("text=nightly%20100%25".to_owned(), vec![two.id]),
        ("text=nightly_100".to_owned(), vec![]),
        ("text=finance".to_owned(), vec![two.id]),
        (format!("text={}", three.id), vec![three.id]),
        ("label=own&status=CLAIMED".to_owned(), vec![one.id]),
        ("label=own&status=PENDING".to_owned(), vec![]),
        (
            format!("label=own&agent_id={}&status=CLAIMED", agent.id),
            vec![one.id],
        ),
    ] {
        let found = listed(&broker, &format!("/api/v1/work-orders?{query}")).await;
        assert_eq!(found, expected, "{query}");
    }
}

#[rstest]
#[tokio::test]
async fn the_log_is_narrowed_by_ending_label_caller_and_text(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let [one, two, three] = orders(&broker, &agent).await;
    let claim = agent.claim(&one).await.unwrap();
    agent.fail(&claim, FailureClass::Work).await.unwrap();
    for order in [&two, &three] {
        broker.advance(Duration::from_secs(1)).await;
        broker
            .admin()
            .cancel_work_order(order.id, &Default::default())
            .await
            .unwrap();
    }
    for (query, expected) in [
        ("ending=failed".to_owned(), vec![one.id]),
        ("ending=cancelled".to_owned(), vec![three.id, two.id]),
        ("ending=succeeded".to_owned(), vec![]),
        ("ending=cancelled&label=gpu".to_owned(), vec![two.id]),
        ("success=true&ending=failed".to_owned(), vec![]),
        ("label=own".to_owned(), vec![one.id]),
        (format!("label=own&agent_id={}", agent.id), vec![one.id]),
        (
            format!("submitted_by={}", one.submitted_by),
            vec![three.id, two.id, one.id],
        ),
        ("text=NIGHTLY".to_owned(), vec![two.id]),
        (format!("text={}&success=false", one.id), vec![one.id]),
        ("work_type=command&text=finance".to_owned(), vec![two.id]),
    ] {
        let found = listed(&broker, &format!("/api/v1/work-order-log?{query}")).await;
        assert_eq!(found, expected, "{query}");
    }
}

#[rstest]
#[tokio::test]
async fn pages_of_what_was_found_keep_the_filter(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let mut wanted = Vec::new();
    for label in ["gpu", "other", "gpu", "other", "gpu"] {
        let order = broker.work_order().label(label).create().await;
        if label == "gpu" {
            wanted.push(order.id);
        }
    }
    wanted.reverse();
    for list in ["/api/v1/work-orders", "/api/v1/work-order-log"] {
        let mut found = Vec::new();
        let mut next = format!("{list}?label=gpu&limit=1");
        while !next.is_empty() {
            let answer = get(&broker, broker.admin_pak(), &next).await;
            let page: Vec<Uuid> = serde_json::from_value::<Vec<serde_json::Value>>(answer.json())
                .unwrap()
                .iter()
                .map(|row| row["id"].as_str().unwrap().parse().unwrap())
                .collect();
            assert!(page.len() <= 1);
            found.extend(page);
            next = next_of(&answer);
        }
        assert_eq!(found, wanted, "{list}");
        for id in &wanted {
            let cancelled = broker.admin().cancel_work_order(*id, &Default::default()).await;
            // The latest ending comes first.
            broker.advance(Duration::from_secs(1)).await;
            drop(cancelled);
        }
        wanted.reverse();
    }
}

/// What each page of a list has, as its links lead on.
async fn pages(broker: &TestBroker, path: &str) -> Vec<Vec<Uuid>> {
    let (mut pages, mut next) = (Vec::new(), path.to_owned());
    while !next.is_empty() {
        pages.push(listed(broker, &next).await);
        next = next_of(&get(broker, broker.admin_pak(), &next).await);
    }
    pages
}

#[rstest]
#[tokio::test]
async fn a_search_looks_at_no_more_orders_than_it_may_and_its_link_leads_behind_them(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let limits = Limits {
        search_rows_max: 2,
        ..Limits::default()
    };
    let broker = TestBroker::start_with(backend, limits).await;
    let mut orders = Vec::new();
    for label in ["gpu", "other", "other", "other", "other"] {
        orders.push(broker.work_order().label(label).create().await.id);
    }
    let found = pages(&broker, "/api/v1/work-orders?label=gpu").await;
    assert_eq!(found, [vec![], vec![], vec![orders[0]]]);

    for order in &orders {
        broker
            .admin()
            .cancel_work_order(*order, &Default::default())
            .await
            .unwrap();
        broker.advance(Duration::from_secs(1)).await;
    }
    let found = pages(&broker, "/api/v1/work-order-log?label=gpu").await;
    assert_eq!(found, [vec![], vec![], vec![orders[0]]]);
}

fn next_of(answer: &Answer) -> String {
    let link = answer.header("link");
    link.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

#[rstest]
#[tokio::test]
async fn what_nobody_can_look_for_is_refused(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let long = "x".repeat(201);
    for list in ["/api/v1/work-orders", "/api/v1/work-order-log"] {
        for (query, code) in [
            ("label=two%20words", "invalid_label"),
            ("text=", "invalid_query"),
            ("text=%00", "invalid_query"),
            (&*format!("text={long}"), "invalid_query"),
            ("submitted_by=", "invalid_query"),
            ("agent_id=runner", "invalid_query"),
        ] {
            let answer = get(&broker, broker.admin_pak(), &format!("{list}?{query}")).await;
            assert_eq!(refusal(&answer), refused(400, code), "{list}?{query}");
        }
    }
}
