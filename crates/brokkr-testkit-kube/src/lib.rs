//! A Kubernetes API server for tests, in the test's own process, with a Job controller and a kubelet that runs what
//! containers say as local processes.
//!
//! It answers clients over plain HTTP as a conformant server does, so a scenario that runs here runs on a real cluster
//! as well, and adds what a real cluster cannot do on demand: [`Fault`]s, cut connections, forgotten versions,
//! accidents of pods.
//!
//! Where it differs from a real API server:
//!
//! - There is one user, who may do everything that [`FakeKube::forbid`] did not forbid, and needs no credentials.
//! - Objects are JSON only, and are not checked against schemas: unknown fields are kept, `fieldValidation` changes
//!   nothing, and only the mistakes that clients usually make are found. Of a custom resource only the stored version
//!   is served, and deleting its definition leaves its objects.
//! - No two resources may have the same plural, whatever their groups.
//! - Strategic merge patches are JSON merge patches. Lists that server-side apply merges are known by their name.
//!   Fields that controllers write have no owner.
//! - Containers are processes of this host with its `sh` and its files, without volumes, probes, limits and sidecars;
//!   pauses before restarts, pulls and new pods are short. Workloads other than Jobs have a status and no pods. Jobs are
//!   not indexed and have no pod failure policy.
//! - The pages of a list show the newest state, not that of the first page, whose version they carry.
//! - There are no quotas, webhooks, pod security, service addresses, leader elections, evictions by request, `exec`,
//!   `attach` and `port-forward`, and no watch that begins with a list (`sendInitialEvents`).

mod admission;
mod apply;
mod authorization;
mod connection;
mod controllers;
mod definitions;
mod discovery;
mod faults;
mod kubelet;
mod logs;
mod requests;
mod resources;
mod script;
mod selector;
mod status;
mod store;
mod watch;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::authorization::Authorization;
use crate::connection::{Connection, Entrance, Network};
use crate::controllers::Controllers;
use crate::faults::Faults;
use crate::logs::Logs;
use crate::requests::Api;
use crate::store::{DeleteOptions, Store};
pub use controllers::BuildScript;
pub use faults::{ActiveFault, Fault, Request, Verb};

/// A running cluster. Dropping it ends the server and every container.
pub struct FakeKube {
    pub(crate) store: Store,
    pub(crate) logs: Logs,
    pub(crate) controllers: Controllers,
    faults: Faults,
    authorization: Authorization,
    network: Network,
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

/// How a cluster is to be.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    shipwright: bool,
    images: Vec<String>,
}

impl Builder {
    /// Whether Shipwright's resources are served, as `shipwright.io/v1beta1`.
    pub fn shipwright(mut self, served: bool) -> Self {
        self.shipwright = served;
        self
    }

    /// An image that can be pulled, beside `busybox`.
    pub fn image(mut self, image: &str) -> Self {
        self.images.push(image.to_owned());
        self
    }

    /// Starts the cluster on a free port of the loopback interface, in the current runtime.
    ///
    /// # Panics
    ///
    /// When the host has no port or no temporary directory to give: no test could go on.
    pub async fn start(self) -> FakeKube {
        self.try_start()
            .await
            .expect("the fake cluster could not be started")
    }

    async fn try_start(self) -> io::Result<FakeKube> {
        let store = Store::new(self.shipwright);
        let (logs, faults) = (Logs::default(), Faults::default());
        let (authorization, network) = (Authorization::default(), Network::default());
        for name in ["default", "kube-system", "kube-public"] {
            let created = store.create("namespaces", json!({"metadata": {"name": name}}));
            created.map_err(|status| io::Error::other(status.message))?;
        }
        let entrance = Entrance {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
            network: network.clone(),
        };
        let address = entrance.address()?;
        let router = Router::new().fallback(requests::answer).with_state(Api {
            store: store.clone(),
            logs: logs.clone(),
            faults: faults.clone(),
            authorization: authorization.clone(),
        });
        let service = router.into_make_service_with_connect_info::<Connection>();
        let server = async move {
            // It serves until it is aborted.
            let _ = axum::serve(entrance, service).await;
        };
        Ok(FakeKube {
            controllers: Controllers::start(&store, &logs, self.images)?,
            tasks: [
                tokio::spawn(server),
                tokio::spawn(definitions::run(store.clone())),
            ],
            store,
            logs,
            faults,
            authorization,
            network,
            address,
        })
    }
}

