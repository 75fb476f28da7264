//! What the executors of a cluster share: runs, that is Jobs and BuildRuns, each created once for an attempt.
//!
//! A [`Begun`] attempt has a record on disk from before its first object is sent. Whatever happens to the agent, the record, or
//! else the labels of the runs, lead the next process to the same objects. Here runs are looked for, stopped, cleaned up and
//! swept; what they are and how they end is known to the executors.

mod alone;
mod begun;
mod evidence;
mod hold;
mod limits;
mod outcome;
mod settle;
mod stop;
mod tidy;

pub(crate) use begun::Begun;
pub(crate) use hold::namespaces_with;
pub(crate) use limits::Limits;
pub(crate) use outcome::{not_alone, not_begun, of_api, refused};
pub(crate) use stop::Stopped;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::kube::api::DynamicObject;
use serde_json::Value;
use uuid::Uuid;

use crate::attempt::AttemptId;
use crate::clock::Clock;
use crate::durable;
use crate::kube::{Cluster, Kind, ObjectRef, Records};
use crate::policy::{AgentPolicy, ClusterPolicy, PolicyError};

/// How work in a cluster is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeExecutorSettings {
    /// The longest that pods may take to end when they are stopped. Those that ask for less get less.
    pub grace: Duration,
    /// The most bytes of output that are kept of one attempt. What goes beyond is cut out of the middle, visibly.
    pub output_bytes_max: u64,
    /// How long what was lost or refused is kept, for a later attempt that may take it over.
    pub retention: Duration,
}

/// A kind of which each attempt creates its own objects.
pub(crate) trait RunKind: Send + Sync {
    /// How it is addressed.
    fn kind(&self) -> Kind;

    /// Whether the run has come to its end by itself.
    fn has_ended(&self, run: &DynamicObject) -> bool;

    /// Selects the pods of the run with this name.
    fn pods(&self, name: &str) -> String;

    /// Asks the run to stop by itself; nothing for kinds that are stopped by their deletion.
    fn cancellation(&self) -> Option<Value>;

    /// The change that has the cluster remove the run `seconds` after its end; nothing when it does so already.
    fn removal(&self, run: &DynamicObject, seconds: u64) -> Option<Value>;
}

/// The runs of one work type in one cluster.
pub(crate) struct Runs {
    pub(crate) cluster: Cluster,
    pub(crate) policy: Arc<ClusterPolicy>,
    pub(crate) settings: KubeExecutorSettings,
    pub(crate) clock: Arc<dyn Clock>,
    agent_policy: AgentPolicy,
    work_type: &'static str,
    kind: &'static dyn RunKind,
    records: Records,
    output_directory: PathBuf,
    /// The orders that are worked on at this moment, which nobody may sweep away.
    active: Mutex<BTreeSet<Uuid>>,
}

/// What [`Runs::open`] needs besides settings and rules.
pub(crate) struct Place<'a> {
    pub(crate) cluster: Cluster,
    pub(crate) state_dir: &'a Path,
    pub(crate) work_type: &'static str,
    pub(crate) kind: &'static dyn RunKind,
}

impl Runs {
    /// The runs whose records are below the state directory, which is made when it does not exist.
    pub(crate) fn open(
        place: Place<'_>,
        agent_policy: AgentPolicy,
        policy: Arc<ClusterPolicy>,
        settings: KubeExecutorSettings,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let directory = place.state_dir.join(place.work_type);
        let output_directory = directory.join("output");
        durable::ensure_directory(&output_directory)?;
        Ok(Self {
            cluster: place.cluster,
            policy,
            settings,
            clock,
            agent_policy,
            work_type: place.work_type,
            kind: place.kind,
            records: Records::open(&directory.join("records"))?,
            output_directory,
            active: Mutex::default(),
        })
    }

    /// The type of the work.
    pub(crate) fn work_type(&self) -> &'static str {
        self.work_type
    }

    /// Decides whether this type may be done here at all.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub(crate) fn permits(&self) -> Result<(), PolicyError> {
        self.agent_policy.permits(self.work_type)?;
        self.policy.permits(self.work_type)
    }

    /// Where the output of an attempt is kept while it may have to be repeated.
    pub(crate) fn output_of(&self, id: AttemptId) -> PathBuf {
        self.output_directory.join(id.to_string())
    }

    /// Keeps the order from being swept away until the answer is dropped.
    pub(crate) fn working_on(&self, order: Uuid) -> Working<'_> {
        self.active().insert(order);
        Working { runs: self, order }
    }

    fn is_worked_on(&self, order: Uuid) -> bool {
        self.active().contains(&order)
    }

    fn active(&self) -> MutexGuard<'_, BTreeSet<Uuid>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a run is.
    fn place_of(&self, run: &DynamicObject) -> ObjectRef {
        ObjectRef {
            kind: self.kind.kind(),
            namespace: run.metadata.namespace.clone(),
            name: run.metadata.name.clone().unwrap_or_default(),
        }
    }

    /// Whether the run may still do something.
    fn is_unfinished(&self, run: &DynamicObject) -> bool {
        run.metadata.deletion_timestamp.is_some() || !self.kind.has_ended(run)
    }
}

/// Says that an order is worked on, until this is dropped.
pub(crate) struct Working<'a> {
    runs: &'a Runs,
    order: Uuid,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.runs.active().remove(&self.order);
    }
}
