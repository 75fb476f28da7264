//! The Kubernetes API as the executors see it.
//!
//! [`Cluster`] connects, knows which kinds there are, and makes requests that are tried again while trying makes sense.
//! [`ApiFailure`] is what is left when it does not, with the class that decides about a retry of the order.

mod access;
mod calls;
mod connect;
mod discovery;
mod failure;
pub mod identity;
pub mod labels;
pub(crate) mod names;
pub(crate) mod observe;
pub(crate) mod readiness;
mod record;
mod send;
mod stop;
mod watch;

pub use access::Access;
pub use calls::{ApplyError, Conflict, CreateError, Created};
pub use connect::{ClusterSource, ConnectError};
pub use discovery::Kind;
pub use failure::ApiFailure;
pub use record::{Cleanup, Record, RecordedObject, Records};
pub use stop::StopError;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long the cluster is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTiming {
    /// How long a request is tried again while the API answers 429, 5xx or not at all.
    pub patience: Duration,
    /// How soon it is tried again, at first; doubled each time up to 10 seconds.
    pub retry_first: Duration,
    /// How long one request may take (watches and log streams excepted). A watch is renewed after twice this time.
    pub request_limit: Duration,
    /// How long a pod may wait with a cause that does not go away by itself (no node fits it, its image cannot be pulled).
    pub stuck_limit: Duration,
    /// How long the deletion of an object's pods is waited for, beyond their grace.
    pub deletion_limit: Duration,
    /// How long logs may still come after the work has ended.
    pub drain_limit: Duration,
}

impl Default for ClusterTiming {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(120),
            retry_first: Duration::from_millis(250),
            request_limit: Duration::from_secs(30),
            stuck_limit: Duration::from_secs(300),
            deletion_limit: Duration::from_secs(60),
            drain_limit: Duration::from_secs(15),
        }
    }
}

/// One cluster. Clones share the connection and what is known of its kinds.
#[derive(Clone)]
pub struct Cluster {
    client: ::kube::Client,
    default_namespace: Arc<str>,
    timing: ClusterTiming,
    kinds: Arc<discovery::Kinds>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({})", self.default_namespace)
    }
}

impl Cluster {
    /// A cluster that is reached through `client`. Objects without a namespace go to `default_namespace`.
    pub fn from_client(client: ::kube::Client, default_namespace: &str, timing: ClusterTiming) -> Self {
        Self {
            client,
            default_namespace: default_namespace.into(),
            timing,
            kinds: Arc::default(),
        }
    }

    /// Where objects without a namespace go.
    pub fn default_namespace(&self) -> &str {
        &self.default_namespace
    }

    /// How long it is waited for.
    pub fn timing(&self) -> &ClusterTiming {
        &self.timing
    }

    pub(crate) fn client(&self) -> &::kube::Client {
        &self.client
    }
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// What it is.
    pub kind: Kind,
    /// Its namespace; nothing when the kind is cluster-scoped.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
