//! The page that describes the API, at `/docs`.

use brokkr_testkit_browser::{Axe, Browser};

use crate::world::{BrokerProcess, Database, World};

async fn opened(broker: &BrokerProcess) -> Browser {
    let browser = Browser::start().await;
    browser.open(&format!("{}/docs", broker.url())).await;
    browser.until_text("#operations", "/work-orders").await;
    browser
}

#[tokio::test]
async fn the_description_is_shown_from_the_broker_alone_and_finds_what_is_sought() {
    let world = World::new();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let browser = opened(&broker).await;
    browser.fill("#filter", "explain").await;
    browser.until_text("#operations", "explain").await;
    let left = browser.texts("#operations a").await;
    assert!(
        left.iter()
            .all(|operation| operation.is_empty() || operation.contains("explain")),
        "{left:?}"
    );
    let asked = browser
        .script("return performance.getEntriesByType('resource').map((entry) => new URL(entry.name).host)")
        .await;
    let hosts: Vec<&str> = asked
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|host| host.as_str())
        .collect();
    assert!(
        !hosts.is_empty() && hosts.iter().all(|host| *host == broker.address()),
        "{hosts:?}"
    );
    assert_eq!(browser.complaints().await, [""; 0]);
}

mod accessibility {
    use super::*;

    #[tokio::test]
    async fn the_description_has_no_serious_finding() {
        let axe = Axe::get().unwrap_or_else(|error| panic!("{error}"));
        let world = World::new();
        let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
        let browser = opened(&broker).await;
        assert_eq!(browser.findings(axe).await, []);
    }
}
