//! Nonsense to every operation of a running broker, as its own description names them: never a failure of the broker, always
//! an error body, and nothing is different afterwards.
//!
//! Every request here is one that the broker refuses in the end, whatever is put into it: it is about things that do not
//! exist, or ask for what is there already.

use std::collections::BTreeSet;

use brokkr_api::{AppendOutput, Cancel, Heartbeat, OutputChunk, PakText, Time, WorkOrder};
use brokkr_broker::config::Limits;
use brokkr_broker::dal::audit;
use brokkr_testkit::{Answer, Backend, TestAgent, TestBroker};
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{get, refusal, refused};
use super::endings::claimed;

const UNKNOWN: Uuid = Uuid::from_u128(0x7777);

/// An operation of the description.
#[derive(Debug, Clone)]
struct Operation {
    method: Method,
    template: String,
    /// The schema of its body.
    body: Option<Value>,
    parameters: Vec<String>,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    /// Whether only the agent of the path may call it.
    fn agents_own(&self) -> bool {
        let calls = ["/heartbeat", "/claims", "/renewals", "/endings", "/output"];
        self.method == Method::POST
            && self.template.starts_with("/api/v1/agents/{id}/")
            && calls.iter().any(|call| self.template.ends_with(call))
    }
}

/// A broker with something of every kind.
struct Scene {
    broker: TestBroker,
    document: Value,
    agent: TestAgent,
    orders: Vec<WorkOrder>,
}

impl Scene {
    async fn start(backend: Backend, limits: Limits) -> Self {
        let broker = TestBroker::start_with(backend, limits).await;
        let (agent, admin) = (broker.agent().await, broker.admin());
        let ended = claimed(&broker, &agent).await;
        agent.succeed(&ended).await.unwrap();
        let cancelled = broker.work_order().for_agent(&agent).create().await;
        admin
            .cancel_work_order(cancelled.id, &Cancel::default())
            .await
            .unwrap();
        let held = claimed(&broker, &agent).await;
        let line = OutputChunk {
            id: held.id,
            attempt: 1,
            offset: 0,
            stream: "stdout".to_owned(),
            at: Time::from_micros(1),
            data: "a line\n".to_owned(),
        };
        agent
            .client
            .append_output(agent.id, &AppendOutput { chunks: vec![line] })
            .await
            .unwrap();
        agent.client.heartbeat(agent.id, &all_is_well()).await.unwrap();
        admin.add_agent_label(agent.id, "there").await.unwrap();
        admin
            .add_agent_annotation(agent.id, "there", "too")
            .await
            .unwrap();
        let waiting = broker
            .work_order()
            .label("nobody")
            .metadata("a", "b")
            .create()
            .await;
        broker.generator().await;
        broker.viewer().await;
        let document = Answer::of(broker.http(Method::GET, "/docs/openapi.json"))
            .await
            .json();
        Self {
            broker,
            document,
            agent,
            orders: vec![ended, cancelled, held, waiting],
        }
    }

