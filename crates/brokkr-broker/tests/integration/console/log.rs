//! The log on pages, and as files.

use std::time::Duration;

use brokkr_api::{Cancel, FailureClass, Time};
use brokkr_broker::config::Limits;
use brokkr_testkit::{Backend, TestAgent, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::Value;

use super::{HOSTILE, Visitor, encoded};

/// More than the broker reads at a time for a file.
const MANY: usize = 120;
const FORMULA: &str = "=HYPERLINK(\"http://evil.example\",\"ok\")";

/// The text of an order that is waiting, cancelled with a reason.
async fn cancelled(broker: &TestBroker, reason: &str) -> String {
    let order = broker.work_order().label("gpu").create().await.id;
    let cancel = Cancel {
        reason: Some(reason.to_owned()),
    };
    broker.admin().cancel_work_order(order, &cancel).await.unwrap();
    order.to_string()
}

async fn failed(broker: &TestBroker, agent: &TestAgent) -> String {
    broker.work_order().for_agent(agent).create().await;
    let claim = agent.claim_next(1).await.unwrap().remove(0).work_order;
    agent.fail(&claim, FailureClass::Work).await.unwrap();
    claim.id.to_string()
}

async fn succeeded(broker: &TestBroker, agent: &TestAgent) -> String {
    broker.work_order().for_agent(agent).create().await;
    let claim = agent.claim_next(1).await.unwrap().remove(0).work_order;
    agent.succeed(&claim).await.unwrap();
    claim.id.to_string()
}

fn time(broker: &TestBroker) -> String {
    encoded(&Time::from_micros(broker.now().as_micros()).to_string())
}

/// The page after this one.
fn next(page: &str) -> Option<String> {
    let (before, _) = page.split_once("\" rel=\"next\"")?;
    Some(before.rsplit('"').next()?.replace("&#38;", "&"))
}

/// The rows of a file of comma-separated values, by their columns.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| row.iter().map(str::to_owned).collect()).collect()
}

