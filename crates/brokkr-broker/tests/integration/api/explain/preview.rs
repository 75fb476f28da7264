//! Who could run an order that is not submitted.

use brokkr_api::AgentReport;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::json;

use super::{about, label, ready, report, says};
use crate::api::call::{post, refusal, refused};

#[rstest]
#[tokio::test]
async fn a_preview_tells_who_could_run_an_order_and_submits_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, busy) = (ready(&broker).await, ready(&broker).await);
    for agent in [&agent, &busy] {
        label(&broker, agent, "gpu").await;
    }
    let full = AgentReport {
        running: 2,
        ..report()
    };
    says(&busy, full).await;
    let viewer = broker.viewer().await;
    let order = || broker.work_order().label("gpu");

    let preview = viewer
        .client
        .preview_work_order(&order().request())
        .await
        .unwrap();

    assert_eq!((preview.matching, preview.able), (2, 1));
    let codes: Vec<_> = preview
        .reasons
        .iter()
        .map(|reason| reason.code.as_str())
        .collect();
    assert_eq!(codes, ["claimable", "no_free_slot"]);
    about(&preview.reasons[0], &agent);
    let nobody = broker.work_order().label("tpu").request();
    let nobody = broker.admin().preview_work_order(&nobody).await.unwrap();
    assert_eq!((nobody.matching, nobody.able), (0, 0));
    assert_eq!(nobody.reasons[0].code, "no_matching_agent");
    let orders = broker.admin().work_orders(&Default::default()).await.unwrap();
    assert!(orders.items.is_empty());
}

#[rstest]
#[case(json!({"work_type": "command", "yaml_content": "a: 1"}), 400, "no_targeting_specified")]
#[case(json!({"work_type": "command", "yaml_content": "a: [", "targeting": {"labels": ["l"]}}), 400, "invalid_work_order")]
#[case(json!({"work_type": "command", "yaml_content": "a: 1", "targeting": {"labels": ["l"]}, "start_by": "2001-01-01T00:00:00Z"}), 400, "invalid_work_order")]
#[case(json!({"work_type": "command", "yaml_content": "a: 1", "targeting": {"agent_ids": [uuid::Uuid::nil()]}}), 422, "foreign_key_violation")]
#[tokio::test]
async fn a_preview_refuses_what_a_submission_would_be_refused_for(
    #[case] body: serde_json::Value,
    #[case] status: u16,
    #[case] expected: &str,
) {
    let broker = TestBroker::start(Backend::Sqlite).await;
    for path in ["/api/v1/work-orders/preview", "/api/v1/work-orders"] {
        let answer = post(&broker, broker.admin_pak(), path, body.clone()).await;
        assert_eq!(refusal(&answer), refused(status, expected), "{path}");
    }
}