    fn operations(&self) -> Vec<Operation> {
        let mut all = Vec::new();
        for (template, item) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let queried = parameters.iter().filter(|parameter| parameter["in"] == "query");
                all.push(Operation {
                    method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                    template: template.clone(),
                    body: operation
                        .pointer("/requestBody/content/application~1json/schema")
                        .cloned(),
                    parameters: queried
                        .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                        .collect(),
                });
            }
        }
        assert!(all.len() > 40, "the description names them all");
        all
    }

    /// The path of something that does not exist, unless the call is an agent's own or changes nothing.
    fn path(&self, operation: &Operation) -> String {
        let known = operation.agents_own() || operation.method == Method::GET;
        let id = match operation.template.split('/').nth(3) {
            _ if !known => UNKNOWN,
            Some("agents") => self.agent.id,
            Some("work-order-log") => self.orders[0].id,
            Some("work-orders") => self.orders[2].id,
            _ => UNKNOWN,
        };
        let path = operation.template.replace("{id}", &id.to_string());
        path.replace("{label}", "absent")
            .replace("{key}", "absent")
            .replace("{short}", "absent12")
    }

    fn pak(&self, operation: &Operation) -> &PakText {
        if operation.agents_own() {
            &self.agent.pak
        } else {
            self.broker.admin_pak()
        }
    }

    fn request(&self, operation: &Operation, path: &str) -> RequestBuilder {
        self.broker
            .http(operation.method.clone(), path)
            .bearer_auth(self.pak(operation).expose())
    }

    /// Sends it, with a body of which it is only said that it is JSON.
    async fn send(&self, operation: &Operation, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request(operation, path)
            .header("Content-Type", "application/json");
        Answer::of(request.body(body)).await
    }

    /// A body that the operation understands, and refuses for the very last of its reasons.
    fn understood(&self, operation: &Operation) -> Value {
        let order = json!({
            "work_type": "command", "yaml_content": "a: 1",
            "targeting": {"agent_ids": [UNKNOWN], "labels": ["l"], "annotations": {"k": "v"}},
            "target_agent_ids": [Uuid::max()],
        });
        match operation.name().as_str() {
            "POST /api/v1/agents" => json!({"name": "agent-1", "cluster_name": "test", "generator_ids": [UNKNOWN]}),
            "PUT /api/v1/agents/{id}" | "PUT /api/v1/generators/{id}" => json!({}),
            "POST /api/v1/agents/{id}/heartbeat" => json!({}),
            "POST /api/v1/agents/{id}/labels" => json!({"agent_id": UNKNOWN, "label": "l"}),
            "POST /api/v1/agents/{id}/annotations" => json!({"agent_id": UNKNOWN, "key": "k", "value": "v"}),
            "POST /api/v1/agents/{id}/claims" => json!({"instance_id": "process-1"}),
            "POST /api/v1/agents/{id}/renewals" => {
                json!({"instance_id": "process-1", "claims": [{"id": UNKNOWN, "attempt": 1}]})
            }
            "POST /api/v1/agents/{id}/endings" => {
                json!({"endings": [{"id": UNKNOWN, "attempt": 1, "success": true}]})
            }
            "POST /api/v1/agents/{id}/output" => json!({"chunks": [{
                "id": UNKNOWN, "attempt": 1, "offset": 0, "stream": "stdout", "at": "2030-01-01T00:00:00Z", "data": "x",
            }]}),
            "POST /api/v1/generators" => json!({"name": "generator-2", "description": "\u{0}"}),
            "POST /api/v1/paks" => {
                json!({"name": "new", "role": "viewer", "expires_at": "2001-01-01T00:00:00Z"})
            }
            "POST /api/v1/work-orders" => order,
            "POST /api/v1/work-orders/batch" => json!({"work_orders": [order]}),
            "POST /api/v1/work-orders/{id}/claim" => json!({"agent_id": self.agent.id}),
            "POST /api/v1/work-orders/{id}/complete" => json!({"success": true}),
            "POST /api/v1/work-orders/{id}/release" => json!({"agent_id": self.agent.id, "attempt": 1}),
            "POST /api/v1/work-orders/{id}/cancel" => json!({}),
            "PUT /api/v1/work-orders/{id}/targeting" => json!({"agent_ids": [UNKNOWN], "labels": ["l"]}),
            unknown => panic!("this test does not know what to send to {unknown}"),
        }
    }

    /// Everything that the broker knows, and how often it noted that somebody did something.
    async fn dump(&self) -> Value {
        let mut paths: Vec<String> = ["agents", "generators", "paks", "work-orders", "work-order-log"]
            .map(|list| format!("/api/v1/{list}"))
            .into();
        for what in ["labels", "annotations", "work-orders/pending", "claims"] {
            paths.push(format!("/api/v1/agents/{}/{what}", self.agent.id));
        }
        for order in &self.orders {
            for what in ["targeting", "attempts", "output"] {
                paths.push(format!("/api/v1/work-orders/{}/{what}", order.id));
            }
        }
        let mut dump = json!({});
        for path in paths {
            let answer = get(&self.broker, self.broker.admin_pak(), &path).await;
            assert_eq!(answer.status, 200, "{path}");
            dump[path] = answer.json();
        }
        let mut tx = self.broker.db().read().await.unwrap();
        dump["acts"] = json!(audit::list(&mut tx, None, None, 10_000).await.unwrap().len());
        dump
    }

    /// Nothing has changed since the dump.
    async fn is_as(&self, before: &Value, sent: &str) {
        let after = self.dump().await;
        for (path, was) in before.as_object().unwrap() {
            assert_eq!(&after[path], was, "{path} after {sent}");
        }
    }

    /// Every place in a body that the schema names, as JSON pointers into what is understood.
    fn places(&self, schema: &Value, place: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        if let Some(name) = schema["$ref"]
            .as_str()
            .and_then(|name| name.strip_prefix("#/components/schemas/"))
        {
            return self.places(&self.document["components"]["schemas"][name], place);
        }
        for part in ["oneOf", "anyOf", "allOf"] {
            for schema in schema[part].as_array().into_iter().flatten() {
                found.extend(self.places(schema, place));
            }
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}/{name}");
            found.extend(self.places(property, &place));
            found.insert(place);
        }
        if schema.get("items").is_some() {
            found.extend(self.places(&schema["items"], &format!("{place}/0")));
        }
        found
    }
}

