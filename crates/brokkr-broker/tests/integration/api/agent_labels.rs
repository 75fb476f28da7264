//! Labels and annotations of agents, which are alike.

use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{delete, get, post, refusal, refused};

const AGENTS: &str = "/api/v1/agents";

#[rstest]
#[case::labels("labels", json!({"label": "gpu"}), "gpu", "agent_label_not_found", "invalid_label")]
#[case::annotations(
    "annotations",
    json!({"key": "zone", "value": "eu"}),
    "zone",
    "agent_annotation_not_found",
    "invalid_annotation"
)]
#[tokio::test]
async fn agents_are_marked_and_unmarked(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
    #[case] kind: &str,
    #[case] mark: Value,
    #[case] name: &str,
    #[case] absent: &str,
    #[case] invalid: &str,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let (admin, path) = (broker.admin_pak(), format!("{AGENTS}/{}/{kind}", agent.id));
    let body = |agent_id: Uuid| {
        let mut body = mark.clone();
        body["agent_id"] = json!(agent_id);
        body
    };

    let added = post(&broker, admin, &path, body(agent.id)).await;
    assert_eq!(added.status, 201);
    assert_eq!(
        get(&broker, &agent.pak, &path).await.json(),
        json!([added.json()])
    );
    assert_eq!(
        refusal(&post(&broker, admin, &path, body(agent.id)).await),
        refused(409, "unique_violation")
    );
    assert_eq!(
        refusal(&post(&broker, admin, &path, body(Uuid::nil())).await),
        refused(400, "agent_id_mismatch")
    );
    let nobody = format!("{AGENTS}/{}/{kind}", Uuid::nil());
    assert_eq!(
        refusal(&post(&broker, admin, &nobody, body(Uuid::nil())).await),
        refused(422, "foreign_key_violation")
    );

    for wrong in ["", "two words", "\u{0}", &"x".repeat(65)] {
        let mut body = body(agent.id);
        for field in ["label", "key"] {
            if body.get(field).is_some() {
                body[field] = json!(wrong);
            }
        }
        assert_eq!(
            refusal(&post(&broker, admin, &path, body).await),
            refused(400, invalid),
            "{wrong}"
        );
    }
    assert_eq!(
        refusal(&delete(&broker, admin, &format!("{path}/two%20words")).await),
        refused(400, invalid)
    );

    assert_eq!(
        delete(&broker, admin, &format!("{path}/{name}")).await.status,
        204
    );
    assert_eq!(
        refusal(&delete(&broker, admin, &format!("{path}/{name}")).await),
        refused(404, absent)
    );
    assert_eq!(get(&broker, &agent.pak, &path).await.json(), json!([]));
}

#[rstest]
#[tokio::test]
async fn a_label_may_hold_whatever_a_path_has_to_escape(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let label = "a/b?c#d%e=ü";
    let path = format!("{AGENTS}/{}/labels", agent.id);
    let body = json!({"agent_id": agent.id, "label": label});
    assert_eq!(post(&broker, broker.admin_pak(), &path, body).await.status, 201);
    let one = brokkr_api::paths::agent_label(agent.id, label);
    assert_eq!(delete(&broker, broker.admin_pak(), &one).await.status, 204);
}

#[tokio::test]
async fn an_agent_has_no_more_labels_than_the_broker_allows() {
    let limits = brokkr_broker::config::Limits {
        agent_labels_max: 2,
        ..Default::default()
    };
    let broker = TestBroker::start_with(Backend::Sqlite, limits).await;
    let agent = broker.agent().await;
    let path = format!("{AGENTS}/{}/labels", agent.id);
    for (label, status) in [("a", 201), ("b", 201), ("c", 400)] {
        let answer = post(
            &broker,
            broker.admin_pak(),
            &path,
            json!({"agent_id": agent.id, "label": label}),
        )
        .await;
        assert_eq!(answer.status, status, "{label}");
    }
    assert_eq!(
        get(&broker, &agent.pak, &path)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
}
