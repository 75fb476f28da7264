//! The Kubernetes API as the executors see it, against a small API server with faults.

mod applies;
mod calls;
mod identity;
mod kinds;
mod stops;
mod watches;

use std::time::Duration;

use brokkr_agent::attempt::AttemptId;
use brokkr_agent::kube::labels::Owner;
use brokkr_agent::kube::{Cluster, ClusterSource, ClusterTiming, ObjectRef};
use brokkr_testkit_kube::FakeKube;
use kube::api::DynamicObject;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use uuid::Uuid;

/// How long anything that ought to happen is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cluster, and the agent's way to it.
struct Scene {
    kube: FakeKube,
    cluster: Cluster,
}

impl Scene {
    async fn start() -> Self {
        Self::with_timing(timing()).await
    }

    async fn with_timing(timing: ClusterTiming) -> Self {
        let kube = FakeKube::start().await;
        let cluster = connect(&kube, timing).await;
        Self { kube, cluster }
    }

    /// Somebody else's way to the cluster.
    async fn client(&self) -> kube::Client {
        let kubeconfig = Kubeconfig::from_yaml(&self.kube.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        kube::Client::try_from(config.unwrap()).unwrap()
    }

    /// Where an object of the default namespace is.
    async fn at(&self, api_version: &str, kind: &str, name: &str) -> ObjectRef {
        let kind = self.cluster.kind(api_version, kind).await.unwrap().unwrap();
        ObjectRef {
            namespace: kind.namespaced.then(|| "default".to_owned()),
            kind,
            name: name.to_owned(),
        }
    }
}

pub(crate) async fn connect(kube: &FakeKube, timing: ClusterTiming) -> Cluster {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    std::fs::write(&path, kube.kubeconfig()).unwrap();
    let source = ClusterSource::Kubeconfig {
        path: Some(path),
        context: None,
    };
    Cluster::connect(&source, Some("default"), timing).await.unwrap()
}

/// Quick, but not so quick that a busy host fails a test.
fn timing() -> ClusterTiming {
    ClusterTiming {
        patience: Duration::from_secs(10),
        retry_first: Duration::from_millis(10),
        request_limit: Duration::from_secs(2),
        deletion_limit: Duration::from_secs(10),
        ..ClusterTiming::default()
    }
}

fn owner(attempt: i64) -> Owner {
    let order = Uuid::from_u128(7);
    Owner {
        id: AttemptId { order, attempt },
        agent: Uuid::from_u128(1),
        document: 1,
    }
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

/// A map with one entry and the owner's labels.
fn config_map(owner: &Owner, value: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "labels": owner.labels()},
        "data": {"key": value},
    }))
}
