use std::time::Duration;

use brokkr_api::PakText;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::json;

use super::call::{delete, get, post, refusal, refused};

const PAKS: &str = "/api/v1/paks";

fn short(pak: &PakText) -> String {
    pak.expose()
        .trim_start_matches("brokkr_BR")
        .split('_')
        .next()
        .unwrap()
        .to_owned()
}

#[rstest]
#[tokio::test]
async fn a_key_works_until_it_is_deleted(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let admin = broker.admin_pak();
    let created = post(&broker, admin, PAKS, json!({"name": "ops", "role": "admin"})).await;
    assert_eq!(created.status, 201);
    let pak = PakText::new(created.json()["pak"].as_str().unwrap());
    assert_eq!(created.json()["pak_info"]["short"], json!(short(&pak)));

    let listed = get(&broker, &pak, PAKS).await;
    let shorts: Vec<_> = listed
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|info| info["short"].clone())
        .collect();
    assert_eq!(shorts.len(), 2);
    assert!(shorts.contains(&json!(short(&pak))) && shorts.contains(&json!(short(admin))));
    assert!(!listed.text.contains("hash"));

    let path = format!("{PAKS}/{}", short(&pak));
    assert_eq!(delete(&broker, admin, &path).await.status, 204);
    assert_eq!(
        refusal(&get(&broker, &pak, PAKS).await),
        refused(401, "invalid_credentials")
    );
    assert_eq!(
        refusal(&delete(&broker, admin, &path).await),
        refused(404, "pak_not_found")
    );
    assert_eq!(
        refusal(&delete(&broker, admin, &format!("{PAKS}/nonsense!")).await),
        refused(404, "pak_not_found")
    );
}

#[rstest]
#[tokio::test]
async fn a_key_is_dead_once_it_expires(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let expires_at = brokkr_api::Time::from_micros(broker.now().plus_seconds(60).as_micros());
    let body = json!({"name": "guest", "role": "viewer", "expires_at": expires_at});
    let created = post(&broker, broker.admin_pak(), PAKS, body.clone()).await;
    let pak = PakText::new(created.json()["pak"].as_str().unwrap());
    assert_eq!(created.json()["pak_info"]["expires_at"], json!(expires_at));
    assert_eq!(get(&broker, &pak, PAKS).await.status, 200);

    broker.clock().advance(Duration::from_secs(60));
    assert_eq!(
        refusal(&get(&broker, &pak, PAKS).await),
        refused(401, "invalid_credentials")
    );
    assert_eq!(
        refusal(&post(&broker, broker.admin_pak(), PAKS, body).await),
        refused(400, "invalid_pak")
    );
}

#[rstest]
#[tokio::test]
async fn the_last_administrators_key_cannot_be_deleted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let path = format!("{PAKS}/{}", short(broker.admin_pak()));
    broker.viewer().await;
    assert_eq!(
        refusal(&delete(&broker, broker.admin_pak(), &path).await),
        refused(409, "last_admin_pak")
    );
    assert_eq!(get(&broker, broker.admin_pak(), PAKS).await.status, 200);
}

#[tokio::test]
async fn an_agents_key_is_not_among_the_named_ones() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let path = format!("{PAKS}/{}", short(&agent.pak));
    assert_eq!(
        refusal(&delete(&broker, broker.admin_pak(), &path).await),
        refused(404, "pak_not_found")
    );
    assert!(
        !get(&broker, broker.admin_pak(), PAKS)
            .await
            .text
            .contains(&short(&agent.pak))
    );
}

#[tokio::test]
async fn a_key_needs_a_name_a_role_and_nothing_unknown() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    for (body, status, code) in [
        (json!({"name": "", "role": "admin"}), 400, "invalid_pak"),
        (json!({"name": "x", "role": "agent"}), 422, "invalid_body"),
        (json!({"name": "x"}), 422, "invalid_body"),
        (
            json!({"name": "x", "role": "admin", "rank": 1}),
            422,
            "invalid_body",
        ),
    ] {
        let answer = post(&broker, broker.admin_pak(), PAKS, body.clone()).await;
        assert_eq!(refusal(&answer), refused(status, code), "{body}");
    }
}
