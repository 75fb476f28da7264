//! Every operation of the API with every kind of caller, without a key, and with nonsense. The table below is held against
//! the OpenAPI document, so an operation that is forgotten here fails the test.

mod operations;

use std::collections::BTreeSet;

use brokkr_api::PakText;
use brokkr_broker::api::openapi;
use brokkr_testkit::{Answer, Backend, TestAgent, TestBroker, TestGenerator, TestViewer};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{refusal, refused};

use operations::Access::{self, *};
use operations::OPERATIONS;

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
