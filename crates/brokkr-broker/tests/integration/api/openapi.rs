use brokkr_broker::api::openapi;
use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::Method;
use serde_json::Value;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let generated = openapi::text(openapi::document());
    if std::env::var_os("BROKKR_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(SNAPSHOT, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/openapi.json is out of date: run this test with BROKKR_UPDATE_SNAPSHOTS=1 and review the difference"
    );
}

#[tokio::test]
async fn the_document_and_its_page_are_served_without_a_key() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let document = Answer::of(broker.http(Method::GET, "/docs/openapi.json")).await;
    assert_eq!(
        (document.status, document.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(document.json()["openapi"], "3.1.0");
    assert_eq!(document.text, openapi::text(openapi::document()));
    for (path, media_type) in [
        ("/docs", "text/html"),
        ("/docs/page.js", "text/javascript"),
        ("/docs/page.css", "text/css"),
    ] {
        let part = Answer::of(broker.http(Method::GET, path)).await;
        assert_eq!(part.status, 200, "{path}");
        assert!(part.header("content-type").starts_with(media_type), "{path}");
        assert!(
            part.header("content-security-policy")
                .starts_with("default-src 'none'"),
            "{path}"
        );
        assert!(!part.text.contains("://"), "{path} loads nothing from elsewhere");
    }
}

#[test]
fn every_operation_is_described_and_documents_its_refusals() {
    let document: Value = serde_json::from_str(&openapi::text(openapi::document())).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(
                operation["summary"].is_string() || operation["description"].is_string(),
                "{name} says nothing"
            );
            let statuses = operation["responses"].as_object().unwrap();
            let mut needed = vec!["500", "503"];
            if path.starts_with("/api/") {
                needed.extend(["401", "429"]);
            }
            if operation.get("requestBody").is_some() {
                needed.extend(["400", "408", "413", "415", "422"]);
            }
            for status in needed {
                assert!(statuses.contains_key(status), "{name} does not document {status}");
            }
            for (status, response) in statuses.iter().filter(|(status, _)| status.as_str() >= "400") {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
            }
        }
    }
}
