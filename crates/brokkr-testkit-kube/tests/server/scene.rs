//! A fake cluster, its client, and objects for them.

use std::time::Duration;

use brokkr_testkit_kube::FakeKube;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::Status;
use kube::{Api, Client, Config, Error};
use serde_json::{Value, json};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Scene {
    pub(crate) kube: FakeKube,
    pub(crate) client: Client,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        Self::of(FakeKube::start().await)
    }

    pub(crate) fn of(kube: FakeKube) -> Self {
        let client = Client::try_from(Config::new(kube.url().parse().unwrap())).unwrap();
        Self { kube, client }
    }

    pub(crate) fn config_maps(&self) -> Api<ConfigMap> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) fn jobs(&self) -> Api<Job> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) fn names(&self, resource: &str) -> Vec<String> {
        let objects = self.kube.list(resource, Some("default"));
        objects
            .iter()
            .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(crate) fn config_map(name: &str, value: &str) -> ConfigMap {
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "data": {"key": value},
    });
    serde_json::from_value(object).unwrap()
}

pub(crate) fn job(name: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", "exit 0"]}],
                },
            },
        },
    })
}

/// The server's refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> Status {
    match answer.unwrap_err() {
        Error::Api(status) => *status,
        error => panic!("no answer of the server: {error:?}"),
    }
}
