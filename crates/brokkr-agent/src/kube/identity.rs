//! One process for each agent in a cluster: a `coordination.k8s.io` Lease.
//!
//! The Lease names the process that serves the agent, which renews it. Another process waits until it has seen the Lease
//! unchanged for as long as it is valid, by its own monotonic clock: clocks of different hosts need not agree. While the API
//! cannot be reached nobody takes the Lease, and nobody loses it. Claims are fenced by the broker in any case; the Lease keeps two
//! processes from taking claims away from each other.

mod held;
mod judge;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokkr_api::FailureClass;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::clock::Clock;
use crate::kube::{ApiFailure, Cluster};
use held::{Taken, Tenure};
use judge::Judge;

/// How long a Lease is valid that is not renewed.
const VALID: Duration = Duration::from_secs(15);
/// How many times it is renewed in that time.
const RENEWALS: u32 = 3;

/// The right to serve an agent, for one process at a time in a cluster.
pub struct ClusterLease {
    cluster: Cluster,
    namespace: String,
    instance: String,
    valid: Duration,
    clock: Arc<dyn Clock>,
    keeper: Mutex<Option<Keeper>>,
    taken_by: watch::Sender<Option<String>>,
}

/// Renews the Lease until it is dropped; then it is given back.
struct Keeper {
    task: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl ClusterLease {
    /// A Lease in `namespace` for this process, which calls itself `instance` (different for each process).
    pub fn new(cluster: Cluster, namespace: &str, instance: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            cluster,
            namespace: namespace.to_owned(),
            instance: instance.to_owned(),
            valid: VALID,
            clock,
            keeper: Mutex::default(),
            taken_by: watch::Sender::new(None),
        }
    }

    /// The same, valid for so long after each renewal (15 s otherwise; the API knows whole seconds).
    #[must_use]
    pub fn valid_for(self, valid: Duration) -> Self {
        Self { valid, ..self }
    }

    /// Waits until no other process serves `agent` in this cluster, takes the Lease and keeps it.
    ///
    /// # Errors
    /// When the API refuses the Lease. While it cannot be reached, this waits.
    pub async fn acquire(&self, agent: Uuid) -> Result<(), ApiFailure> {
        let mut tenure = Tenure {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            agent,
            instance: self.instance.clone(),
            valid: self.valid,
            clock: Arc::clone(&self.clock),
            lease: None,
        };
        self.take(&mut tenure).await?;
        self.keep(tenure);
        Ok(())
    }

    /// Completes when another process has taken the Lease, and names it.
    pub async fn lost(&self) -> String {
        let mut taken_by = self.taken_by.subscribe();
        let holder = taken_by.wait_for(Option::is_some).await.ok();
        match holder.and_then(|holder| holder.clone()) {
            Some(holder) => holder,
            // The sender lives as long as this.
            None => std::future::pending().await,
        }
    }

    /// Gives the Lease back, so that the next process need not wait. Dropping this does so too, without waiting for it.
    pub async fn release(&self) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut keeper) = keeper else {
            return;
        };
        keeper.stop.cancel();
        if let Some(task) = keeper.task.take() {
            // A keeper that panicked has nothing left to give back.
            drop(task.await);
        }
    }

    /// Waits until no other process holds the Lease, and takes it.
    async fn take(&self, tenure: &mut Tenure) -> Result<(), ApiFailure> {
        let mut judge = Judge::new(&self.instance, self.valid);
        let (mut told, mut troubled) = (None, false);
        loop {
            let failure = match tenure.take(&mut judge, Instant::now()).await {
                Ok(Taken::Mine) => return Ok(()),
                Ok(Taken::Changed) => continue,
                Ok(Taken::Others(holder)) => {
                    if told.as_ref() != Some(&holder) {
                        info!(
                            holder,
                            "another process serves this agent, waiting until it is gone"
                        );
                        told = Some(holder);
                    }
                    None
                }
                Err(failure) if failure.class() == FailureClass::Refused => return Err(failure),
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failure.filter(|_| !std::mem::replace(&mut troubled, true)) {
                warn!(
                    error = failure.chain(),
                    "could not take the agent's Lease, trying again until it is there"
                );
            }
            sleep(self.pause()).await;
        }
    }

    fn pause(&self) -> Duration {
        self.valid / RENEWALS
    }

    fn keep(&self, mut tenure: Tenure) {
        let stop = CancellationToken::new();
        let (stopped, pause) = (stop.clone(), self.pause());
        let (taken_by, judge) = (self.taken_by.clone(), Judge::new(&self.instance, self.valid));
        let task = tokio::spawn(async move {
            tokio::select! {
                holder = tenure.renew_for_ever(judge, pause) => drop(taken_by.send_replace(Some(holder))),
                () = stopped.cancelled() => tenure.give_back().await,
            }
        });
        let keeper = Keeper {
            task: Some(task),
            stop,
        };
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
    }
}
