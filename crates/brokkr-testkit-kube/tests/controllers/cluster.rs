//! A fake cluster and its client.

use std::fmt::Debug;
use std::time::Duration;

use brokkr_testkit_kube::FakeKube;
use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, DeleteParams, ListParams, LogParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Client, Config, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Cluster {
    pub(crate) kube: FakeKube,
    pub(crate) client: Client,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::of(FakeKube::start().await)
    }

    pub(crate) fn of(kube: FakeKube) -> Self {
        let config = Config::new(kube.url().parse().unwrap());
        let client = Client::try_from(config).unwrap();
        Self { kube, client }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug,
        K::DynamicType: Default,
    {
        let object = serde_json::from_value(object).unwrap();
        self.api::<K>()
            .create(&PostParams::default(), &object)
            .await
            .unwrap()
    }

    pub(crate) async fn delete<K>(&self, name: &str, options: DeleteParams)
    where
        K: Resource<Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
        K::DynamicType: Default,
    {
        self.api::<K>().delete(name, &options).await.unwrap();
    }

    /// The object as JSON, once `look` is true of it.
    pub(crate) async fn until<K>(&self, name: &str, look: impl Fn(&Value) -> bool) -> Value
    where
        K: Resource<Scope = NamespaceResourceScope>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug
            + Send
            + 'static,
        K::DynamicType: Default,
    {
        let met =
            |object: Option<&K>| object.is_some_and(|object| look(&serde_json::to_value(object).unwrap()));
        let found = timeout(PATIENCE, await_condition(self.api::<K>(), name, met)).await;
        serde_json::to_value(found.expect("it took too long").unwrap().unwrap()).unwrap()
    }

    pub(crate) async fn until_gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug + Send + 'static,
        K::DynamicType: Default,
    {
        let gone = await_condition(self.api::<K>(), name, |object: Option<&K>| object.is_none());
        timeout(PATIENCE, gone).await.expect("it took too long").unwrap();
    }

    /// The Job, once it has one of its two ends.
    pub(crate) async fn ended(&self, job: &str) -> Value {
        self.until::<Job>(job, |job| is_true(job, "Complete") || is_true(job, "Failed"))
            .await
    }

    /// The Job's only pod, once it is in this phase.
    pub(crate) async fn pod_of(&self, job: &str, phase: &str) -> Value {
        let in_phase = |kube: &FakeKube| {
            let mut pods = kube.pods_of_job("default", job).into_iter();
            pods.find(|pod| pod["status"]["phase"] == phase)
        };
        self.kube.until("a pod comes to the phase", in_phase).await
    }

    pub(crate) async fn pod_in(&self, name: &str, phase: &str) -> Value {
        self.until::<Pod>(name, |pod| pod["status"]["phase"] == phase)
            .await
    }

    /// The pod, once its first container waits for this reason.
    pub(crate) async fn pod_waiting(&self, name: &str, reason: &str) -> Value {
        let waits = |pod: &Value| container(pod)["state"]["waiting"]["reason"] == reason;
        self.until::<Pod>(name, waits).await
    }

    pub(crate) async fn log(&self, pod: &str) -> String {
        self.api::<Pod>().logs(pod, &LogParams::default()).await.unwrap()
    }

    /// Returns once the pod has written a line: it runs for certain then, and has set its traps.
    pub(crate) async fn until_it_writes(&self, pod: &str) {
        self.pod_in(pod, "Running").await;
        let follow = LogParams {
            follow: true,
            ..LogParams::default()
        };
        let mut lines = self.api::<Pod>().log_stream(pod, &follow).await.unwrap().lines();
        let line = timeout(PATIENCE, lines.try_next())
            .await
            .expect("it took too long")
            .unwrap();
        assert!(line.is_some(), "the pod ended without a word");
    }

    /// The reasons of the events about an object, without order.
    pub(crate) async fn reasons(&self, name: &str) -> Vec<String> {
        let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let events = self.api::<Event>().list(&about).await.unwrap();
        events
            .items
            .into_iter()
            .filter_map(|event| event.reason)
            .collect()
    }
}

/// A Job of one shell script that runs once.
pub(crate) fn job(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec(script)}},
    })
}

pub(crate) fn pod(name: &str, script: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec(script)})
}

fn spec(script: &str) -> Value {
    let container = json!({"name": "main", "image": "busybox", "command": ["sh", "-c", script]});
    json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": [container]})
}

/// `object` with `value` at the place that the pointer names.
pub(crate) fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

pub(crate) fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind)["status"] == "True"
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The status of the pod's first container.
pub(crate) fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

pub(crate) fn terminated(pod: &Value) -> &Value {
    &container(pod)["state"]["terminated"]
}
