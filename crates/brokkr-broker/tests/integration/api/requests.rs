//! What holds for every request, whatever it asks for.

use brokkr_broker::config::Limits;
use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::Method;
use serde_json::json;

use super::call::{get, post, refusal, refused};

const AGENTS: &str = "/api/v1/agents";

#[tokio::test]
async fn what_is_not_there_is_answered_with_an_error_body() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    for path in [
        "/api/v1",
        "/api/v1/nothing",
        "/api/v1/agents/x/y/z",
        "/api/v2/agents",
    ] {
        assert_eq!(
            refusal(&get(&broker, broker.admin_pak(), path).await),
            refused(404, "not_found"),
            "{path}"
        );
    }
    let answer = Answer::of(broker.http(Method::PATCH, AGENTS)).await;
    assert_eq!(refusal(&answer), refused(405, "method_not_allowed"));
    assert_eq!(answer.header("allow"), "POST,GET,HEAD");
}

#[tokio::test]
async fn every_answer_carries_the_request_id_that_came_or_a_new_one() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let with = async |id: &str| {
        let answer = Answer::of(broker.http(Method::GET, "/healthz").header("X-Request-Id", id)).await;
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(with("my-request/7").await, "my-request/7");
    assert_eq!(with("two words").await.len(), 32);
    assert_eq!(with(&"x".repeat(200)).await.len(), 32);
    let refused = Answer::of(broker.http(Method::GET, "/nowhere")).await;
    assert_eq!(refused.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn an_unknown_field_or_parameter_is_reported_and_ignored() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let body = json!({"name": "n", "cluster_name": "c", "colour": "red", "\"odd\n": 1});
    let answer = post(&broker, broker.admin_pak(), AGENTS, body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.header("warning"),
        r#"299 brokkr "ignored unknown fields: ?odd?, colour""#
    );
    let answer = get(&broker, broker.admin_pak(), "/api/v1/agents?limit=5&stauts=x").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("warning"),
        r#"299 brokkr "ignored unknown parameters: stauts""#
    );
}

#[tokio::test]
async fn a_body_is_json_of_the_right_shape_and_size() {
    let limits = Limits {
        body_bytes_max: 200,
        ..Limits::default()
    };
    let broker = TestBroker::start_with(Backend::Sqlite, limits).await;
    let send = async |media_type: &str, body: String| {
        let request = broker
            .http(Method::POST, AGENTS)
            .bearer_auth(broker.admin_pak().expose());
        refusal(&Answer::of(request.header("Content-Type", media_type).body(body)).await)
    };
    let json = "application/json";
    assert_eq!(send(json, "{".to_owned()).await, refused(400, "invalid_json"));
    assert_eq!(send(json, String::new()).await, refused(400, "invalid_json"));
    assert_eq!(send(json, "{}".to_owned()).await, refused(422, "invalid_body"));
    assert_eq!(
        send(json, r#"{"name": 1, "cluster_name": "c"}"#.to_owned()).await,
        refused(422, "invalid_body")
    );
    assert_eq!(
        send(
            json,
            r#"{"name": "a", "name": "b", "cluster_name": "c"}"#.to_owned()
        )
        .await,
        refused(422, "invalid_body")
    );
    assert_eq!(
        send("text/plain", "{}".to_owned()).await,
        refused(415, "unsupported_media_type")
    );
    assert_eq!(send(json, " ".repeat(201)).await, refused(413, "body_too_large"));
}

#[tokio::test]
async fn a_body_that_does_not_tell_its_size_is_bounded_all_the_same() {
    let limits = Limits {
        body_bytes_max: 200,
        ..Limits::default()
    };
    let broker = TestBroker::start_with(Backend::Sqlite, limits).await;
    let head = format!(
        "POST {AGENTS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        broker.admin_pak().expose()
    );
    let chunk = format!("64\r\n{}\r\n", " ".repeat(100));
    let answer = broker
        .send_bytes(format!("{head}{chunk}{chunk}{chunk}0\r\n\r\n").as_bytes())
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let limits = Limits {
        request_seconds_max: 1,
        ..Limits::default()
    };
    let broker = TestBroker::start_with(Backend::Sqlite, limits).await;
    let head = format!(
        "POST {AGENTS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{",
        broker.admin_pak().expose()
    );
    let answer = broker.send_bytes(head.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_key_that_asks_too_often_has_to_wait() {
    let limits = Limits {
        requests_per_second_max: 1,
        ..Limits::default()
    };
    let broker = TestBroker::start_with(Backend::Sqlite, limits).await;
    let mut last = get(&broker, broker.admin_pak(), AGENTS).await;
    for _ in 0..30 {
        if last.status == 429 {
            break;
        }
        last = get(&broker, broker.admin_pak(), AGENTS).await;
    }
    assert_eq!(refusal(&last), refused(429, "rate_limited"));
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn a_path_that_cannot_be_decoded_is_refused() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let path = format!("{AGENTS}/{}/labels/%FF", agent.id);
    let answer = super::call::delete(&broker, broker.admin_pak(), &path).await;
    assert_eq!(refusal(&answer), refused(400, "invalid_path"));
}

#[tokio::test]
async fn what_an_act_leaves_in_the_audit_names_the_request() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let request = broker
        .http(Method::POST, "/api/v1/generators")
        .bearer_auth(broker.admin_pak().expose());
    let answer = Answer::of(
        request
            .header("X-Request-Id", "req-1")
            .json(&json!({"name": "ci"})),
    )
    .await;
    let id = answer.json()["generator"]["id"].as_str().unwrap().to_owned();
    let mut tx = broker.db().read().await.unwrap();
    let facts = brokkr_broker::dal::audit::list(&mut tx, Some(&format!("generator:{id}")), None, 10)
        .await
        .unwrap();
    let [fact] = facts.as_slice() else {
        panic!("one fact, not {facts:?}")
    };
    assert_eq!(
        (fact.action.as_str(), fact.request_id.as_deref()),
        ("generator.create", Some("req-1"))
    );
    assert!(fact.actor.starts_with("admin:"));
    assert!(!fact.details.contains("hash"));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended_and_undone() {
    let limits = Limits {
        request_seconds_max: 1,
        ..Limits::default()
    };
    let broker = TestBroker::start_with(Backend::Sqlite, limits).await;
    // SQLite has one writer, and this is it.
    let writer = broker.db().begin().await.unwrap();
    let body = json!({"name": "n", "cluster_name": "c"});
    let answer = post(&broker, broker.admin_pak(), AGENTS, body).await;
    assert_eq!(refusal(&answer), refused(503, "timeout"));
    drop(writer);
    assert_eq!(get(&broker, broker.admin_pak(), AGENTS).await.json(), json!([]));
}