fn all_is_well() -> Heartbeat {
    Heartbeat { k8s_reachable: Some(true), k8s_api_latency_ms: Some(12) }
}

/// It is no failure of the broker; a refusal is an error body and nothing else; and no item of a batch is otherwise.
fn is_sane(answer: &Answer, sent: &str) {
    assert!(answer.status < 500, "{sent}: {} {}", answer.status, answer.text);
    if answer.status >= 400 {
        assert_eq!(
            answer.header("content-type"),
            "application/json",
            "{sent}: {}",
            answer.text
        );
        let (_, code) = refusal(answer);
        assert!(!code.is_empty(), "{sent}: {}", answer.text);
    }
    for item in answer.json()["items"].as_array().into_iter().flatten() {
        let status = item["status"].as_u64().unwrap();
        assert!((400..500).contains(&status), "{sent}: {item}");
        assert!(
            item["error"]["code"].is_string() && item["error"]["message"].is_string(),
            "{sent}: {item}"
        );
    }
}

/// Not one of these is a value that makes sense anywhere, or that could wait for long.
fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!(" \t\n"),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("x".repeat(5_000)),
        json!("\u{202e}\u{1f600}\u{fffd}'; DROP TABLE agents; --"),
        json!("00000000-0000-0000-0000-00000000000g"),
        json!("9999999-99-99T99:99:99Z"),
        json!([null]),
        json!([[[]]]),
        json!(["a\u{0}b"]),
        json!(["two words", ""]),
        json!(vec!["x".repeat(100); 300]),
        json!({"\u{0}": "\u{0}"}),
        json!({"": {}}),
    ]
}

fn put_in(body: &mut Value, place: &str, value: Value) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    let parent = body
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("the body that is understood has no place for {place}"));
    parent[name] = value;
}

fn shortened(body: &Value) -> String {
    body.to_string().chars().take(300).collect()
}

