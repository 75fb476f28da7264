//! Work of type `build`: the whole agent between a broker and a cluster with Shipwright.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::attempt::AttemptId;
use brokkr_agent::clock::SystemClock;
use brokkr_agent::execute::KubeExecutorSettings;
use brokkr_agent::execute::build::BuildExecutor;
use brokkr_agent::policy::{AgentPolicy, ClusterPolicy};
use brokkr_testkit_kube::{BuildScript, FakeKube};
use serde_json::{Value, json};

use crate::agent::{Host, RunningAgent};
use crate::broker::FakeBroker;
use crate::cluster::connect;
use crate::manifests::{message_of, name_of, timing};

const BUILD: &str = "apiVersion: shipwright.io/v1beta1
kind: Build
metadata: {name: app}
spec:
  source: {type: Git, git: {url: https://git.test/app}}
  strategy: {name: buildah, kind: ClusterBuildStrategy}
  output: {image: registry.test/app:1}
";

const REFERENCE: &str = "apiVersion: brokkr.io/v1alpha1
kind: WorkOrder
metadata: {name: nightly}
spec:
  buildRef: {name: app}
";

struct Scene {
    host: Host,
    broker: FakeBroker,
    kube: FakeKube,
}

impl Scene {
    async fn start() -> Self {
        Self::on(FakeKube::builder().shipwright(true).start().await).await
    }

    async fn on(kube: FakeKube) -> Self {
        Self {
            host: Host::new(),
            broker: FakeBroker::start().await,
            kube,
        }
    }

    async fn agent(&self) -> RunningAgent {
        let settings = KubeExecutorSettings {
            grace: Duration::from_secs(1),
            output_bytes_max: 1024 * 1024,
            retention: Duration::from_secs(3600),
        };
        let executor = BuildExecutor::new(
            connect(&self.kube, timing()).await,
            AgentPolicy::default(),
            Arc::new(ClusterPolicy::default()),
            &self.host.state_dir(),
            settings,
            Arc::new(SystemClock),
        )
        .unwrap();
        RunningAgent::start_with(self.host.config(&self.broker), move |agent| {
            agent.with_executor(executor)
        })
    }

    fn submit(&self, yaml: &str) -> AttemptId {
        self.submit_with(yaml, json!({}))
    }

    fn submit_with(&self, yaml: &str, mut members: Value) -> AttemptId {
        members["work_type"] = json!("build");
        members["yaml_content"] = json!(yaml);
        self.broker.submit_with("{}", &members)
    }

    fn runs(&self) -> Vec<Value> {
        self.kube.list("buildruns", Some("default"))
    }

    /// The build says that it has begun, and waits for the gate.
    fn build_patiently(&self) {
        let gate = self.host.path("gate");
        let script = format!("echo begun; until [ -e {} ]; do sleep 0.05; done", gate.display());
        self.kube.script_builds(BuildScript {
            steps: vec![("step-build".to_owned(), script)],
            ..BuildScript::default()
        });
    }

    fn open_gate(&self) {
        std::fs::write(self.host.path("gate"), "").unwrap();
    }
}

#[tokio::test]
async fn a_build_reports_its_digest_as_message_and_image_size_and_commit_as_result() {
    let scene = Scene::start().await;
    let _agent = scene.agent().await;
    let id = scene.submit(BUILD);
    let ending = scene.broker.ending(id).await;

    let script = BuildScript::default();
    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(message_of(&ending), script.digest);
    let result = &ending["result"];
    assert_eq!(result["digest"], script.digest, "{ending}");
    assert_eq!(result["image"], "registry.test/app:1", "{ending}");
    assert_eq!(result["size_bytes"], script.size_bytes, "{ending}");
    assert_eq!(result["commit"], script.commit, "{ending}");
    assert_eq!(scene.broker.see(|world| world.output(id, "stdout")), "building\n");
    let run = &scene.runs()[0];
    assert_eq!(
        run["metadata"]["labels"]["brokkr.io/work-order"],
        id.order.to_string()
    );
}

#[tokio::test]
async fn a_build_that_is_there_already_is_run_by_its_name() {
    let scene = Scene::start().await;
    let _agent = scene.agent().await;
    let first = scene.submit(BUILD);
    scene.broker.ending(first).await;
    let second = scene.submit(REFERENCE);
    let ending = scene.broker.ending(second).await;
    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(scene.runs().len(), 2, "each attempt has a run of its own");
}

#[tokio::test]
async fn a_build_that_is_nowhere_is_refused() {
    let scene = Scene::start().await;
    let _agent = scene.agent().await;
    let id = scene.submit(REFERENCE);
    let ending = scene.broker.ending(id).await;
    assert_eq!(ending["class"], "refused", "{ending}");
    assert!(
        message_of(&ending).contains("Build default/app does not exist"),
        "{ending}"
    );
    assert_eq!(scene.runs().len(), 0);
}

#[tokio::test]
async fn a_build_that_fails_names_pod_container_and_reason() {
    let scene = Scene::start().await;
    scene.kube.script_builds(BuildScript {
        steps: vec![("step-source-default".to_owned(), "echo no; exit 1".to_owned())],
        error: Some(("GitRemotePrivate".to_owned(), "the source is private".to_owned())),
        ..BuildScript::default()
    });
    let _agent = scene.agent().await;
    let id = scene.submit(BUILD);
    let ending = scene.broker.ending(id).await;
    assert_eq!(ending["class"], "work", "{ending}");
    let message = message_of(&ending);
    for word in ["step-source-default", "GitRemotePrivate", "the source is private"] {
        assert!(message.contains(word), "{word:?} in {message:?}");
    }
}

#[tokio::test]
async fn a_cancelled_build_is_cancelled_through_its_own_field_and_gone() {
    let scene = Scene::start().await;
    scene.build_patiently();
    let _agent = scene.agent().await;
    let id = scene.submit(BUILD);
    scene.broker.printed(id, "begun").await;
    scene.broker.change(|world| world.cancel.push(id));
    let ending = scene.broker.ending(id).await;

    assert_eq!(ending["class"], "cancelled", "{ending}");
    let asked = scene.kube.requests().into_iter().any(|request| {
        request.resource == "buildruns" && request.body["spec"]["state"] == "BuildRunCanceled"
    });
    assert!(asked, "the run was asked to cancel itself");
    assert_eq!(scene.kube.list("pods", Some("default")).len(), 0);
}

#[tokio::test]
async fn the_deadline_of_the_order_bounds_the_run() {
    let scene = Scene::start().await;
    scene.build_patiently();
    let _agent = scene.agent().await;
    let id = scene.submit_with(BUILD, json!({ "deadline_seconds": 1 }));
    let ending = scene.broker.ending(id).await;
    assert_eq!(ending["class"], "deadline", "{ending}");
    assert_eq!(scene.runs()[0]["spec"]["timeout"], "1s");
}

#[tokio::test]
async fn an_agent_that_was_killed_adopts_its_build() {
    let scene = Scene::start().await;
    scene.build_patiently();
    let agent = scene.agent().await;
    let id = scene.submit(BUILD);
    scene.broker.printed(id, "begun").await;
    let before = name_of(&scene.runs()[0]).to_owned();
    agent.kill().await;
    let _agent = scene.agent().await;
    scene.open_gate();
    let ending = scene.broker.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    let runs = scene.runs();
    assert_eq!(runs.len(), 1, "it was built once");
    assert_eq!(name_of(&runs[0]), before);
}

#[tokio::test]
async fn a_cluster_without_shipwright_is_given_no_builds_and_the_state_says_so() {
    let scene = Scene::on(FakeKube::start().await).await;
    let _agent = scene.agent().await;
    scene.submit(BUILD);
    scene
        .broker
        .until("a state that says so", |world| {
            let told = world.renewal_requests.iter().any(|request| {
                request["state"]
                    .as_str()
                    .is_some_and(|state| state.contains("Shipwright"))
            });
            told.then_some(())
        })
        .await;
    assert!(
        scene.broker.see(|world| world.held.is_empty()),
        "it was not claimed"
    );
}
