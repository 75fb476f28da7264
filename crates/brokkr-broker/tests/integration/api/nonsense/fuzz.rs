//! The fuzz target for the bodies of all requests, through the whole interface of a running broker.

use std::time::Duration;

use brokkr_broker::config::Limits;
use brokkr_testkit::{Answer, Backend};
use brokkr_testkit_fuzz::Fuzz;
use tokio::runtime::Runtime;

use super::scene::{Operation, Scene};
use crate::api::call::refusal;

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "{}",
    "[]",
    "AGENT",
    "ORDER",
    "\\u0000",
    "\\ud800",
    "\"id\":",
    "\"attempt\":",
    "\"targeting\":",
    "\"labels\":[\"l\"]",
    "\"wait_seconds\":",
    "\"run_at\":\"2030-01-01T00:00:00Z\"",
    "\"metadata\":{\"a\":\"b\"}",
    "\"work_type\":",
    "\"yaml_content\":\"a: 1\"",
    "9999-12-31T23:59:59.9999999Z",
];

/// How long an answer may take; and how long a claim that waits for work is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_millis(300);

#[test]
fn bodies() {
    let runtime = Runtime::new().unwrap();
    let limits = Limits {
        body_bytes_max: 16 * 1024,
        targeting_terms_max: 10,
        ..Limits::default()
    };
    let scene = runtime.block_on(Scene::start(Backend::Sqlite, limits));
    let operations = scene.operations();
    // The first line names the operation; the rest is its body.
    Fuzz::new("bodies", WORDS).up_to(32 * 1024).run(|input| {
        let end = input
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(input.len());
        let (name, body) = input.split_at(end);
        let named = operations
            .iter()
            .find(|operation| operation.name().as_bytes() == name);
        match named.filter(|operation| operation.body.is_some()) {
            Some(operation) => {
                runtime.block_on(outcome(&scene, operation, body.get(1..).unwrap_or_default()))
            }
            None => "no such operation".to_owned(),
        }
    });
}

async fn outcome(scene: &Scene, operation: &Operation, body: &[u8]) -> String {
    let name = operation.name();
    let waits = name == "POST /api/v1/agents/{id}/claims";
    let request = scene
        .request(operation, &scene.path(operation))
        .header("Content-Type", "application/json")
        .timeout(if waits { PATIENCE } else { ANSWER_TIME_MAX })
        .body(with_ids(scene, body));
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if waits && error.is_timeout() => return format!("{name} waits"),
        Err(error) => panic!("{name} is not answered: {error}"),
    };
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.expect("the answer can be read");
    is_documented(
        scene,
        operation,
        &Answer {
            status,
            headers,
            text,
        },
    )
}

/// Seeds name the agent and an order that it holds by words.
fn with_ids(scene: &Scene, body: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(body) else {
        return body.to_vec();
    };
    let (agent, order) = (scene.agent.id.to_string(), scene.orders[2].id.to_string());
    text.replace("AGENT", &agent)
        .replace("ORDER", &order)
        .into_bytes()
}

/// A status that the description names and that is no failure of the broker; an error is an error body; no key is repeated.
fn is_documented(scene: &Scene, operation: &Operation, answer: &Answer) -> String {
    let (name, status) = (operation.name(), answer.status);
    assert!(status < 500, "{name}: {status} {}", answer.text);
    let method = operation.method.as_str().to_lowercase();
    let documented = &scene.document["paths"][&operation.template][&method]["responses"];
    assert!(
        documented.get(status.to_string()).is_some(),
        "{name} does not document {status}: {}",
        answer.text
    );
    for key in [&scene.agent.pak, scene.broker.admin_pak()] {
        assert!(!answer.text.contains(key.expose()), "{name} repeats a key");
    }
    if status >= 400 {
        let (_, code) = refusal(answer);
        return format!("{name} {status} {code}");
    }
    let body = answer.json();
    let items = body["items"].as_array().into_iter().flatten();
    let codes: Vec<String> = items.take(2).map(|item| is_no_failure(&name, item)).collect();
    format!("{name} {status} {codes:?}")
}

fn is_no_failure(name: &str, item: &serde_json::Value) -> String {
    let status = item["status"].as_u64().expect("an item has a status");
    assert!(status < 500, "{name}: {item}");
    let code = item["error"]["code"].as_str().unwrap_or_default();
    assert_eq!(status < 400, code.is_empty(), "{name}: {item}");
    format!("{status} {code}")
}