#[rstest]
#[tokio::test]
async fn a_body_with_nonsense_in_any_of_its_places_changes_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    for operation in scene
        .operations()
        .into_iter()
        .filter(|operation| operation.body.is_some())
    {
        let (name, path) = (operation.name(), scene.path(&operation));
        let understood = scene.understood(&operation);
        let places = scene.places(operation.body.as_ref().unwrap(), "");
        assert!(!places.is_empty(), "{name} has a body without members");
        for place in &places {
            // A key that never expires would be no nonsense.
            let sensible = |value: &Value| value.is_null() && place == "/expires_at";
            for value in values().into_iter().filter(|value| !sensible(value)) {
                let mut body = understood.clone();
                put_in(&mut body, place, value);
                let answer = scene.send(&operation, &path, body.to_string()).await;
                is_sane(&answer, &format!("{name} {}", shortened(&body)));
            }
        }
        let mut unknown = understood.clone();
        unknown["\u{0}"] = json!("\u{0}");
        is_sane(&scene.send(&operation, &path, unknown.to_string()).await, &name);
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_body_that_is_no_object_of_json_is_refused_everywhere(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let malformed: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"nul".to_vec(),
        b"{} {}".to_vec(),
        b"{'a': 1}".to_vec(),
        b"{\"a\": 01}".to_vec(),
        b"\0".to_vec(),
        b"\xff\xfe{}".to_vec(),
        b"{\"\xff\": 1}".to_vec(),
        b"{\"a\": \"\\ud800\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        "[".repeat(100_000).into_bytes(),
        "{\"a\":".repeat(100_000).into_bytes(),
        vec![b' '; 100_000],
    ];
    let misshapen = ["[]", "[[]]", "7", "1e999", "\"text\"", "true", "null"];
    for operation in scene
        .operations()
        .into_iter()
        .filter(|operation| operation.body.is_some())
    {
        let (name, path) = (operation.name(), scene.path(&operation));
        for body in &malformed {
            let answer = scene.send(&operation, &path, body.clone()).await;
            let sent = format!(
                "{name} {:?}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
            is_sane(&answer, &sent);
            assert!([400, 422].contains(&answer.status), "{sent}: {}", answer.status);
        }
        for body in misshapen {
            let answer = scene.send(&operation, &path, body).await;
            is_sane(&answer, &name);
            assert!(
                [400, 422].contains(&answer.status),
                "{name} {body}: {}",
                answer.status
            );
        }
        let understood = scene.understood(&operation).to_string();
        for media_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/yaml",
            "json",
            "\"",
            "",
        ] {
            let request = scene
                .request(&operation, &path)
                .header("Content-Type", media_type);
            let answer = Answer::of(request.body(understood.clone())).await;
            assert_eq!(
                refusal(&answer),
                refused(415, "unsupported_media_type"),
                "{name} {media_type:?}"
            );
        }
        let answer = Answer::of(scene.request(&operation, &path).body(understood)).await;
        assert_eq!(refusal(&answer), refused(415, "unsupported_media_type"), "{name}");
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn an_id_that_is_none_is_refused_everywhere(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let ids = [
        "nonsense",
        "%00",
        "%FF%FE",
        "%20",
        "-1",
        "1e9",
        "00000000-0000-0000-0000-00000000000g",
        "'%3B%20DROP%20TABLE%20agents%3B--",
        "%E2%80%AE",
        &"9".repeat(5_000),
    ];
    for operation in scene
        .operations()
        .into_iter()
        .filter(|operation| operation.template.contains('{'))
    {
        let name = operation.name();
        let body = operation
            .body
            .as_ref()
            .map(|_| scene.understood(&operation))
            .unwrap_or(json!({}));
        for id in ids {
            let segments = operation
                .template
                .split('/')
                .map(|part| if part.starts_with('{') { id } else { part });
            let path = segments.collect::<Vec<_>>().join("/");
            let answer = scene.send(&operation, &path, body.to_string()).await;
            is_sane(&answer, &format!("{name} {id}"));
            // A label, a key or a short part is a text; whether there is one is another question.
            let expected: &[u16] = if operation.template.contains("{id}") {
                &[400]
            } else {
                &[400, 404]
            };
            assert!(
                expected.contains(&answer.status),
                "{name} {id}: {}",
                answer.status
            );
        }
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn an_absurd_query_is_refused_or_ignored_and_told(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let texts = [
        "",
        "%00",
        "%FF",
        "%",
        "-1",
        "0",
        "99999999999999999999",
        "1e3",
        "NaN",
        "a%20b",
        "%F0%9F%98%80",
        "'%3B%20DROP%20TABLE%20agents%3B--",
        &"x".repeat(5_000),
    ];
    let whole = [
        "&&&=&==",
        "%",
        "a[]=1&a[b]=2",
        "+",
        "?",
        "limit",
        "limit=1&limit=2",
        &"a=b&".repeat(2_000),
    ];
    for operation in scene.operations() {
        let (name, path) = (operation.name(), scene.path(&operation));
        let body = operation
            .body
            .as_ref()
            .map(|_| scene.understood(&operation).to_string())
            .unwrap_or_default();
        let mut names = operation.parameters.clone();
        names.extend(["limit", "cursor", "\u{202e}"].map(str::to_owned));
        let valued = names
            .iter()
            .flat_map(|name| texts.iter().map(move |text| format!("{name}={text}")));
        for query in valued.chain(whole.map(str::to_owned)) {
            let answer = scene
                .send(&operation, &format!("{path}?{query}"), body.clone())
                .await;
            is_sane(
                &answer,
                &format!("{name}?{}", query.chars().take(80).collect::<String>()),
            );
        }
        for parameter in &operation.parameters {
            let answer = scene
                .send(&operation, &format!("{path}?{parameter}=%00"), body.clone())
                .await;
            assert_eq!(answer.status, 400, "{name}?{parameter}=%00: {}", answer.text);
        }
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_refused_everywhere(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let operations = scene.operations();
    let methods = [
        "GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get",
    ];
    for (template, item) in scene.document["paths"].as_object().unwrap() {
        let known = |method: &&str| item.get(method.to_lowercase()).is_some() && *method != "get";
        let some = operations
            .iter()
            .find(|operation| operation.template == *template)
            .unwrap();
        for method in methods.iter().filter(|method| !known(method)) {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let wrong = Operation {
                method: method.clone(),
                ..some.clone()
            };
            let answer = scene.send(&wrong, &scene.path(some), "{}").await;
            assert_eq!(
                refusal(&answer),
                refused(405, "method_not_allowed"),
                "{method} {template}"
            );
            assert!(!answer.header("allow").is_empty(), "{method} {template}");
        }
    }
    scene.is_as(&before, "all of them").await;
}

#[rstest]
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_everywhere(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let limits = Limits {
        body_bytes_max: 2_000,
        ..Limits::default()
    };
    let scene = Scene::start(backend, limits).await;
    let before = scene.dump().await;
    for operation in scene.operations() {
        let (name, path) = (operation.name(), scene.path(&operation));
        let answer = scene.send(&operation, &path, " ".repeat(2_001)).await;
        assert_eq!(refusal(&answer), refused(413, "body_too_large"), "{name}");
    }
    scene.is_as(&before, "all of them").await;
}

#[rstest]
#[tokio::test]
async fn headers_that_make_no_sense_break_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let headers: [(&str, &[u8]); 12] = [
        ("Accept", b"\xff"),
        ("Accept", b"nothing/at-all;q=x"),
        ("Accept-Encoding", b"unheard-of"),
        ("Idempotency-Key", b"\xff\xfe"),
        ("Idempotency-Key", b""),
        ("Last-Event-ID", b"\xff"),
        ("X-Request-Id", b"\xff\xfe"),
        ("traceparent", b"00-\xff"),
        ("traceparent", b"00-0-0-0"),
        ("Range", b"bytes=9-1"),
        ("Expect", b"the unexpected"),
        ("Cookie", b"a=\xff"),
    ];
    for operation in scene.operations() {
        let (name, path) = (operation.name(), scene.path(&operation));
        let body = operation
            .body
            .as_ref()
            .map(|_| scene.understood(&operation).to_string())
            .unwrap_or_default();
        for (header, value) in headers {
            let request = scene
                .request(&operation, &path)
                .header("Content-Type", "application/json");
            let answer = Answer::of(request.header(header, value).body(body.clone())).await;
            is_sane(&answer, &format!("{name} {header}"));
        }
        if operation.template.starts_with("/api/") {
            for key in [
                &b"\xff"[..],
                b"",
                b"Basic YTpi",
                b"Bearer",
                b"Bearer  two",
                b"brokkr_BR_",
                b"Bearer \0",
            ] {
                let Ok(value) = reqwest::header::HeaderValue::from_bytes(key) else {
                    continue;
                };
                let request = scene
                    .broker
                    .http(operation.method.clone(), &path)
                    .header("Authorization", value);
                let answer = Answer::of(
                    request
                        .header("Content-Type", "application/json")
                        .body(body.clone()),
                )
                .await;
                assert_eq!(answer.status, 401, "{name} {key:?}");
                is_sane(&answer, &name);
            }
        }
        scene.is_as(&before, &name).await;
    }
}
