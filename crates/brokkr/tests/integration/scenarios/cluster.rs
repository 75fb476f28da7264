//! A cluster, a namespace in it, a broker, and an agent for both.

use std::fs;
use std::path::PathBuf;

use brokkr_testkit_kube::FakeKube;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};

use crate::world::{BrokerProcess, Database, Finished, Process, World, until};

/// The kubeconfig of the cluster to use instead of a fake one.
const KUBECONFIG: &str = "BROKKR_TEST_KUBECONFIG";
/// The image of the containers there; it has a shell and the usual small tools.
const IMAGE: &str = "BROKKR_TEST_IMAGE";
/// The label that leads orders to the agent.
const LABEL: &str = "cluster";

/// Everything that a scenario needs.
pub(crate) struct Scene {
    /// The first to go: it needs the kubeconfig, which is in the world.
    _cleanup: Cleanup,
    pub(crate) world: World,
    pub(crate) broker: BrokerProcess,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) kubeconfig: PathBuf,
    image: String,
    /// Lives as long as the scene; not there when the cluster is a real one.
    _fake: Option<FakeKube>,
}

impl Scene {
    /// A broker, and a cluster with an empty namespace.
    pub(crate) async fn new() -> Scene {
        let world = World::new();
        let kubeconfig = world.path("kubeconfig");
        let fake = match std::env::var_os(KUBECONFIG) {
            Some(real) => {
                fs::copy(&real, &kubeconfig).expect("the kubeconfig can be read");
                None
            }
            None => {
                let fake = FakeKube::start().await;
                fs::write(&kubeconfig, fake.kubeconfig()).expect("the directory can be written");
                Some(fake)
            }
        };
        let client = client(&kubeconfig).await;
        let namespace = create_namespace(&client).await;
        let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
        Scene {
            image: std::env::var(IMAGE).unwrap_or_else(|_| "busybox".to_owned()),
            _cleanup: Cleanup {
                kubeconfig: fake.is_none().then(|| kubeconfig.clone()),
                namespace: namespace.clone(),
            },
            world,
            broker,
            client,
            namespace,
            kubeconfig,
            _fake: fake,
        }
    }

    /// The agent, made known to the broker and started.
    pub(crate) async fn agent(&self) -> Process {
        self.agent_with(&[]).await
    }

    /// The same, with more arguments.
    pub(crate) async fn agent_with(&self, more: &[&str]) -> Process {
        let pak_file = self.world.path("agent.pak").display().to_string();
        let args = ["create", "agent", "kube", "-l", LABEL, "--save-pak", &pak_file];
        self.broker.run(&self.world, &args).await.with_code(0);
        self.start_agent("agent.state", more)
    }

    /// Another process of the agent, with the state that the one before left.
    pub(crate) fn restart_agent(&self) -> Process {
        self.start_agent("agent.state", &[])
    }

    /// Another process of the agent, as if it were on another host.
    pub(crate) fn second_agent(&self) -> Process {
        self.start_agent("second.state", &[])
    }

    fn start_agent(&self, state: &str, more: &[&str]) -> Process {
        let path = |name: &str| self.world.path(name).display().to_string();
        let (pak_file, state, kubeconfig) = (path("agent.pak"), path(state), path("kubeconfig"));
        let url = self.broker.url();
        let args = [
            "agent",
            "--broker",
            &url,
            "--pak-file",
            &pak_file,
            "--state-dir",
            &state,
            "--kube",
            "--kubeconfig",
            &kubeconfig,
            "--kube-namespace",
            &self.namespace,
            "--lease-seconds",
            "5",
            "--wait-seconds",
            "5",
            "--grace-seconds",
            "2",
        ];
        let variables = [
            ("BROKKR__AGENT__KUBERNETES__STUCK_SECONDS", "3"),
            ("BROKKR__AGENT__ORPHAN_SECONDS", "2"),
        ];
        Process::start(self.world.root(), &[args.as_slice(), more].concat(), &variables)
    }

