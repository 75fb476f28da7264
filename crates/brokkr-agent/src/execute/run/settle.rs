//! Cleaning up, once the broker has accepted an ending and what happened is stored.

use ::kube::api::DynamicObject;
use serde_json::json;
use tokio::time::timeout;
use tracing::warn;
use uuid::Uuid;

use super::Runs;
use crate::attempt::{AttemptId, Claim};
use crate::durable;
use crate::kube::{ApiFailure, Cleanup, ObjectRef, Record, RecordedObject};

/// How long the runs of an attempt stay after its end, in seconds, where the order does not say.
pub(super) const KEPT_SECONDS: u64 = 3600;
/// Marks runs that are to stay for as long as nobody deletes them.
pub(super) const KEPT: &str = "brokkr.io/kept";

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Deleted,
    /// The cluster removes it after a while.
    Removed,
    Kept,
}

impl Runs {
    /// The broker has answered the ending of an attempt. What cannot be cleaned up now is cleaned up by a later sweep.
    pub(crate) async fn settle(&self, claim: &Claim, accepted: bool) {
        self.remove_output(claim.id);
        let settled = async {
            match accepted {
                true => self.clean_up_order(claim.id.order).await,
                false => self.forget_stopped(claim.id).await,
            }
        };
        // The attempt is held until this is done, and there is room for no other in its place.
        if timeout(self.cluster.timing().request_limit, settled)
            .await
            .is_err()
        {
            warn!(work_order.id = %claim.id.order, "an order could not be cleaned up in time, it is tried again later");
        }
    }

    async fn clean_up_order(&self, order: Uuid) {
        for mut record in self.records_of(order) {
            record.settled = true;
            if let Err(error) = self.records.put(&record) {
                warn!(work_order.id = %order, %error, "could not add to the record of an attempt");
            }
            self.clean_up(&record).await;
        }
    }

    /// Forgets the attempt if nothing is left in the cluster that could tell a later one its outcome.
    async fn forget_stopped(&self, id: AttemptId) {
        let Some(record) = self.records.get(id).ok().flatten() else {
            return;
        };
        for run in record.objects.iter().filter(|object| object.created) {
            let at = ObjectRef {
                kind: self.kind.kind(),
                namespace: run.namespace.clone(),
                name: run.name.clone(),
            };
            if !matches!(self.cluster.get(&at).await, Ok(None)) {
                return;
            }
        }
        self.forget(id);
    }

    /// Does to the objects of a settled attempt what its order wants, then forgets it.
    pub(super) async fn clean_up(&self, record: &Record) {
        for object in record.objects.iter().rev() {
            if let Err(failure) = self.decide(record, object).await {
                let what = format!("{} {}", object.kind, object.name);
                warn!(
                    work_order.id = %record.id.order, error = failure.chain(),
                    "could not clean up {what}, it is tried again later"
                );
                return;
            }
        }
        self.forget(record.id);
    }

    pub(super) fn forget(&self, id: AttemptId) {
        if let Err(error) = self.records.remove(id) {
            warn!(work_order.id = %id.order, attempt = id.attempt, %error, "could not remove the record of an attempt");
        }
    }

    pub(super) fn remove_output(&self, id: AttemptId) {
        if let Err(error) = durable::remove(&self.output_of(id)) {
            warn!(work_order.id = %id.order, attempt = id.attempt, %error, "could not remove the kept output of an attempt");
        }
    }

    async fn decide(&self, record: &Record, object: &RecordedObject) -> Result<(), ApiFailure> {
        let Some(kind) = self.cluster.kind(&object.api_version, &object.kind).await? else {
            return Ok(());
        };
        let at = ObjectRef {
            kind,
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        };
        match (fate(record, object), object.uid.as_deref()) {
            (Fate::Deleted, Some(uid)) => {
                self.cluster.delete(&at, Some(uid), object.created, None).await?;
            }
            (Fate::Removed, _) if object.created => {
                if let Some(run) = self.cluster.get(&at).await? {
                    self.have_removed(&run, KEPT_SECONDS).await?;
                }
            }
            (Fate::Kept, _) if object.created => {
                let mark = json!({"metadata": {"annotations": {KEPT: "true"}}});
                self.cluster.merge(&at, &mark).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Has the cluster remove an ended run some time after its end.
    pub(super) async fn have_removed(&self, run: &DynamicObject, seconds: u64) -> Result<(), ApiFailure> {
        if let Some(change) = self.kind.removal(run, seconds) {
            self.cluster.merge(&self.place_of(run), &change).await?;
        }
        Ok(())
    }

    fn records_of(&self, order: Uuid) -> Vec<Record> {
        let records = self.records.all().unwrap_or_else(|error| {
            warn!(work_order.id = %order, %error, "could not read the records of attempts");
            Vec::new()
        });
        records
            .into_iter()
            .filter(|record| record.id.order == order)
            .collect()
    }
}

/// What was applied stays unless the order has it deleted.
fn fate(record: &Record, object: &RecordedObject) -> Fate {
    match record.cleanup {
        Some(Cleanup::Delete) => Fate::Deleted,
        Some(Cleanup::DeleteOnSuccess) if record.succeeded == Some(true) => Fate::Deleted,
        None | Some(Cleanup::DeleteOnSuccess) if object.created => Fate::Removed,
        None | Some(Cleanup::DeleteOnSuccess | Cleanup::Keep) => Fate::Kept,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn fate_of(cleanup: Option<Cleanup>, succeeded: bool, created: bool) -> Fate {
        let object = RecordedObject {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            namespace: None,
            name: "migrate".to_owned(),
            uid: None,
            document: 1,
            created,
        };
        let record = Record {
            id: AttemptId {
                order: Uuid::nil(),
                attempt: 1,
            },
            agent: Uuid::nil(),
            work_type: "custom".to_owned(),
            begun_at: chrono::DateTime::UNIX_EPOCH,
            objects: Vec::new(),
            cleanup,
            succeeded: Some(succeeded),
            settled: true,
        };
        fate(&record, &object)
    }

    #[rstest]
    #[case(None, true, Fate::Removed, Fate::Kept)]
    #[case(None, false, Fate::Removed, Fate::Kept)]
    #[case(Some(Cleanup::Keep), true, Fate::Kept, Fate::Kept)]
    #[case(Some(Cleanup::DeleteOnSuccess), true, Fate::Deleted, Fate::Deleted)]
    #[case(Some(Cleanup::DeleteOnSuccess), false, Fate::Removed, Fate::Kept)]
    #[case(Some(Cleanup::Delete), false, Fate::Deleted, Fate::Deleted)]
    fn what_becomes_of_runs_and_of_what_was_applied(
        #[case] cleanup: Option<Cleanup>,
        #[case] succeeded: bool,
        #[case] run: Fate,
        #[case] applied: Fate,
    ) {
        assert_eq!(fate_of(cleanup, succeeded, true), run);
        assert_eq!(fate_of(cleanup, succeeded, false), applied);
    }
}
