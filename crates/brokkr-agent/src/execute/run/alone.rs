//! Waiting until no other attempt at an order does anything.

use std::collections::BTreeSet;

use ::kube::api::DynamicObject;

use super::Runs;
use crate::attempt::AttemptId;
use crate::kube::StopError;
use crate::kube::labels::{ATTEMPT, of_order};

impl Runs {
    /// Stops what other attempts at the order left running, and completes when it is gone. What this attempt left while it is
    /// being deleted is waited for as well, since its name is taken until then.
    ///
    /// # Errors
    /// When that does not come about: beginning anyway might do the work twice at once.
    pub(crate) async fn until_alone(
        &self,
        id: AttemptId,
        namespaces: &BTreeSet<String>,
    ) -> Result<(), StopError> {
        for namespace in namespaces {
            let found = self
                .cluster
                .list(&self.kind.kind(), Some(namespace), &of_order(id.order))
                .await?;
            for run in found.iter().filter(|run| self.is_in_the_way(run, id)) {
                self.stop_run(run, self.settings.grace).await?;
            }
        }
        Ok(())
    }

    fn is_in_the_way(&self, run: &DynamicObject, id: AttemptId) -> bool {
        let attempt = run
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(ATTEMPT));
        let own = attempt == Some(&id.attempt.to_string());
        run.metadata.deletion_timestamp.is_some() || (!own && self.is_unfinished(run))
    }
}