    /// Submits and stays until the ending.
    pub(crate) async fn submit_and_wait(&self, file: &str, more: &[&str]) -> Finished {
        let args = [["submit", "-f", file, "-l", LABEL, "--follow"].as_slice(), more].concat();
        self.broker.run(&self.world, &args).await
    }

    /// Submits and answers the order's id.
    pub(crate) async fn submit(&self, file: &str, more: &[&str]) -> String {
        let args = [["submit", "-f", file, "-l", LABEL].as_slice(), more].concat();
        self.broker.run(&self.world, &args).await.with_code(0).order()
    }

    /// Waits for the ending, which has this exit code, and answers its log entry.
    pub(crate) async fn ended(&self, order: &str, code: i32) -> Value {
        self.broker
            .run(&self.world, &["wait", order])
            .await
            .with_code(code);
        self.entry(order).await
    }

    /// The log entry of an order that has ended.
    pub(crate) async fn entry(&self, order: &str) -> Value {
        self.broker
            .run(&self.world, &["get", "log", order, "-o", "json"])
            .await
            .with_code(0)
            .json()
    }

    /// What the containers of an order printed, without the remarks of the agent.
    pub(crate) async fn output(&self, order: &str) -> String {
        self.broker
            .run(&self.world, &["logs", order])
            .await
            .with_code(0)
            .stdout
    }

    /// A file with a Job whose container runs `script`.
    pub(crate) fn job(&self, script: &str) -> String {
        self.job_with(script, json!({}))
    }

    /// The same, with more in the pod's `spec`.
    pub(crate) fn job_with(&self, script: &str, more: Value) -> String {
        let mut pod = json!({
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [self.container("main", script)],
        });
        merge(&mut pod, more);
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "work" },
            "spec": { "backoffLimit": 0, "template": { "spec": pod } },
        });
        self.document("job.yaml", &[job])
    }

    /// A container that runs `script`.
    pub(crate) fn container(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "image": self.image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script],
        })
    }

    /// A file with these documents. JSON is YAML.
    pub(crate) fn document(&self, name: &str, documents: &[Value]) -> String {
        let texts: Vec<String> = documents
            .iter()
            .map(|document| serde_json::to_string_pretty(document).expect("it is JSON"))
            .collect();
        self.world.file(name, &texts.join("\n---\n"))
    }

    /// Every Job in the namespace.
    pub(crate) async fn jobs(&self) -> Vec<Job> {
        list(&Api::namespaced(self.client.clone(), &self.namespace)).await
    }

    /// Every pod in the namespace.
    pub(crate) async fn pods(&self) -> Vec<Pod> {
        list(&Api::namespaced(self.client.clone(), &self.namespace)).await
    }

    /// Waits until a container of the namespace runs, and has printed this.
    pub(crate) async fn printed(&self, order: &str, text: &str) {
        until("output", async || {
            self.output(order).await.contains(text).then_some(())
        })
        .await;
    }
}

async fn list<K>(api: &Api<K>) -> Vec<K>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.list(&ListParams::default())
        .await
        .expect("the cluster answers")
        .items
}

/// Adds the members of `more` to those of `object`.
fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

async fn client(kubeconfig: &std::path::Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("a usable kubeconfig");
    Client::try_from(config).expect("a client")
}

async fn create_namespace(client: &Client) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "generateName": "brokkr-test-" },
    }))
    .expect("a namespace");
    let created = namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .expect("a namespace can be created");
    created.name_any()
}

/// Removes the namespace of a real cluster, also when the test has failed.
struct Cleanup {
    kubeconfig: Option<PathBuf>,
    namespace: String,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let (Some(kubeconfig), namespace) = (self.kubeconfig.take(), self.namespace.clone()) else {
            return;
        };
        // The runtime of the test cannot be blocked on from here.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let namespaces: Api<Namespace> = Api::all(client(&kubeconfig).await);
                namespaces.delete(&namespace, &DeleteParams::background()).await
            })
        });
        if !matches!(removed.join(), Ok(Ok(_))) {
            eprintln!("could not remove the namespace {}", self.namespace);
        }
    }
}
