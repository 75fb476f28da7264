//! An attempt of which something may be in the cluster.

use std::io;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tracing::warn;
use uuid::Uuid;

use super::Runs;
use crate::attempt::AttemptId;
use crate::kube::{Cleanup, Record, RecordedObject, Records};

/// The record of an attempt that this process works on.
#[derive(Debug)]
pub(crate) struct Begun {
    records: Records,
    record: Record,
}

impl Runs {
    /// Keeps on disk what the attempt is about to send. What an earlier process has recorded of it stays known.
    ///
    /// # Errors
    /// When it cannot be kept; then nothing may be sent.
    pub(crate) async fn begin(
        &self,
        id: AttemptId,
        agent: Uuid,
        objects: Vec<RecordedObject>,
        cleanup: Option<Cleanup>,
    ) -> io::Result<Begun> {
        let records = self.records.clone();
        let fresh = Record {
            id,
            agent,
            work_type: self.work_type.to_owned(),
            begun_at: self.clock.now(),
            objects,
            cleanup,
            succeeded: None,
            settled: false,
        };
        let opened = spawn_blocking(move || {
            let record = match records.get(id)? {
                Some(earlier) => continued(fresh, &earlier),
                None => fresh,
            };
            records.put(&record)?;
            Ok(Begun { records, record })
        });
        opened.await.map_err(io::Error::other)?
    }

    /// How long the attempt may still go on, by when an earlier process began it.
    pub(crate) fn time_left(&self, id: AttemptId, deadline_seconds: Option<u64>) -> Option<Duration> {
        let deadline = Duration::from_secs(deadline_seconds?);
        let begun_at = self.records.get(id).ok().flatten().map(|record| record.begun_at);
        // A clock that was set back has not given the attempt more time than it had.
        let passed = begun_at.map(|begun_at| (self.clock.now() - begun_at).to_std().unwrap_or_default());
        Some(deadline.saturating_sub(passed.unwrap_or_default()))
    }
}

fn continued(fresh: Record, earlier: &Record) -> Record {
    let uid_of = |object: &RecordedObject| {
        let same = |other: &&RecordedObject| {
            (&other.kind, &other.namespace, &other.name) == (&object.kind, &object.namespace, &object.name)
        };
        earlier.objects.iter().find(same)?.uid.clone()
    };
    let objects = fresh.objects.into_iter().map(|object| RecordedObject {
        uid: uid_of(&object),
        ..object
    });
    Record {
        objects: objects.collect(),
        begun_at: earlier.begun_at,
        ..fresh
    }
}

impl Begun {
    /// The attempt that the objects are named after.
    pub(crate) fn id(&self) -> AttemptId {
        self.record.id
    }

    /// The identity of an object, if the API is known to have answered for it.
    pub(crate) fn uid(&self, index: usize) -> Option<&str> {
        self.record.objects.get(index)?.uid.as_deref()
    }

    /// The API has answered for this object.
    pub(crate) async fn sent(&mut self, index: usize, uid: Option<String>) {
        if let Some(object) = self
            .record
            .objects
            .get_mut(index)
            .filter(|object| object.uid != uid)
        {
            object.uid = uid;
            self.keep().await;
        }
    }

    /// The outcome is known.
    pub(crate) async fn ended(&mut self, succeeded: bool) {
        self.record.succeeded = Some(succeeded);
        self.keep().await;
    }

    /// Nothing of the attempt runs any more or could tell its outcome, so that no later one has anything to take over.
    pub(crate) async fn forget(self) {
        let (records, id) = (self.records, self.record.id);
        let removed = spawn_blocking(move || records.remove(id)).await;
        if let Err(error) = removed.unwrap_or_else(|error| Err(io::Error::other(error))) {
            warn!(work_order.id = %id.order, attempt = id.attempt, %error, "could not remove the record of an attempt");
        }
    }

    /// What the record misses, the labels of the runs still tell.
    async fn keep(&self) {
        let (records, record) = (self.records.clone(), self.record.clone());
        let id = record.id;
        let kept = spawn_blocking(move || records.put(&record)).await;
        if let Err(error) = kept.unwrap_or_else(|error| Err(io::Error::other(error))) {
            warn!(work_order.id = %id.order, attempt = id.attempt, %error, "could not add to the record of an attempt");
        }
    }
}
