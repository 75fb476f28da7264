//! What an attempt has sent to the cluster, kept on disk from before the first object is sent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::error;
use uuid::Uuid;

use crate::attempt::AttemptId;
use crate::durable;

/// Ends the names of complete records.
const RECORD: &str = "json";

/// What becomes of an attempt's objects after its ending was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cleanup {
    /// Everything stays.
    Keep,
    /// Everything goes once the attempt has succeeded.
    DeleteOnSuccess,
    /// Everything goes.
    Delete,
}

/// An object that an attempt has sent, or is about to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedObject {
    /// Its group and version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; nothing when the kind is cluster-scoped.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its identity, once the API has answered.
    pub uid: Option<String>,
    /// The document it comes from, counted from 1.
    pub document: usize,
    /// Whether it was created; else it was applied.
    pub created: bool,
}

/// Everything that must be known of an attempt after the agent was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The attempt.
    pub id: AttemptId,
    /// The agent that began it.
    pub agent: Uuid,
    /// The type of the work.
    pub work_type: String,
    /// When it began.
    #[serde(with = "rfc3339")]
    pub begun_at: DateTime<Utc>,
    /// What was sent or is about to be sent, in that order.
    pub objects: Vec<RecordedObject>,
    /// What the order says about cleaning up.
    pub cleanup: Option<Cleanup>,
    /// Whether it succeeded, once that is known.
    pub succeeded: Option<bool>,
    /// Whether the broker has accepted its ending.
    pub settled: bool,
}

/// The records of all attempts: one file each. Clones are the same records.
#[derive(Debug, Clone)]
pub struct Records {
    directory: PathBuf,
}

impl Records {
    /// The records in this directory, which is made when it does not exist.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: &Path) -> io::Result<Self> {
        durable::ensure_directory(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// The record of an attempt, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn get(&self, id: AttemptId) -> io::Result<Option<Record>> {
        let bytes = durable::read(&self.path(id))?;
        Ok(bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
    }

    /// Keeps the record. Once this returns, it survives whatever happens to the agent or the host.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, record: &Record) -> io::Result<()> {
        durable::write(&self.path(record.id), &serde_json::to_vec(record)?)
    }

    /// Forgets the attempt. That it is forgotten already is no error.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(&self, id: AttemptId) -> io::Result<()> {
        durable::remove(&self.path(id))
    }

    /// Every record. What cannot be read stays where it is, for people.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn all(&self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != RECORD) {
                continue;
            }
            let Some(bytes) = durable::read(&path)? else {
                continue;
            };
            match serde_json::from_slice(&bytes) {
                Ok(record) => records.push(record),
                Err(error) => {
                    error!(path = %path.display(), %error, "a record of an attempt cannot be read, its objects are found by their labels only")
                }
            }
        }
        Ok(records)
    }

    fn path(&self, id: AttemptId) -> PathBuf {
        self.directory.join(format!("{id}.{RECORD}"))
    }
}

mod rfc3339 {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(at.to_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(attempt: i64) -> Record {
        let id = AttemptId {
            order: Uuid::nil(),
            attempt,
        };
        let job = RecordedObject {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "migrate-000000000000-1".to_owned(),
            uid: None,
            document: 2,
            created: true,
        };
        Record {
            id,
            agent: Uuid::max(),
            work_type: "custom".to_owned(),
            begun_at: "2026-11-22T10:00:00.123456Z".parse().unwrap(),
            objects: vec![job],
            cleanup: Some(Cleanup::DeleteOnSuccess),
            succeeded: None,
            settled: false,
        }
    }

    #[test]
    fn a_record_is_kept_until_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        Records::open(directory.path()).unwrap().put(&record(1)).unwrap();

        let records = Records::open(directory.path()).unwrap();
        assert_eq!(records.get(record(1).id).unwrap(), Some(record(1)));
        assert_eq!(records.get(record(2).id).unwrap(), None);
        let later = Record {
            settled: true,
            ..record(1)
        };
        records.put(&later).unwrap();
        assert_eq!(records.all().unwrap(), [later]);

        records.remove(record(1).id).unwrap();
        records.remove(record(1).id).unwrap();
        assert_eq!(records.all().unwrap(), []);
    }

    #[test]
    fn a_damaged_record_hides_no_other_and_is_no_missing_one() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path()).unwrap();
        records.put(&record(1)).unwrap();
        fs::write(records.path(record(2).id), b"{").unwrap();
        fs::write(
            records.path(record(3).id).with_added_extension("unfinished"),
            b"{",
        )
        .unwrap();
        assert_eq!(records.all().unwrap(), [record(1)]);
        assert!(records.get(record(2).id).is_err());
    }
}
