//! Work of type `custom`: Kubernetes manifests. Jobs are created and watched to their end, everything else is applied.
//!
//! An order is read and planned, and the cluster is asked whether it would take every part of it, before anything is sent. The
//! record of the attempt is on disk before its first object is in the cluster. From then on the outcome comes from the cluster
//! alone: from the conditions of what was sent, with what its pods leave as evidence. An attempt that is found again, by its
//! record or by the labels of its Jobs, goes the same way once more under its old name; what was created is met, not repeated.

mod attempt;
mod check;
pub(crate) mod document;
mod ending;
pub(crate) mod job;
mod kind;
pub(crate) mod options;
pub(crate) mod plan;
mod pod_template;
mod prepare;
mod send;
mod watching;

pub use check::{OrderFault, check};

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::attempt::Claim;
use crate::clock::Clock;
use crate::execute::manifests::attempt::{Start, carry_out, run_namespaces};
use crate::execute::manifests::kind::Jobs;
use crate::execute::run::{KubeExecutorSettings, Place, Runs};
use crate::execute::{Context, Executor, LookupError, Outcome, sibling};
use crate::kube::Cluster;
use crate::policy::{AgentPolicy, ClusterPolicy};

/// The work type of manifests.
pub const CUSTOM: &str = "custom";

/// Does work of type `custom` in one cluster.
pub struct ManifestsExecutor {
    runs: Runs,
}

impl ManifestsExecutor {
    /// Keeps what it must know after a restart in its own directory below `state_dir`.
    ///
    /// # Errors
    /// When that cannot be made.
    pub fn new(
        cluster: Cluster,
        policy: AgentPolicy,
        cluster_policy: Arc<ClusterPolicy>,
        state_dir: &Path,
        settings: KubeExecutorSettings,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let place = Place {
            cluster,
            state_dir,
            work_type: CUSTOM,
            kind: &Jobs,
        };
        let runs = Runs::open(place, policy, cluster_policy, settings, clock)?;
        Ok(Self { runs })
    }
}

#[async_trait]
impl Executor for ManifestsExecutor {
    fn work_type(&self) -> &str {
        self.runs.work_type()
    }

    async fn execute(&self, claim: &Claim, context: Context) -> Outcome {
        carry_out(&self.runs, claim, claim.id, Start::New, context).await
    }

    async fn holds(&self, claim: &Claim, attempt: i64) -> Result<bool, LookupError> {
        let namespaces = run_namespaces(&claim.document, self.runs.cluster.default_namespace());
        self.runs.holds(sibling(claim, attempt), &namespaces).await
    }

    async fn adopt(&self, claim: &Claim, attempt: i64, context: Context) -> Outcome {
        carry_out(&self.runs, claim, sibling(claim, attempt), Start::Again, context).await
    }

    async fn settled(&self, claim: &Claim, accepted: bool) {
        self.runs.settle(claim, accepted).await;
    }

    async fn tidy(&self, agent: Uuid, held: &BTreeSet<Uuid>) {
        self.runs.tidy(agent, held).await;
    }
}
