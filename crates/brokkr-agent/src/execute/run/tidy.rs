//! The sweep behind orders that the agent does not hold (any more).

use std::collections::BTreeSet;
use std::fs;

use ::kube::api::DynamicObject;
use tracing::{info, warn};
use uuid::Uuid;

use super::Runs;
use super::settle::KEPT;
use crate::attempt::AttemptId;
use crate::kube::labels::{WORK_ORDER, of_agent};
use crate::kube::{ApiFailure, Record};

impl Runs {
    /// Stops the runs of orders that are not held, and has those removed that have ended. What an earlier sweep or settlement
    /// could not do is done now.
    pub(crate) async fn tidy(&self, agent: Uuid, held: &BTreeSet<Uuid>) {
        self.tidy_records(held).await;
        self.tidy_output(held);
        for namespace in self.namespaces() {
            let found = self
                .cluster
                .list(&self.kind.kind(), namespace.as_deref(), &of_agent(agent))
                .await;
            let runs = match found {
                Ok(runs) => runs,
                // A cluster that does not serve the kind has no such runs.
                Err(failure) if failure.status() == Some(404) => continue,
                Err(failure) => {
                    let namespace = namespace.as_deref().unwrap_or("all namespaces");
                    warn!(
                        error = failure.chain(),
                        "could not look for what orders left behind in {namespace}"
                    );
                    continue;
                }
            };
            for run in runs.iter().filter(|run| !self.is_held(run, held)) {
                if let Err(failure) = self.sweep(run).await {
                    warn!(
                        error = failure.chain(),
                        "could not sweep up {}",
                        self.place_of(run)
                    );
                }
            }
        }
    }

    /// Where the policy lets work be. One pattern means that all have to be looked at.
    fn namespaces(&self) -> Vec<Option<String>> {
        match self.policy.namespace_patterns() {
            None => vec![Some(self.cluster.default_namespace().to_owned())],
            Some(patterns) if patterns.iter().any(|pattern| pattern.contains('*')) => vec![None],
            Some(names) => names.into_iter().map(|name| Some(name.to_owned())).collect(),
        }
    }

    fn is_held(&self, run: &DynamicObject, held: &BTreeSet<Uuid>) -> bool {
        let labels = run.metadata.labels.as_ref();
        let order = labels.and_then(|labels| labels.get(WORK_ORDER)?.parse().ok());
        // Whatever names no order is none of ours.
        order.is_none_or(|order| held.contains(&order) || self.is_worked_on(order))
    }

    async fn sweep(&self, run: &DynamicObject) -> Result<(), ApiFailure> {
        let metadata = &run.metadata;
        let kept = metadata
            .annotations
            .as_ref()
            .is_some_and(|annotations| annotations.contains_key(KEPT));
        if metadata.deletion_timestamp.is_some() || kept {
            return Ok(());
        }
        if self.kind.has_ended(run) {
            // A later attempt may still take its outcome over.
            return self.have_removed(run, self.settings.retention.as_secs()).await;
        }
        let at = self.place_of(run);
        info!("{at} belongs to an order that this agent does not hold, it is stopped");
        self.cluster
            .delete(&at, metadata.uid.as_deref(), true, None)
            .await?;
        Ok(())
    }

    async fn tidy_records(&self, held: &BTreeSet<Uuid>) {
        let records = self.records.all().unwrap_or_else(|error| {
            warn!(%error, "could not read the records of attempts");
            Vec::new()
        });
        for record in records {
            let order = record.id.order;
            if held.contains(&order) || self.is_worked_on(order) {
                continue;
            }
            let is_old = self.is_old(&record);
            // What nobody has taken over by then, nobody will.
            if record.settled || is_old {
                self.clean_up(&record).await;
            }
            if is_old {
                self.forget(record.id);
            }
        }
    }

    fn is_old(&self, record: &Record) -> bool {
        let age = (self.clock.now() - record.begun_at).to_std();
        age.is_ok_and(|age| self.settings.retention < age)
    }

    /// Kept output only serves attempts that go on.
    fn tidy_output(&self, held: &BTreeSet<Uuid>) {
        let entries = fs::read_dir(&self.output_directory)
            .into_iter()
            .flatten()
            .flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<AttemptId>().ok());
        for id in ids.filter(|id| !held.contains(&id.order) && !self.is_worked_on(id.order)) {
            self.remove_output(id);
        }
    }
}
