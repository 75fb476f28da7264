//! Calls as a client of the contract makes them: plain HTTP.

use brokkr_api::PakText;
use brokkr_testkit::{Answer, TestBroker};
use reqwest::Method;
use serde_json::Value;

/// Calls with a key and with a body.
pub(crate) async fn send(
    broker: &TestBroker,
    pak: &PakText,
    method: Method,
    path: &str,
    body: Value,
) -> Answer {
    Answer::of(broker.http(method, path).bearer_auth(pak.expose()).json(&body)).await
}

/// Calls with a key and without a body.
pub(crate) async fn ask(broker: &TestBroker, pak: &PakText, method: Method, path: &str) -> Answer {
    Answer::of(broker.http(method, path).bearer_auth(pak.expose())).await
}

pub(crate) async fn get(broker: &TestBroker, pak: &PakText, path: &str) -> Answer {
    ask(broker, pak, Method::GET, path).await
}

pub(crate) async fn post(broker: &TestBroker, pak: &PakText, path: &str, body: Value) -> Answer {
    send(broker, pak, Method::POST, path, body).await
}

pub(crate) async fn put(broker: &TestBroker, pak: &PakText, path: &str, body: Value) -> Answer {
    send(broker, pak, Method::PUT, path, body).await
}

pub(crate) async fn delete(broker: &TestBroker, pak: &PakText, path: &str) -> Answer {
    ask(broker, pak, Method::DELETE, path).await
}

/// The status and the code of a refusal, which is an error body and nothing else.
pub(crate) fn refusal(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    let members = body.as_object().expect("a refusal has a body of JSON");
    assert!(
        members
            .keys()
            .all(|name| ["code", "message", "details"].contains(&name.as_str())),
        "{body}"
    );
    assert!(body["message"].is_string(), "{body}");
    (answer.status, answer.code())
}

/// What a refusal should be.
pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
