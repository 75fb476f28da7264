//! Stopping the runs of an attempt.

use std::collections::BTreeSet;
use std::time::Duration;

use ::kube::api::DynamicObject;
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::Runs;
use crate::attempt::AttemptId;
use crate::kube::labels::of_attempt;
use crate::kube::{ApiFailure, ObjectRef, StopError};

/// How often a run that was asked to stop by itself is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long to wait before stopping is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What was found when an attempt was stopped.
#[derive(Debug, Default)]
pub(crate) struct Stopped {
    /// What was stopped, and is gone with its pods.
    pub(crate) stopped: Vec<ObjectRef>,
    /// What had ended before.
    pub(crate) ended: Vec<DynamicObject>,
}

impl Runs {
    /// Stops what is unfinished of the attempt, and completes when it is gone with its pods.
    ///
    /// # Errors
    /// When that is not certain.
    pub(crate) async fn stop(
        &self,
        id: AttemptId,
        namespaces: &BTreeSet<String>,
        grace: Duration,
    ) -> Result<Stopped, StopError> {
        let mut found = Stopped::default();
        for namespace in namespaces {
            let runs = self
                .cluster
                .list(&self.kind.kind(), Some(namespace), &of_attempt(id))
                .await?;
            let (unfinished, ended): (Vec<_>, Vec<_>) =
                runs.into_iter().partition(|run| self.is_unfinished(run));
            try_join_all(unfinished.iter().map(|run| self.stop_run(run, grace))).await?;
            found
                .stopped
                .extend(unfinished.iter().map(|run| self.place_of(run)));
            found.ended.extend(ended);
        }
        Ok(found)
    }

    /// The same, tried again for as long as requests are. For who holds the lease, and so has the time.
    ///
    /// # Errors
    /// When it is not certain even then.
    pub(crate) async fn stop_patiently(
        &self,
        id: AttemptId,
        namespaces: &BTreeSet<String>,
    ) -> Result<Stopped, StopError> {
        let patient_until = Instant::now() + self.cluster.timing().patience;
        loop {
            match self.stop(id, namespaces, self.settings.grace).await {
                Err(error) if Instant::now() < patient_until => {
                    warn!(work_order.id = %id.order, attempt = id.attempt, %error, "could not stop an attempt, trying again");
                    sleep(AGAIN).await;
                }
                result => return result,
            }
        }
    }

    /// Stops one run, and completes when it is gone with its pods.
    pub(super) async fn stop_run(&self, run: &DynamicObject, grace: Duration) -> Result<(), StopError> {
        let at = self.place_of(run);
        let uid = run.metadata.uid.as_deref().unwrap_or_default();
        if let Some(change) = self.kind.cancellation() {
            let asked = self.ask_to_stop(&at, &change);
            // Whether it heeds that or not, it is deleted next.
            timeout(grace, asked).await.unwrap_or(Ok(()))?;
        }
        self.cluster
            .stop(&at, uid, &self.kind.pods(&at.name), grace)
            .await
    }

    async fn ask_to_stop(&self, at: &ObjectRef, change: &serde_json::Value) -> Result<(), ApiFailure> {
        let mut present = self.cluster.merge(at, change).await?;
        while present.is_some_and(|run| self.is_unfinished(&run)) {
            sleep(LOOK).await;
            present = self.cluster.get(at).await?;
        }
        Ok(())
    }
}
