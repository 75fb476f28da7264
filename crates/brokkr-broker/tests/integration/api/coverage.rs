//! Every operation of the API with every kind of caller, without a key, and with nonsense. The table below is held against
//! the OpenAPI document, so an operation that is forgotten here fails the test.

use std::collections::BTreeSet;

use brokkr_api::PakText;
use brokkr_broker::api::openapi;
use brokkr_testkit::{Answer, Backend, TestAgent, TestBroker, TestGenerator, TestViewer};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{refusal, refused};

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everybody, even without a key.
    Open,
    /// Everybody with a key.
    Any,
    /// An administrator, for a change.
    Admin,
    /// An administrator or a viewer.
    Reader,
    /// An administrator, a viewer or a generator.
    GeneratorsToo,
    /// An administrator, a viewer or the agent that is looked for.
    Finder,
    /// The agent of the path.
    OwnAgent,
    /// An administrator or the agent of the path, for a change.
    AdminOrAgent,
    /// An administrator, a viewer or the agent of the path.
    AgentReader,
    /// An administrator or the agent of the body, for a change.
    AdminOrAgentOfBody,
    /// An administrator or any agent: what there is to know of the order is looked at first.
    AdminOrAnyAgent,
    /// An administrator or the generator of the path, for a change.
    AdminOrGenerator,
    /// An administrator, a viewer or the generator of the path.
    GeneratorReader,
}

use Access::*;

