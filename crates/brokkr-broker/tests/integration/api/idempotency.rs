//! Submissions that are sent again.

use std::time::Duration;

use brokkr_api::{CreatePak, ListWorkOrders, PakRole, PakText};
use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{refusal, refused};

const ORDERS: &str = "/api/v1/work-orders";
const BATCH: &str = "/api/v1/work-orders/batch";
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn body() -> Value {
    json!({"work_type": "command", "yaml_content": "a: 1", "targeting": {"labels": ["any"]}})
}

async fn submit_as(broker: &TestBroker, pak: &PakText, path: &str, key: &str, body: &Value) -> Answer {
    let request = broker.http(Method::POST, path).bearer_auth(pak.expose());
    Answer::of(request.header("Idempotency-Key", key).json(body)).await
}

async fn submit(broker: &TestBroker, key: &str, body: &Value) -> Answer {
    submit_as(broker, broker.admin_pak(), ORDERS, key, body).await
}

async fn queued(broker: &TestBroker) -> usize {
    broker
        .admin()
        .work_orders(&ListWorkOrders::default())
        .await
        .unwrap()
        .items
        .len()
}

#[rstest]
#[tokio::test]
async fn the_same_submission_sent_again_is_the_same_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let first = submit(&broker, "key-1", &body()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
    broker.clock().advance(Duration::from_secs(5));
    let again = submit(&broker, "key-1", &body()).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (201, "true")
    );
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(queued(&broker).await, 1);
}

#[rstest]
#[tokio::test]
async fn a_body_is_the_same_however_it_is_spelled(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let first = submit(&broker, "key", &body()).await;
    let spelled = "{ \"targeting\": {\"labels\": [\"any\"], \"agent_ids\": null},\n \"max_retries\": null,
        \"yaml_content\": \"a: 1\", \"work_type\": \"command\" }";
    let request = broker
        .http(Method::POST, ORDERS)
        .bearer_auth(broker.admin_pak().expose())
        .header("Idempotency-Key", "key")
        .header("Content-Type", "application/json")
        .body(spelled);
    let again = Answer::of(request).await;
    assert_eq!((again.status, again.text), (201, first.text));
}

#[rstest]
#[tokio::test]
async fn a_key_that_was_used_for_another_body_is_refused(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    submit(&broker, "key", &body()).await;
    let mut other = body();
    other["priority"] = json!(1);
    assert_eq!(
        refusal(&submit(&broker, "key", &other).await),
        refused(409, "idempotency_key_reused")
    );
    let batch = json!({"work_orders": [body()]});
    let answer = submit_as(&broker, broker.admin_pak(), BATCH, "key", &batch).await;
    assert_eq!(refusal(&answer), refused(409, "idempotency_key_reused"));
    assert_eq!(queued(&broker).await, 1);
}

#[rstest]
#[tokio::test]
async fn a_key_belongs_to_whoever_sent_it(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let request = CreatePak {
        name: "second".to_owned(),
        role: PakRole::Admin,
        expires_at: None,
    };
    let second = broker.admin().create_pak(&request).await.unwrap().pak;
    let mut other = body();
    other["priority"] = json!(1);
    let first = submit(&broker, "key", &body()).await;
    let theirs = submit_as(&broker, &second, ORDERS, "key", &other).await;
    assert_eq!((first.status, theirs.status), (201, 201));
    assert_ne!(first.json()["id"], theirs.json()["id"]);
    assert_eq!(queued(&broker).await, 2);
}

#[rstest]
#[tokio::test]
async fn an_order_that_has_changed_or_is_gone_is_not_made_again(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let first = submit(&broker, "key", &body()).await;
    let id: Uuid = first.json()["id"].as_str().unwrap().parse().unwrap();
    broker.admin().delete_work_order(id).await.unwrap();
    let again = submit(&broker, "key", &body()).await;
    assert_eq!((again.status, again.text), (201, first.text));
    assert_eq!(queued(&broker).await, 0);
}

#[rstest]
#[tokio::test]
async fn a_submission_that_could_not_start_any_more_is_still_the_one_that_was_accepted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let mut soon = body();
    soon["start_by"] = json!(broker.now().plus_seconds(60).to_string());
    let first = submit(&broker, "key", &soon).await;
    assert_eq!(first.status, 201);
    broker.advance(Duration::from_secs(120)).await;
    let again = submit(&broker, "key", &soon).await;
    assert_eq!((again.status, again.text), (201, first.text));
    assert_eq!(
        refusal(&submit(&broker, "other", &soon).await),
        refused(400, "invalid_work_order")
    );
}

#[rstest]
#[tokio::test]
async fn a_submission_that_was_refused_leaves_its_key_free(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let mut unknown = body();
    unknown["targeting"] = json!({"agent_ids": [Uuid::from_u128(1)]});
    assert_eq!(
        refusal(&submit(&broker, "key", &unknown).await),
        refused(422, "foreign_key_violation")
    );
    assert_eq!(submit(&broker, "key", &body()).await.status, 201);
    assert_eq!(queued(&broker).await, 1);
}

#[rstest]
#[tokio::test]
async fn a_key_is_kept_for_a_day(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let first = submit(&broker, "key", &body()).await;
    broker.advance(DAY).await;
    assert_eq!(submit(&broker, "key", &body()).await.text, first.text);
    broker.advance(Duration::from_secs(1)).await;
    let later = submit(&broker, "key", &body()).await;
    assert_eq!((later.status, later.header("idempotency-replayed")), (201, ""));
    assert_ne!(later.json()["id"], first.json()["id"]);
    assert_eq!(queued(&broker).await, 2);
}

#[rstest]
#[tokio::test]
async fn of_equal_submissions_that_race_one_acts_and_all_hear_the_same(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let replica = broker.replica().await;
    let body = body();
    let (a, b, c, d) = tokio::join!(
        submit(&broker, "key", &body),
        submit(&replica, "key", &body),
        submit(&broker, "key", &body),
        submit(&replica, "key", &body),
    );
    let answers = [a, b, c, d];
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 201 && answer.text == answers[0].text)
    );
    let acted = answers
        .iter()
        .filter(|answer| answer.header("idempotency-replayed").is_empty());
    assert_eq!(acted.count(), 1);
    assert_eq!(queued(&broker).await, 1);
}

#[rstest]
#[tokio::test]
async fn a_batch_sent_again_is_the_same_batch_with_its_refusals(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let batch = json!({"work_orders": [body(), {"work_type": "command", "yaml_content": "a: 1"}]});
    let send = async || submit_as(&broker, broker.admin_pak(), BATCH, "key", &batch).await;
    let (first, again) = (send().await, send().await);
    assert_eq!((first.status, again.status), (207, 207));
    assert_eq!(first.text, again.text);
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        ("", "true")
    );
    assert_eq!(queued(&broker).await, 1);
}

#[tokio::test]
async fn a_key_is_up_to_255_visible_ascii_characters() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let invalid = refused(400, "invalid_idempotency_key");
    for key in ["", "two words", "tab\tbed", "\u{fc}ber", &"x".repeat(256)] {
        assert_eq!(refusal(&submit(&broker, key, &body()).await), invalid, "{key:?}");
    }
    let twice = broker
        .http(Method::POST, ORDERS)
        .bearer_auth(broker.admin_pak().expose())
        .header("Idempotency-Key", "a")
        .header("Idempotency-Key", "b")
        .json(&body());
    assert_eq!(refusal(&Answer::of(twice).await), invalid);
    assert_eq!(queued(&broker).await, 0);
    assert_eq!(submit(&broker, &"x".repeat(255), &body()).await.status, 201);
}
