//! A broker with something of every kind, and what can be sent to it.

use std::collections::BTreeSet;

use brokkr_api::{
    AgentReport, AppendOutput, Cancel, Heartbeat, OutputChunk, PakText, RenewalsRequest, Time, WorkOrder,
    WorkTypeReport,
};
use brokkr_broker::config::Limits;
use brokkr_broker::dal::audit;
use brokkr_testkit::{Answer, Backend, TestAgent, TestBroker};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::call::{get, refusal};
use crate::api::endings::claimed;

const UNKNOWN: Uuid = Uuid::from_u128(0x7777);

/// An operation of the description.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) template: String,
    /// The schema of its body.
    pub(super) body: Option<Value>,
    pub(super) parameters: Vec<String>,
}

impl Operation {
    pub(super) fn name(&self) -> String {
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
pub(super) struct Scene {
    pub(super) broker: TestBroker,
    pub(super) document: Value,
    pub(super) agent: TestAgent,
    pub(super) orders: Vec<WorkOrder>,
}

impl Scene {
    pub(super) async fn start(backend: Backend, limits: Limits) -> Self {
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
        // What is sent later says the same and changes nothing.
        let renewal = RenewalsRequest {
            instance_id: "process-1".to_owned(),
            report: Some(reported()),
            ..RenewalsRequest::default()
        };
        agent.client.renew(agent.id, &renewal).await.unwrap();
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

    pub(super) fn operations(&self) -> Vec<Operation> {
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
    pub(super) fn path(&self, operation: &Operation) -> String {
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

    pub(super) fn request(&self, operation: &Operation, path: &str) -> RequestBuilder {
        self.broker
            .http(operation.method.clone(), path)
            .bearer_auth(self.pak(operation).expose())
    }

    /// Sends it, with a body of which it is only said that it is JSON.
    pub(super) async fn send(
        &self,
        operation: &Operation,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self
            .request(operation, path)
            .header("Content-Type", "application/json");
        Answer::of(request.body(body)).await
    }

    /// A body that the operation understands, and refuses for the very last of its reasons.
    pub(super) fn understood(&self, operation: &Operation) -> Value {
        let order = json!({
            "work_type": "command", "yaml_content": "a: 1",
            "targeting": {"agent_ids": [UNKNOWN], "labels": ["l"], "annotations": {"k": "v"}},
            "target_agent_ids": [Uuid::max()],
        });
        match operation.name().as_str() {
            "POST /api/v1/agents" => {
                json!({"name": "agent-1", "cluster_name": "test", "generator_ids": [UNKNOWN]})
            }
            "PUT /api/v1/agents/{id}" | "PUT /api/v1/generators/{id}" => json!({}),
            "POST /api/v1/agents/{id}/heartbeat" => json!({}),
            "POST /api/v1/agents/{id}/labels" => json!({"agent_id": UNKNOWN, "label": "l"}),
            "POST /api/v1/agents/{id}/annotations" => json!({"agent_id": UNKNOWN, "key": "k", "value": "v"}),
            "POST /api/v1/agents/{id}/claims" => json!({"instance_id": "process-1"}),
            "POST /api/v1/agents/{id}/renewals" => {
                json!({
                    "instance_id": "process-1", "claims": [{"id": UNKNOWN, "attempt": 1}],
                    "report": reported(),
                })
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
            "POST /api/v1/work-orders" | "POST /api/v1/work-orders/preview" => order,
            "POST /api/v1/work-orders/batch" => json!({"work_orders": [order]}),
            "POST /api/v1/work-orders/{id}/claim" => json!({"agent_id": self.agent.id}),
            "POST /api/v1/work-orders/{id}/complete" => json!({"success": true}),
            "POST /api/v1/work-orders/{id}/release" => json!({"agent_id": self.agent.id, "attempt": 1}),
            "POST /api/v1/work-orders/{id}/cancel" => json!({}),
            // None of the scene is for it.
            "POST /api/v1/work-orders/cancellations" => json!({"label": "nobody-has-it"}),
            // None of the scene was lost.
            "POST /api/v1/work-order-log/retries" => json!({"endings": ["lost"]}),
            "POST /api/v1/webhooks" => json!({
                "name": "new", "url": "https://hooks.example.com/", "event_types": ["*"], "agent_ids": [UNKNOWN],
                "labels": ["l"], "auth_header": "Bearer x",
            }),
            "PUT /api/v1/webhooks/{id}" => json!({"name": "other"}),
            "POST /api/v1/webhooks/{id}/rotate-secret" => json!({"overlap_seconds": 60}),
            "POST /api/v1/webhooks/{id}/enable" => json!({"skip_missed": true}),
            "POST /api/v1/webhooks/{id}/replays" => {
                json!({"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "delivered": true})
            }
            "PUT /api/v1/work-orders/{id}/targeting" => json!({"agent_ids": [UNKNOWN], "labels": ["l"]}),
            unknown => panic!("this test does not know what to send to {unknown}"),
        }
    }

    /// Everything that the broker knows, and how often it noted that somebody did something.
    pub(super) async fn dump(&self) -> Value {
        let mut paths: Vec<String> = [
            "agents",
            "generators",
            "paks",
            "webhooks",
            "work-orders",
            "work-order-log",
        ]
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
    pub(super) async fn is_as(&self, before: &Value, sent: &str) {
        let after = self.dump().await;
        for (path, was) in before.as_object().unwrap() {
            assert_eq!(&after[path], was, "{path} after {sent}");
        }
    }

    /// Every place in a body that the schema names, as JSON pointers into what is understood.
    pub(super) fn places(&self, schema: &Value, place: &str) -> BTreeSet<String> {
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
    Heartbeat {
        k8s_reachable: Some(true),
        k8s_api_latency_ms: Some(12),
    }
}

/// What the agent says of itself.
fn reported() -> AgentReport {
    let work_type = WorkTypeReport {
        work_type: "t".to_owned(),
        ..WorkTypeReport::default()
    };
    AgentReport {
        slots: 1,
        work_types: vec![work_type],
        ..AgentReport::default()
    }
}

/// It is no failure of the broker; a refusal is an error body and nothing else; and no item of a batch is otherwise.
pub(super) fn is_sane(answer: &Answer, sent: &str) {
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
pub(super) fn values() -> Vec<Value> {
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

pub(super) fn put_in(body: &mut Value, place: &str, value: Value) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    let parent = body
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("the body that is understood has no place for {place}"));
    parent[name] = value;
}

pub(super) fn shortened(body: &Value) -> String {
    body.to_string().chars().take(300).collect()
}
