//! Work of type `build`: image builds with Shipwright.
//!
//! The `Build` of the order is applied, or one that is there is named; each attempt creates a `BuildRun` of its own and watches
//! its condition `Succeeded`, which alone tells the outcome.

mod attempt;
mod buildrun;
pub(crate) mod document;
mod ending;
mod kind;
mod prepare;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use crate::attempt::Claim;
use crate::clock::Clock;
use crate::execute::build::attempt::{Start, carry_out};
use crate::execute::build::document::SHIPWRIGHT;
use crate::execute::build::kind::BuildRuns;
use crate::execute::run::{KubeExecutorSettings, Place, Runs};
use crate::execute::{Context, Executor, LookupError, Outcome, sibling};
use crate::kube::Cluster;
use crate::policy::{AgentPolicy, ClusterPolicy};

/// The work type of image builds.
pub const BUILD: &str = "build";

/// How often the cluster is asked whether it has Shipwright.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Does work of type `build` in one cluster.
pub struct BuildExecutor {
    runs: Runs,
    /// What the cluster said last, and when.
    shipwright: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl BuildExecutor {
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
            work_type: BUILD,
            kind: &BuildRuns,
        };
        let runs = Runs::open(place, policy, cluster_policy, settings, clock)?;
        Ok(Self {
            runs,
            shipwright: Mutex::default(),
        })
    }

    async fn ask_for_shipwright(&self) -> Result<(), String> {
        match self.runs.cluster.kind(SHIPWRIGHT, "BuildRun").await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("the cluster has no Shipwright".to_owned()),
            Err(failure) => Err(format!(
                "it is not known whether the cluster has Shipwright: {}",
                failure.chain()
            )),
        }
    }
}

#[async_trait]
impl Executor for BuildExecutor {
    fn work_type(&self) -> &str {
        self.runs.work_type()
    }

    async fn available(&self) -> Result<(), String> {
        let mut known = self.shipwright.lock().await;
        if let Some((asked_at, answer)) = &*known
            && asked_at.elapsed() < ASK_AGAIN
        {
            return answer.clone();
        }
        let answer = self.ask_for_shipwright().await;
        *known = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn execute(&self, claim: &Claim, context: Context) -> Outcome {
        carry_out(&self.runs, claim, claim.id, Start::New, context).await
    }

    async fn holds(&self, claim: &Claim, attempt: i64) -> Result<bool, LookupError> {
        let namespaces = prepare::namespaces(&self.runs, &claim.document);
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
