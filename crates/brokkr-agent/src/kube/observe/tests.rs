//! The observer beside a small Kubernetes API server that runs containers, and breaks what a test wants broken.

mod accidents;
mod interruptions;
mod output;
mod runs;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brokkr_testkit_kube::FakeKube;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{Observer, PodSelection};
use crate::clock::SystemClock;
use crate::kube::{Cluster, ClusterSource, ClusterTiming};
use crate::output::OutputProbe;

/// How long anything that ought to happen is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const BYTES_MAX: u64 = 1024 * 1024;

/// A cluster, and a directory for what a test and an observer keep.
struct Scene {
    kube: FakeKube,
    cluster: Cluster,
    directory: TempDir,
}

impl Scene {
    async fn start() -> Self {
        Self::with(timing()).await
    }

    async fn with(timing: ClusterTiming) -> Self {
        let kube = FakeKube::start().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        std::fs::write(&path, kube.kubeconfig()).unwrap();
        let source = ClusterSource::Kubeconfig {
            path: Some(path),
            context: None,
        };
        let cluster = Cluster::connect(&source, None, timing).await.unwrap();
        Self {
            kube,
            cluster,
            directory,
        }
    }

    /// An agent's process begins to observe.
    fn observe(&self) -> (Observer, Printed) {
        self.observe_at_most(BYTES_MAX)
    }

    fn observe_at_most(&self, bytes_max: u64) -> (Observer, Printed) {
        let (output, probe) = OutputProbe::sink();
        let selection = PodSelection {
            namespace: "default".to_owned(),
            labels: "attempt=1".to_owned(),
        };
        let observer = Observer::start(
            &self.cluster,
            vec![selection],
            output,
            Some(self.path("kept")),
            bytes_max,
            Arc::new(SystemClock),
        );
        let printed = Printed {
            probe,
            chunks: Vec::new(),
        };
        (observer, printed)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a pod of the attempt.
    fn create(&self, name: &str, spec: Value) {
        self.kube.create(
            "pods",
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "attempt": "1" } }, "spec": spec }),
        );
    }

    /// Makes a pod of one container `app` that is not started again.
    fn run(&self, name: &str, script: &str) {
        self.create(
            name,
            json!({ "restartPolicy": "Never", "containers": [container("app", script)] }),
        );
    }

    /// Shell that waits until the gate is opened.
    fn wait_for(&self, gate: &str) -> String {
        format!("until [ -e {} ]; do sleep 0.02; done", self.path(gate).display())
    }

    fn open(&self, gate: &str) {
        std::fs::write(self.path(gate), "").unwrap();
    }

    async fn until_phase(&self, pod: &str, phase: &str) {
        let what = format!("pod {pod} in phase {phase}");
        self.kube
            .until(&what, |kube| {
                let pod = kube.get("pods", Some("default"), pod)?;
                (pod["status"]["phase"] == phase).then_some(())
            })
            .await;
    }
}

/// What the broker was given.
struct Printed {
    probe: OutputProbe,
    /// Where each piece begins, its stream and its text.
    chunks: Vec<(i64, String, String)>,
}

impl Printed {
    fn text(&self) -> String {
        self.chunks.iter().map(|(.., text)| text.as_str()).collect()
    }

    /// Only what containers printed.
    fn lines(&self) -> Vec<&str> {
        let printed = self.chunks.iter().filter(|(_, stream, _)| stream == "stdout");
        printed.flat_map(|(.., text)| text.lines()).collect()
    }

    fn count(&self, words: &str) -> usize {
        self.text().matches(words).count()
    }

    /// Waits until this was printed.
    async fn until(&mut self, words: &str) {
        let more = async {
            while !self.text().contains(words) {
                let chunk = self.probe.next().await.expect("the output ended too soon");
                self.chunks.push((chunk.offset, chunk.stream, chunk.data));
            }
        };
        let came = timeout(PATIENCE, more).await;
        assert!(came.is_ok(), "waited in vain for {words:?} in {:?}", self.text());
    }

    /// Takes everything, once nobody prints any more.
    async fn take_rest(&mut self) {
        let rest = async {
            while let Some(chunk) = self.probe.next().await {
                self.chunks.push((chunk.offset, chunk.stream, chunk.data));
            }
        };
        assert!(timeout(PATIENCE, rest).await.is_ok(), "the output did not end");
    }
}

/// Quick, but not so quick that a busy host fails a test.
fn timing() -> ClusterTiming {
    ClusterTiming {
        patience: Duration::from_secs(4),
        retry_first: Duration::from_millis(20),
        request_limit: Duration::from_secs(1),
        stuck_limit: Duration::from_millis(500),
        deletion_limit: Duration::from_secs(10),
        drain_limit: PATIENCE,
    }
}

fn container(name: &str, script: &str) -> Value {
    json!({ "name": name, "image": "busybox", "command": ["sh", "-c", script] })
}