#[rstest]
#[tokio::test]
async fn the_log_is_narrowed_by_agent_ending_type_and_time(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let first = failed(&broker, &agent).await;
    broker.advance(Duration::from_secs(60)).await;
    let middle = time(&broker);
    let second = succeeded(&broker, &other).await;
    let third = cancelled(&broker, "not needed").await;
    broker.advance(Duration::from_secs(60)).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;

    let ids = [&first, &second, &third];
    for (query, expected) in [
        (String::new(), [true, true, true]),
        ("ending=failed".to_owned(), [true, false, false]),
        ("ending=SUCCEEDED".to_owned(), [false, true, false]),
        ("ending=cancelled".to_owned(), [false, false, true]),
        ("ending=expired".to_owned(), [false, false, false]),
        (format!("agent={}", agent.id), [true, false, false]),
        (format!("agent={}&ending=failed", other.id), [false, false, false]),
        (format!("since={middle}"), [false, true, true]),
        (format!("until={middle}"), [true, false, false]),
        (format!("since={middle}&until={middle}"), [false, false, false]),
        ("type=other".to_owned(), [false, false, false]),
        ("lost_attempt=true".to_owned(), [false, false, false]),
        ("lost_attempt=false".to_owned(), [true, true, true]),
        ("by=nobody".to_owned(), [false, false, false]),
    ] {
        for page in ["/log", "/log/export.csv", "/log/export.jsonl"] {
            let answer = admin.get(&format!("{page}?{query}")).await;
            assert_eq!(answer.status, 200, "{page}?{query}");
            let found = ids.map(|id| answer.text.contains(id.as_str()));
            assert_eq!(found, expected, "{page}?{query}");
        }
    }
    let all = admin.get("/log").await.text;
    assert!(all.contains("not needed") && all.contains("work"));
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_understood_is_said_and_nothing_is_listed(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let order = cancelled(&broker, "no").await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    for field in ["since", "until", "ending", "agent", "lost_attempt", "after"] {
        let query = format!("{field}={}", encoded(HOSTILE));
        for page in ["/log", "/log/export.csv", "/log/export.jsonl"] {
            let answer = admin.get(&format!("{page}?{query}")).await;
            assert_eq!(answer.status, 400, "{page}: {field}");
            assert!(answer.text.contains("role=\"alert\""), "{page}: {field}");
            assert!(!answer.text.contains("<script>alert") && !answer.text.contains(&order));
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_long_log_is_paged_and_exported_whole(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let mut orders = Vec::new();
    for _ in 0..MANY {
        orders.push(cancelled(&broker, "no").await);
    }
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let first = admin.get("/log?ending=cancelled").await.text;
    let second = admin.get(&next(&first).unwrap()).await.text;
    for order in &orders {
        let link = format!("/orders/{order}\"");
        assert!(
            first.contains(&link) != second.contains(&link),
            "{order} is on one page"
        );
    }

    let csv = rows(&admin.get("/log/export.csv").await.text);
    let ids: Vec<&str> = csv.iter().map(|row| row[0].as_str()).collect();
    let lines = admin.get("/log/export.jsonl").await.text;
    let in_lines: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(ids, in_lines);
    orders.sort_unstable();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, orders, "each order is there once");
}

#[rstest]
#[tokio::test]
async fn a_search_for_a_rare_ending_goes_on_page_by_page_and_not_beyond_its_time(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let limits = Limits {
        search_rows_max: 2,
        ..Limits::default()
    };
    let broker = TestBroker::start_with(backend, limits).await;
    let agent = broker.agent().await;
    let rare = cancelled(&broker, "no").await;
    broker.advance(Duration::from_secs(60)).await;
    let middle = time(&broker);
    for _ in 0..3 {
        broker.advance(Duration::from_secs(1)).await;
        failed(&broker, &agent).await;
    }
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;

    let first = admin.get("/log?ending=cancelled").await.text;
    assert!(first.contains("none among those that were looked at"), "{first}");
    let second = admin.get(&next(&first).unwrap()).await.text;
    assert!(second.contains(&rare), "{second}");
    let exported = admin.get("/log/export.csv?ending=cancelled").await.text;
    assert!(exported.contains(&rare), "{exported}");

    let first = admin
        .get(&format!("/log?ending=cancelled&since={middle}"))
        .await
        .text;
    let second = admin.get(&next(&first).unwrap()).await.text;
    assert!(
        second.contains("There are none.") && next(&second).is_none(),
        "{second}"
    );
}

#[rstest]
#[tokio::test]
async fn a_file_that_is_still_read_after_its_session_does_not_seem_whole(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let yaml = format!("a: {}", "b".repeat(400_000));
    // More than the broker reads at a time, and more than a connection holds.
    for _ in 0..60 {
        let order = broker.work_order().label("gpu").yaml(&yaml).create().await.id;
        broker
            .admin()
            .cancel_work_order(order, &Cancel::default())
            .await
            .unwrap();
    }
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let mut file = admin
        .request(Method::GET, "/log/export.jsonl")
        .send()
        .await
        .unwrap();
    assert!(file.chunk().await.unwrap().is_some(), "it begins");
    assert_eq!(admin.act("/sign-out", "").await.status, 303);
    let ended = loop {
        match file.chunk().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "the connection breaks");
}

#[rstest]
#[tokio::test]
async fn texts_of_strangers_are_data_in_every_file(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let awkward = format!("\tone, \"two\"\r\n=three;{HOSTILE}");
    cancelled(&broker, FORMULA).await;
    cancelled(&broker, &awkward).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;

    let csv = admin.get("/log/export.csv").await;
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"work-order-log.csv\""
    );
    assert_eq!(csv.header("x-content-type-options"), "nosniff");
    assert!(csv.text.starts_with("id,work_type,ending,") && csv.text.ends_with("\r\n"));
    let messages: Vec<String> = rows(&csv.text).into_iter().map(|row| row[5].clone()).collect();
    assert_eq!(messages, [format!("'{awkward}"), format!("'{FORMULA}")]);

    let lines = admin.get("/log/export.jsonl").await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let messages: Vec<Value> = lines
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["result_message"].clone())
        .collect();
    assert_eq!(messages, [awkward.as_str(), FORMULA]);
}
