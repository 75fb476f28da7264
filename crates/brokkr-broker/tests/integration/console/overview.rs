//! What the overview says of the last hour and day.

use std::time::Duration;

use brokkr_api::FailureClass;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::Visitor;

const HOUR: Duration = Duration::from_secs(3_600);

/// The number that stands under this name.
fn tile(page: &str, name: &str) -> String {
    let (_, after) = page
        .split_once(&format!(">{name}</a></dt><dd>"))
        .or_else(|| page.split_once(&format!("<dt>{name}</dt><dd>")))
        .unwrap_or_else(|| panic!("{name} is not on {page}"));
    after.split('<').next().unwrap().to_owned()
}

/// Where this name leads.
fn link(page: &str, name: &str) -> String {
    let (before, _) = page
        .split_once(&format!("\">{name}</a>"))
        .expect("it leads somewhere");
    before.rsplit('"').next().unwrap().replace("&#38;", "&")
}

fn tiles(page: &str) -> [String; 4] {
    ["Succeeded", "Failed", "Cancelled", "Leases lost"].map(|name| tile(page, name))
}

fn bars(page: &str, class: &str) -> usize {
    page.matches(&format!("class=\"ended {class}\"")).count()
}

#[rstest]
#[tokio::test]
async fn the_overview_counts_and_draws_how_orders_ended_in_the_last_hour_and_day(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let visitor = Visitor::signed_in(&broker, broker.admin_pak()).await;
    assert_eq!(tiles(&visitor.get("/").await.text), ["0"; 4]);

    let slow = broker
        .work_order()
        .for_agent(&agent)
        .work_type("slow")
        .create()
        .await;
    let claim = agent.claim(&slow).await.unwrap();
    broker.advance(Duration::from_secs(90)).await;
    agent.succeed(&claim).await.unwrap();
    let fast = broker.work_order().for_agent(&agent).create().await;
    let claim = agent.claim(&fast).await.unwrap();
    agent.fail(&claim, FailureClass::Work).await.unwrap();
    let unwanted = broker.work_order().for_agent(&agent).create().await;
    broker
        .admin()
        .cancel_work_order(unwanted.id, &brokkr_api::Cancel::default())
        .await
        .unwrap();
    let lost = broker
        .work_order()
        .for_agent(&agent)
        .at_most_once()
        .claim_timeout_seconds(60)
        .create()
        .await;
    agent.claim(&lost).await.unwrap();
    broker.advance(Duration::from_secs(61)).await;

    let page = visitor.get("/").await.text;
    assert_eq!(tiles(&page), ["1", "1", "1", "1"]);
    assert_eq!(tile(&page, "Lost"), "1");
    let listed = visitor.get(&link(&page, "Leases lost")).await.text;
    assert!(
        listed.contains(&lost.id.to_string()) && listed.contains("(1 lost)"),
        "{listed}"
    );
    assert!(!listed.contains(&fast.id.to_string()), "{listed}");
    for ending in ["succeeded", "failed", "cancelled", "lost"] {
        let of_table = format!("ending={ending}\">1</a>");
        assert_eq!(
            page.matches(&of_table).count(),
            2,
            "{ending}: of the hour, and of the day"
        );
    }
    for class in ["succeeded", "failed", "cancelled", "lost"] {
        assert_eq!(bars(&page, class), 2, "{class}: one in the hour, one in the day");
    }
    let (_, types) = page.split_once("Slowest types of work</caption>").unwrap();
    let (place_of_slow, place_of_fast) = (types.find(">slow<"), types.find(&format!(">{}<", fast.work_type)));
    assert!(place_of_slow < place_of_fast, "the slowest first");

    broker.advance(HOUR).await;
    let page = visitor.get("/").await.text;
    assert_eq!(tile(&page, "Succeeded"), "0", "that was more than an hour ago");
    assert_eq!(bars(&page, "succeeded"), 1, "the day still has it");
}

#[rstest]
#[tokio::test]
async fn endings_are_counted_once_in_some_seconds_however_often_somebody_looks(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let visitor = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let succeeded = async || tile(&visitor.get("/").await.text, "Succeeded");
    assert_eq!(succeeded().await, "0");
    let order = broker.work_order().for_agent(&agent).create().await;
    agent.succeed(&agent.claim(&order).await.unwrap()).await.unwrap();
    assert_eq!(succeeded().await, "0", "as counted a moment ago");
    broker.advance(Duration::from_secs(5)).await;
    assert_eq!(succeeded().await, "1");
}