/// The cluster, and how clients get to it.
impl FakeKube {
    /// A cluster that has only what Kubernetes itself brings. See [`Builder::start`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A cluster that is told how to be.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the API server listens, without a `/` at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig, as YAML, for any client; its namespace is `default`.
    pub fn kubeconfig(&self) -> String {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url()}}],
            "users": [{"name": "tester", "user": {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "tester", "namespace": "default"}}],
            "current-context": "fake",
        });
        // JSON is YAML.
        format!("{config:#}\n")
    }
}

/// What goes wrong.
impl FakeKube {
    /// Lets something go wrong, until it has happened often enough or is removed. Of several faults that match, the
    /// one that was there first counts.
    pub fn fault(&self, fault: Fault) -> ActiveFault {
        self.faults.add(fault)
    }

    /// Removes all faults; requests that hang go on.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// Forbids the client something, in the words of RBAC (`*` is every verb, or every resource; apply is `patch`, and
    /// a log is `get` of `pods/log`); without a namespace, in all of them.
    pub fn forbid(&self, verb: &str, resource: &str, namespace: Option<&str>) {
        self.authorization.forbid(verb, resource, namespace);
    }

    /// Takes back what was forbidden in the same words.
    pub fn allow(&self, verb: &str, resource: &str, namespace: Option<&str>) {
        self.authorization.allow(verb, resource, namespace);
    }

    /// Cuts every connection, now and until [`FakeKube::up`].
    pub fn down(&self) {
        self.network.down();
    }

    /// Accepts connections again.
    pub fn up(&self) {
        self.network.up();
    }

    /// Cuts every connection there is; clients that come back are served.
    pub fn restart(&self) {
        self.network.cut();
    }

    /// Forgets all versions up to now: running watches, and new ones from an older version, end with an event `ERROR`
    /// of 410 `Expired`, as the API server's watch cache does it, and next pages of lists are answered with it. For a
    /// watch that is answered with the HTTP status 410 instead there is [`Fault::status`].
    pub fn compact(&self) {
        self.store.compact();
    }

    /// Every request so far, in the order of arrival, also those that a fault met.
    pub fn requests(&self) -> Vec<Request> {
        self.faults.requests()
    }
}

/// The objects, past the server: no fault and no prohibition counts here. Resources are named by their plural.
impl FakeKube {
    /// An object, if there is one.
    pub fn get(&self, resource: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
        self.store.get(resource, namespace, name)
    }

    /// All objects, by namespace and name; of all namespaces when none is given.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Value> {
        self.store.list(resource, namespace)
    }

    /// Creates an object with its status, in the namespace that its metadata names, else in `default`.
    ///
    /// # Panics
    ///
    /// When the server would refuse the object: the test is wrong then.
    pub fn create(&self, resource: &str, object: Value) -> Value {
        match self.store.create(resource, object) {
            Ok(created) => created,
            Err(status) => panic!("{}", status.message),
        }
    }

    /// Changes an object, its status included, as its controller would. Nothing happens to an object that is not
    /// there.
    pub fn change(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) {
        self.store.modify(resource, namespace, name, change);
    }

    /// Deletes an object with its grace, as a client does that leaves the dependents to the garbage collector
    /// (`Background`). Nothing happens to an object that is not there.
    pub fn delete(&self, resource: &str, namespace: Option<&str>, name: &str) {
        let options = DeleteOptions {
            propagation_policy: Some(store::Propagation::Background),
            ..DeleteOptions::default()
        };
        // Only its absence could refuse this.
        let _ = self.store.delete(resource, namespace, name, &options);
    }
}

impl Drop for FakeKube {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.network.down();
        self.faults.clear();
    }
}