/// Method, path, who may call it, and a body that makes sense, in which `AGENT` stands for the own agent's id.
const OPERATIONS: &[(&str, &str, Access, Option<&str>)] = &[
    ("GET", "/healthz", Open, None),
    ("GET", "/readyz", Open, None),
    ("GET", "/metrics", Open, None),
    ("POST", "/api/v1/auth/pak", Any, None),
    (
        "POST",
        "/api/v1/agents",
        Admin,
        Some(r#"{"name": "new", "cluster_name": "c"}"#),
    ),
    ("GET", "/api/v1/agents", GeneratorsToo, None),
    ("GET", "/api/v1/agents/", Finder, None),
    ("GET", "/api/v1/agents/{id}", AgentReader, None),
    ("PUT", "/api/v1/agents/{id}", AdminOrAgent, Some("{}")),
    ("DELETE", "/api/v1/agents/{id}", Admin, None),
    ("POST", "/api/v1/agents/{id}/rotate-pak", AdminOrAgent, None),
    ("POST", "/api/v1/agents/{id}/heartbeat", OwnAgent, Some("{}")),
    ("GET", "/api/v1/agents/{id}/labels", AgentReader, None),
    (
        "POST",
        "/api/v1/agents/{id}/labels",
        Admin,
        Some(r#"{"agent_id": "AGENT", "label": "l"}"#),
    ),
    ("DELETE", "/api/v1/agents/{id}/labels/{label}", Admin, None),
    ("GET", "/api/v1/agents/{id}/annotations", AgentReader, None),
    (
        "POST",
        "/api/v1/agents/{id}/annotations",
        Admin,
        Some(r#"{"agent_id": "AGENT", "key": "k", "value": "v"}"#),
    ),
    ("DELETE", "/api/v1/agents/{id}/annotations/{key}", Admin, None),
    (
        "GET",
        "/api/v1/agents/{id}/work-orders/pending",
        AgentReader,
        None,
    ),
    (
        "POST",
        "/api/v1/agents/{id}/claims",
        OwnAgent,
        Some(r#"{"instance_id": "i"}"#),
    ),
    ("GET", "/api/v1/agents/{id}/claims", AgentReader, None),
    (
        "POST",
        "/api/v1/agents/{id}/renewals",
        OwnAgent,
        Some(r#"{"instance_id": "i", "claims": []}"#),
    ),
    (
        "POST",
        "/api/v1/agents/{id}/endings",
        OwnAgent,
        Some(r#"{"endings": []}"#),
    ),
    (
        "POST",
        "/api/v1/agents/{id}/output",
        OwnAgent,
        Some(r#"{"chunks": []}"#),
    ),
    ("POST", "/api/v1/generators", Admin, Some(r#"{"name": "new"}"#)),
    ("GET", "/api/v1/generators", Reader, None),
    ("GET", "/api/v1/generators/{id}", GeneratorReader, None),
    ("PUT", "/api/v1/generators/{id}", AdminOrGenerator, Some("{}")),
    ("DELETE", "/api/v1/generators/{id}", AdminOrGenerator, None),
    (
        "POST",
        "/api/v1/generators/{id}/rotate-pak",
        AdminOrGenerator,
        None,
    ),
    (
        "POST",
        "/api/v1/paks",
        Admin,
        Some(r#"{"name": "new", "role": "viewer"}"#),
    ),
    ("GET", "/api/v1/paks", Reader, None),
    ("DELETE", "/api/v1/paks/{short}", Admin, None),
    (
        "POST",
        "/api/v1/work-orders",
        Admin,
        Some(r#"{"work_type": "t", "yaml_content": "a: 1", "target_agent_ids": ["AGENT"]}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/batch",
        Admin,
        Some(r#"{"work_orders": [{"work_type": "t", "yaml_content": "a: 1"}]}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/preview",
        Reader,
        Some(r#"{"work_type": "t", "yaml_content": "a: 1", "target_agent_ids": ["AGENT"]}"#),
    ),
    ("GET", "/api/v1/work-orders/{id}/explain", Reader, None),
    ("GET", "/api/v1/work-orders", Reader, None),
    ("GET", "/api/v1/work-orders/{id}", Reader, None),
    ("DELETE", "/api/v1/work-orders/{id}", Admin, None),
    (
        "POST",
        "/api/v1/work-orders/{id}/claim",
        AdminOrAgentOfBody,
        Some(r#"{"agent_id": "AGENT"}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/{id}/complete",
        AdminOrAnyAgent,
        Some(r#"{"success": true}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/{id}/release",
        AdminOrAgentOfBody,
        Some(r#"{"agent_id": "AGENT", "attempt": 1}"#),
    ),
    ("POST", "/api/v1/work-orders/{id}/cancel", Admin, Some("{}")),
    ("POST", "/api/v1/work-orders/{id}/retry", Admin, None),
    ("GET", "/api/v1/events", Reader, None),
    ("POST", "/api/v1/work-order-log/retries", Admin, Some("{}")),
    ("GET", "/api/v1/work-orders/{id}/targeting", Reader, None),
    (
        "PUT",
        "/api/v1/work-orders/{id}/targeting",
        Admin,
        Some(r#"{"labels": ["l"]}"#),
    ),
    ("GET", "/api/v1/work-orders/{id}/attempts", Reader, None),
    ("GET", "/api/v1/work-orders/{id}/output", Reader, None),
    ("GET", "/api/v1/work-order-log", Reader, None),
    (
        "POST",
        "/api/v1/webhooks",
        Admin,
        Some(r#"{"name": "new", "url": "https://hooks.example.com/", "event_types": ["*"]}"#),
    ),
    ("GET", "/api/v1/webhooks", Reader, None),
    ("GET", "/api/v1/webhooks/{id}", Reader, None),
    ("PUT", "/api/v1/webhooks/{id}", Admin, Some("{}")),
    ("DELETE", "/api/v1/webhooks/{id}", Admin, None),
    ("POST", "/api/v1/webhooks/{id}/rotate-secret", Admin, Some("{}")),
    ("POST", "/api/v1/webhooks/{id}/enable", Admin, Some("{}")),
    ("POST", "/api/v1/webhooks/{id}/disable", Admin, None),
    ("POST", "/api/v1/webhooks/{id}/test", Admin, None),
    ("GET", "/api/v1/webhooks/{id}/deliveries", Reader, None),
    ("GET", "/api/v1/webhooks/{id}/deliveries/{delivery}", Reader, None),
    (
        "POST",
        "/api/v1/webhooks/{id}/deliveries/{delivery}/replay",
        Admin,
        None,
    ),
    (
        "POST",
        "/api/v1/webhooks/{id}/replays",
        Admin,
        Some(r#"{"since": "2026-01-01T00:00:00Z"}"#),
    ),
    ("GET", "/api/v1/work-order-log/{id}", Reader, None),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    OwnAgent,
    OtherAgent,
    OwnGenerator,
    OtherGenerator,
    Viewer,
    Admin,
}

impl Access {
    /// The code of the refusal; `None` for who may call.
    fn refusal_of(self, who: Who) -> Option<&'static str> {
        use Who::{
            Admin as AdminCalls, OtherAgent, OtherGenerator, OwnAgent as OwnAgentCalls, OwnGenerator, Viewer,
        };
        match (self, who) {
            (Open | Any, _) => None,
            (Self::OwnAgent, OwnAgentCalls) => None,
            (Self::OwnAgent, _) => Some("agent_pak_mismatch"),
            (_, AdminCalls) => None,
            (Reader | GeneratorsToo | Finder | AgentReader | GeneratorReader, Viewer) => None,
            (_, Viewer) => Some("read_only"),
            (GeneratorsToo, OwnGenerator | OtherGenerator) => None,
            (GeneratorsToo, _) => Some("generator_required"),
            (Finder | AdminOrAgent | AgentReader | AdminOrAgentOfBody, OwnAgentCalls) => None,
            (AdminOrAnyAgent, OwnAgentCalls | OtherAgent) => None,
            (AdminOrAgentOfBody | AdminOrAnyAgent, OwnGenerator | OtherGenerator) => Some("admin_required"),
            (Finder | AdminOrAgent | AgentReader | AdminOrAgentOfBody, _) => Some("agent_pak_mismatch"),
            (AdminOrGenerator | GeneratorReader, OwnGenerator) => None,
            (AdminOrGenerator | GeneratorReader, _) => Some("generator_pak_mismatch"),
            (Admin | Reader, _) => Some("admin_required"),
        }
    }
}

struct Scene {
    broker: TestBroker,
    agents: [TestAgent; 2],
    generators: [TestGenerator; 2],
    viewer: TestViewer,
}

impl Scene {
    async fn of(broker: TestBroker) -> Self {
        let agents = [broker.agent().await, broker.agent().await];
        let generators = [broker.generator().await, broker.generator().await];
        let viewer = broker.viewer().await;
        Self {
            broker,
            agents,
            generators,
            viewer,
        }
    }

    /// The same broker with nobody of before.
    async fn anew(self) -> Self {
        Self::of(self.broker).await
    }

    fn pak(&self, who: Who) -> &PakText {
        match who {
            Who::OwnAgent => &self.agents[0].pak,
            Who::OtherAgent => &self.agents[1].pak,
            Who::OwnGenerator => &self.generators[0].pak,
            Who::OtherGenerator => &self.generators[1].pak,
            Who::Viewer => &self.viewer.pak,
            Who::Admin => self.broker.admin_pak(),
        }
    }

    async fn path(&self, template: &str) -> String {
        let id = match template.split('/').nth(3) {
            Some("agents") => self.agents[0].id,
            Some("generators") => self.generators[0].id,
            _ => Uuid::from_u128(7),
        };
        let path = template
            .replace("{id}", &id.to_string())
            .replace("{label}", "l")
            .replace("{key}", "k")
            .replace("{short}", "abcdefgh");
        if !path.ends_with("agents/") {
            return path;
        }
        let own = self.broker.admin().agent(id).await.unwrap();
        format!("{path}?name={}&cluster_name={}", own.name, own.cluster_name)
    }

    fn request(&self, method: &str, path: &str, body: Option<&str>) -> reqwest::RequestBuilder {
        let request = self
            .broker
            .http(Method::from_bytes(method.as_bytes()).unwrap(), path);
        match body {
            Some(body) => request
                .header("Content-Type", "application/json")
                .body(body.replace("AGENT", &self.agents[0].id.to_string())),
            None => request,
        }
    }
}

#[test]
fn every_operation_is_in_the_table() {
    let document: Value = serde_json::from_str(&openapi::text(openapi::document())).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let tested: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|(method, path, ..)| format!("{method} {path}"))
        .collect();
    assert_eq!(documented, tested);
    for (method, path, _, body) in OPERATIONS {
        let operation = &paths[*path][method.to_lowercase()];
        assert_eq!(
            operation.get("requestBody").is_some(),
            body.is_some(),
            "{method} {path}"
        );
    }
}

#[rstest]
#[tokio::test]
async fn every_operation_refuses_whoever_may_not_call_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let mut scene = Scene::of(TestBroker::start(backend).await).await;
    for &(method, template, access, body) in OPERATIONS {
        let name = format!("{method} {template}");
        let path = scene.path(template).await;
        let all = [
            Who::OtherAgent,
            Who::OtherGenerator,
            Who::Viewer,
            Who::OwnAgent,
            Who::OwnGenerator,
            Who::Admin,
        ];
        let (allowed, refused_ones): (Vec<Who>, Vec<Who>) =
            all.into_iter().partition(|who| access.refusal_of(*who).is_none());
        // Who may call comes last, since some calls are the end of a key.
        for who in refused_ones.into_iter().chain(allowed) {
            let request = scene
                .request(method, &path, body)
                .bearer_auth(scene.pak(who).expose());
            let answer = Answer::of(request).await;
            match access.refusal_of(who) {
                Some(code) => assert_eq!(refusal(&answer), refused(403, code), "{name} by {who:?}"),
                None => assert!(
                    ![401, 403, 405, 415, 422].contains(&answer.status) && answer.status < 500,
                    "{name} by {who:?}: {} {}",
                    answer.status,
                    answer.text
                ),
            }
        }
        scene = scene.anew().await;
    }
}

#[rstest]
#[tokio::test]
async fn every_operation_refuses_nobody_and_keys_that_nobody_has(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::of(TestBroker::start(backend).await).await;
    let invented = PakText::new(format!("brokkr_BRabcdefgh_{}", "a".repeat(32)));
    for &(method, template, access, body) in OPERATIONS.iter().filter(|(_, _, access, _)| *access != Open) {
        let name = format!("{method} {template} {access:?}");
        let path = scene.path(template).await;
        let none = Answer::of(scene.request(method, &path, body)).await;
        assert_eq!(refusal(&none), refused(401, "missing_credentials"), "{name}");
        let unknown = Answer::of(scene.request(method, &path, body).bearer_auth(invented.expose())).await;
        assert_eq!(refusal(&unknown), refused(401, "invalid_credentials"), "{name}");
    }
}

#[rstest]
#[tokio::test]
async fn every_operation_refuses_bodies_and_ids_that_make_no_sense(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::of(TestBroker::start(backend).await).await;
    for &(method, template, access, body) in OPERATIONS {
        let name = format!("{method} {template}");
        let path = scene.path(template).await;
        let pak = scene.pak(if access == OwnAgent {
            Who::OwnAgent
        } else {
            Who::Admin
        });
        let send = async |path: &str, media_type: &str, body: &str| {
            let request = scene.request(method, path, None).bearer_auth(pak.expose());
            Answer::of(request.header("Content-Type", media_type).body(body.to_owned())).await
        };
        if body.is_some() {
            for (nonsense, status, code) in [
                ("{", 400, "invalid_json"),
                ("\u{0}", 400, "invalid_json"),
                ("[[]]", 422, "invalid_body"),
                ("\"text\"", 422, "invalid_body"),
            ] {
                let answer = send(&path, "application/json", nonsense).await;
                assert_eq!(
                    refusal(&answer),
                    refused(status, code),
                    "{name} with {nonsense:?}"
                );
            }
            let answer = send(&path, "text/plain", "{}").await;
            assert_eq!(refusal(&answer), refused(415, "unsupported_media_type"), "{name}");
        }
        // An agent's own calls compare ids first; anybody else's nonsense is told to be that.
        if template.contains("{id}") {
            let path = template
                .replace("{id}", "nonsense")
                .replace("{label}", "l")
                .replace("{key}", "k");
            let answer = send(&path, "application/json", body.unwrap_or_default()).await;
            assert_eq!(refusal(&answer), refused(400, "invalid_id"), "{name}");
        }
    }
    let listed = scene
        .broker
        .http(Method::GET, "/api/v1/agents")
        .bearer_auth(scene.broker.admin_pak().expose());
    assert_eq!(
        Answer::of(listed).await.json().as_array().unwrap().len(),
        2,
        "nothing has changed"
    );
}

#[tokio::test]
async fn no_nonsense_in_a_body_is_answered_with_the_brokers_own_failure() {
    let scene = Scene::of(TestBroker::start(Backend::Sqlite).await).await;
    let values = [
        json!(null),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!("x".repeat(70_000)),
        json!([]),
        json!([null]),
        json!({"\u{0}": "\u{0}"}),
        json!("0000-00-00T00:00:00Z"),
    ];
    for &(method, template, access, body) in OPERATIONS {
        let Some(Value::Object(body)) = body.map(|body| serde_json::from_str(body).unwrap()) else {
            continue;
        };
        let path = scene.path(template).await;
        let pak = scene.pak(if access == OwnAgent {
            Who::OwnAgent
        } else {
            Who::Admin
        });
        for field in body.keys() {
            for value in &values {
                let mut odd = body.clone();
                odd.insert(field.clone(), value.clone());
                let odd = Value::Object(odd).to_string();
                let answer =
                    Answer::of(scene.request(method, &path, Some(&odd)).bearer_auth(pak.expose())).await;
                assert!(
                    answer.status < 500,
                    "{method} {template} {field}: {} {}",
                    answer.status,
                    answer.text
                );
            }
        }
    }
}
