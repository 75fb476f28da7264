//! Work of type `custom`: the whole agent between a broker and a small Kubernetes API server, both of which do as a test says.

mod adoption;
mod applies;
mod cancellation;
mod cleanup;
mod faults;
mod jobs;
mod output;
mod refusals;
mod stops;
mod sweeps;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::AgentConfig;
use brokkr_agent::attempt::AttemptId;
use brokkr_agent::clock::SystemClock;
use brokkr_agent::execute::KubeExecutorSettings;
use brokkr_agent::execute::manifests::ManifestsExecutor;
use brokkr_agent::kube::{Cluster, ClusterTiming};
use brokkr_agent::policy::{AgentPolicy, ClusterPolicy};
use brokkr_testkit_kube::FakeKube;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::agent::{Host, RunningAgent};
use crate::broker::{FakeBroker, work_order};
use crate::cluster::connect;

/// How long anything that ought to happen is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(1);

/// An agent's surroundings.
pub(crate) struct Scene {
    pub(crate) host: Host,
    pub(crate) broker: FakeBroker,
    pub(crate) kube: FakeKube,
    pub(crate) cluster: Cluster,
    policy: ClusterPolicy,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        Self::with(ClusterPolicy::default(), timing()).await
    }

    pub(crate) async fn with_policy(policy: &str) -> Self {
        Self::with(ClusterPolicy::parse(policy).unwrap(), timing()).await
    }

    pub(crate) async fn with(policy: ClusterPolicy, timing: ClusterTiming) -> Self {
        let kube = FakeKube::start().await;
        let cluster = connect(&kube, timing).await;
        Self {
            host: Host::new(),
            broker: FakeBroker::start().await,
            kube,
            cluster,
            policy,
        }
    }

    /// An agent that does manifests.
    pub(crate) fn agent(&self) -> RunningAgent {
        self.agent_with(self.host.config(&self.broker))
    }

    pub(crate) fn agent_with(&self, config: AgentConfig) -> RunningAgent {
        let settings = KubeExecutorSettings {
            grace: GRACE,
            output_bytes_max: 1024 * 1024,
            retention: Duration::from_secs(3600),
        };
        // Each process has its own connection, and knows nothing of what an earlier one had learned.
        let cluster = self.cluster.clone();
        let executor = ManifestsExecutor::new(
            cluster,
            AgentPolicy::default(),
            Arc::new(self.policy.clone()),
            &self.host.state_dir(),
            settings,
            Arc::new(SystemClock),
        );
        let executor = executor.unwrap();
        RunningAgent::start_with(config, move |agent| agent.with_executor(executor))
    }

    /// Submits manifests and answers their first attempt.
    pub(crate) fn submit(&self, yaml: &str) -> AttemptId {
        self.submit_with(yaml, json!({}))
    }

    pub(crate) fn submit_with(&self, yaml: &str, mut members: Value) -> AttemptId {
        members["work_type"] = json!("custom");
        members["yaml_content"] = json!(yaml);
        self.broker.submit_with("{}", &members)
    }

    /// The broker takes the attempt back and gives the order out again.
    pub(crate) fn lose(&self, id: AttemptId, yaml: &str) -> AttemptId {
        let next = AttemptId {
            attempt: id.attempt + 1,
            ..id
        };
        let mut order = work_order(next, yaml, &[id.attempt]);
        order["work_type"] = json!("custom");
        self.broker.change(|world| {
            world.lost.push(id);
            world.held.remove(&id);
            world.waiting.push_back(order);
        });
        next
    }

    /// The ending of an attempt.
    pub(crate) async fn ending(&self, id: AttemptId) -> Value {
        self.broker.ending(id).await
    }

    /// A command that counts its runs, prints, waits for the gate, prints again and ends with this code.
    pub(crate) fn patient(&self, code: i32) -> String {
        let (runs, gate) = (self.host.path("runs"), self.host.path("gate"));
        format!(
            "echo run >> {}; echo before; until [ -e {} ]; do sleep 0.05; done; echo after; exit {code}",
            runs.display(),
            gate.display()
        )
    }

    /// Lets [`patient`](Self::patient) commands end.
    pub(crate) fn open_gate(&self) {
        std::fs::write(self.host.path("gate"), "").unwrap();
    }

    /// How often [`patient`](Self::patient) commands were started.
    pub(crate) fn times_run(&self) -> usize {
        std::fs::read_to_string(self.host.path("runs")).map_or(0, |runs| runs.lines().count())
    }

    /// Every Job that is there.
    pub(crate) fn jobs(&self) -> Vec<Value> {
        self.kube.list("jobs", Some("default"))
    }

    /// Every pod that is there.
    pub(crate) fn pods(&self) -> Vec<Value> {
        self.kube.list("pods", Some("default"))
    }

    /// Waits until there is a Job.
    pub(crate) async fn job_created(&self) -> Value {
        self.kube.until("a Job", |_| self.jobs().pop()).await
    }

    /// Waits until nothing of any attempt is there.
    pub(crate) async fn nothing_left(&self) {
        let nothing = |_: &FakeKube| (self.jobs().is_empty() && self.pods().is_empty()).then_some(());
        self.kube.until("no Job and no pod", nothing).await;
    }
}

/// Quick, but not so quick that a busy host fails a test.
pub(crate) fn timing() -> ClusterTiming {
    ClusterTiming {
        patience: Duration::from_secs(4),
        retry_first: Duration::from_millis(20),
        request_limit: Duration::from_secs(2),
        stuck_limit: Duration::from_secs(2),
        deletion_limit: Duration::from_secs(10),
        drain_limit: Duration::from_secs(5),
    }
}

/// A Job of this name whose one container runs this script.
pub(crate) fn job(name: &str, script: &str) -> String {
    job_with(name, script, "")
}

/// The same, with more lines in its spec.
pub(crate) fn job_with(name: &str, script: &str, spec: &str) -> String {
    let script = json!(script);
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  backoffLimit: 0
{spec}  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: app, image: busybox, command: [sh, -c, {script}]}}
"
    )
}

/// A map with one entry.
pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value}}}\n")
}

/// Waits for something that nobody announces.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < limit, "waited in vain for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

pub(crate) fn message_of(ending: &Value) -> &str {
    ending["message"].as_str().unwrap_or_default()
}
