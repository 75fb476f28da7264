use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::call::{delete, get, post, put, refusal, refused};

const GENERATORS: &str = "/api/v1/generators";

#[rstest]
#[tokio::test]
async fn a_generator_lives_from_its_creation_to_its_deletion(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = broker.admin_pak();
    let created = post(
        &broker,
        admin,
        GENERATORS,
        json!({"name": "ci", "description": "builds"}),
    )
    .await;
    assert_eq!(created.status, 201);
    let generator = created.json()["generator"].clone();
    let pak = brokkr_api::PakText::new(created.json()["pak"].as_str().unwrap());
    let path = format!("{GENERATORS}/{}", generator["id"].as_str().unwrap());
    assert_eq!(get(&broker, &pak, &path).await.json(), generator);
    assert_eq!(get(&broker, admin, GENERATORS).await.json(), json!([generator]));

    let renamed = put(&broker, &pak, &path, json!({"name": "release"})).await;
    assert_eq!(
        (renamed.status, renamed.json()["name"].clone()),
        (200, json!("release"))
    );
    assert_eq!(renamed.json()["description"], json!("builds"));

    assert_eq!(delete(&broker, admin, &path).await.status, 204);
    assert_eq!(
        refusal(&get(&broker, &pak, &path).await),
        refused(401, "invalid_credentials")
    );
    assert_eq!(
        refusal(&get(&broker, admin, &path).await),
        refused(404, "generator_not_found")
    );
    assert_eq!(
        refusal(&delete(&broker, admin, &path).await),
        refused(404, "generator_not_found")
    );
    assert_eq!(get(&broker, admin, GENERATORS).await.json(), json!([]));
    assert_eq!(
        post(&broker, admin, GENERATORS, json!({"name": "release"}))
            .await
            .status,
        201
    );
}

#[rstest]
#[tokio::test]
async fn a_generators_name_is_checked_and_unique(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = broker.admin_pak();
    assert_eq!(
        post(&broker, admin, GENERATORS, json!({"name": "ci"}))
            .await
            .status,
        201
    );
    assert_eq!(
        refusal(&post(&broker, admin, GENERATORS, json!({"name": "ci"})).await),
        refused(409, "unique_violation")
    );
    for body in [
        json!({"name": ""}),
        json!({"name": "x".repeat(256)}),
        json!({"name": "n\u{0}"}),
        json!({"name": "n", "description": "\u{0}"}),
        json!({"name": "n", "description": "x".repeat(4_001)}),
    ] {
        let answer = post(&broker, admin, GENERATORS, body.clone()).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_generator"), "{body}");
    }
    let unknown = format!("{GENERATORS}/{}", Uuid::nil());
    assert_eq!(
        refusal(&put(&broker, admin, &unknown, json!({})).await),
        refused(404, "generator_not_found")
    );
}

#[rstest]
#[tokio::test]
async fn a_rotation_replaces_a_generators_key(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (own, other) = (broker.generator().await, broker.generator().await);
    let path = format!("{GENERATORS}/{}", own.id);
    let rotate = format!("{path}/rotate-pak");
    assert_eq!(
        refusal(&post(&broker, &other.pak, &rotate, json!({})).await),
        refused(403, "generator_pak_mismatch")
    );

    let rotated = post(&broker, &own.pak, &rotate, json!({})).await;
    assert_eq!(rotated.status, 200);
    let new = brokkr_api::PakText::new(rotated.json()["pak"].as_str().unwrap());
    assert_eq!(
        refusal(&get(&broker, &own.pak, &path).await),
        refused(401, "invalid_credentials")
    );
    assert_eq!(get(&broker, &new, &path).await.status, 200);
}
