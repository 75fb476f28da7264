//! The directory of one command: everything that has to outlive the agent.
//!
//! | file | written by | says |
//! |---|---|---|
//! | `lock` | supervisor | held for as long as it lives |
//! | `supervisor.json` | supervisor | which process it is |
//! | `begun` | supervisor | from now on the command may have run |
//! | `started.json` | supervisor | the command's process group |
//! | `output` | supervisor | the spool |
//! | `exit.json` | supervisor | how it ended: the only source of an outcome |
//! | `stop.json` | agent | why it has to stop |
//! | `sent` | agent | how much output the broker has |
//!
//! The directory exists, safely on disk, before anything is started. So an attempt without one was never begun.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::attempt::AttemptId;
use crate::durable;
use crate::execute::command::process::Group;
use crate::stop::StopReason;

/// How a command ended, as its supervisor saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) end: End,
    /// Set when the supervisor had begun to stop the command before it ended.
    pub(crate) stopped: Option<StopReason>,
    /// Some process kept the output open after the command had ended, so its last words may be missing.
    pub(crate) output_held_open: bool,
    /// Bytes of output that were not kept.
    pub(crate) output_omitted_bytes: u64,
}

impl Exit {
    pub(crate) fn without_output(end: End) -> Self {
        Self {
            end,
            stopped: None,
            output_held_open: false,
            output_omitted_bytes: 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
    /// It was never started, and never will be.
    NotStarted,
    /// The operating system would not start it.
    StartFailed {
        message: String,
        hosts_fault: bool,
    },
}

/// Why and how a command has to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopRequest {
    pub(crate) reason: StopReason,
    /// Between asking (TERM) and forcing (KILL).
    pub(crate) grace: Duration,
}

/// What is known about a command.
#[derive(Debug)]
pub(crate) enum Condition {
    /// Its supervisor lives.
    Running,
    Ended(Exit),
    /// Its supervisor is gone without a word: what the command did, or still does, nobody knows.
    Unknown,
}

#[derive(Debug, Clone)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Whether or not it exists.
    pub(crate) fn of(root: &Path, id: AttemptId) -> Self {
        Self {
            path: root.join(id.to_string()),
        }
    }

    /// A directory that exists.
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Every directory below `root`, with the attempt it belongs to. What is no such directory is left alone.
    pub(crate) fn all(root: &Path) -> io::Result<Vec<(AttemptId, Self)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                found.push((id, Self { path: entry.path() }));
            }
        }
        Ok(found)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        durable::create_directory(&self.path)
    }

    pub(crate) fn exists(&self) -> io::Result<bool> {
        self.path.try_exists()
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        durable::remove(&self.path)
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.path.join("output")
    }

    /// Where the command works unless its document says otherwise.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.path.join("workspace")
    }

    /// Takes the right to run the command, and holds it for as long as the file is open. Nothing when another holds it.
    pub(crate) fn lock(&self) -> io::Result<Option<File>> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(crate) fn record_supervisor(&self, supervisor: &Group) -> io::Result<()> {
        self.note("supervisor.json", supervisor)
    }

    pub(crate) fn supervisor(&self) -> io::Result<Option<Group>> {
        self.read("supervisor.json")
    }

    pub(crate) fn record_begun(&self) -> io::Result<()> {
        durable::write(&self.path.join("begun"), b"")
    }

    pub(crate) fn record_started(&self, group: &Group) -> io::Result<()> {
        self.note("started.json", group)
    }

    pub(crate) fn started(&self) -> io::Result<Option<Group>> {
        self.read("started.json")
    }

    pub(crate) fn record_stop(&self, stop: &StopRequest) -> io::Result<()> {
        self.note("stop.json", stop)
    }

    pub(crate) fn stop(&self) -> io::Result<Option<StopRequest>> {
        self.read("stop.json")
    }

    pub(crate) fn record_exit(&self, exit: &Exit) -> io::Result<()> {
        durable::write(&self.path.join("exit.json"), &serde_json::to_vec(exit)?)
    }

    /// Losing this number only costs sending output again.
    pub(crate) fn record_sent(&self, offset: u64) -> io::Result<()> {
        durable::write_for_this_boot(&self.path.join("sent"), offset.to_string().as_bytes())
    }

    pub(crate) fn sent(&self) -> io::Result<u64> {
        let text = durable::read(&self.path.join("sent"))?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).parse().unwrap_or(0))
    }

    /// When it was last changed, by the host's clock.
    pub(crate) fn changed_at(&self) -> io::Result<DateTime<Utc>> {
        Ok(fs::metadata(&self.path)?.modified()?.into())
    }

    /// What is known now. When the supervisor is gone, this keeps a late one from starting anything.
    pub(crate) fn condition(&self) -> io::Result<Condition> {
        if let Some(exit) = self.read("exit.json")? {
            return Ok(Condition::Ended(exit));
        }
        let Some(_lock) = self.lock()? else {
            return Ok(Condition::Running);
        };
        // The supervisor may have written its last record between the two looks.
        if let Some(exit) = self.read("exit.json")? {
            return Ok(Condition::Ended(exit));
        }
        if self.path.join("begun").try_exists()? {
            return Ok(Condition::Unknown);
        }
        let stopped = self.stop()?.map(|stop| stop.reason);
        let never = Exit {
            stopped,
            ..Exit::without_output(End::NotStarted)
        };
        self.record_exit(&never)?;
        Ok(Condition::Ended(never))
    }

    /// Whether an exit has been recorded: then a supervisor has nothing left to do.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        self.path.join("exit.json").try_exists()
    }

    /// For what means nothing any more once the host has been down, as no process then is what it was.
    fn note(&self, name: &str, record: &impl Serialize) -> io::Result<()> {
        durable::write_for_this_boot(&self.path.join(name), &serde_json::to_vec(record)?)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match durable::read(&self.path.join(name))? {
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(root: &Path) -> Directory {
        let directory = Directory::of(
            root,
            AttemptId {
                order: uuid::Uuid::nil(),
                attempt: 3,
            },
        );
        directory.create().unwrap();
        directory
    }

    #[test]
    fn while_the_lock_is_held_the_command_runs() {
        let root = tempfile::tempdir().unwrap();
        let directory = directory(root.path());
        let lock = directory.lock().unwrap();
        assert!(lock.is_some());
        assert!(directory.lock().unwrap().is_none());
        assert!(matches!(directory.condition().unwrap(), Condition::Running));
    }

    #[test]
    fn a_supervisor_that_is_gone_before_it_began_leaves_nothing_unknown_and_none_may_follow() {
        let root = tempfile::tempdir().unwrap();
        let directory = directory(root.path());
        assert!(
            matches!(directory.condition().unwrap(), Condition::Ended(exit) if exit.end == End::NotStarted)
        );
        assert!(directory.has_ended().unwrap());
    }

    #[test]
    fn a_supervisor_that_is_gone_after_it_began_leaves_the_outcome_unknown() {
        let root = tempfile::tempdir().unwrap();
        let directory = directory(root.path());
        directory.record_begun().unwrap();
        assert!(matches!(directory.condition().unwrap(), Condition::Unknown));
    }

    #[test]
    fn an_exit_is_an_exit_even_while_the_lock_is_held() {
        let root = tempfile::tempdir().unwrap();
        let directory = directory(root.path());
        let exit = Exit::without_output(End::Code(3));
        let _lock = directory.lock().unwrap();
        directory.record_exit(&exit).unwrap();
        assert!(matches!(directory.condition().unwrap(), Condition::Ended(found) if found == exit));
    }

    #[test]
    fn directories_are_found_by_their_attempt() {
        let root = tempfile::tempdir().unwrap();
        directory(root.path());
        fs::create_dir(root.path().join("something else")).unwrap();
        let all = Directory::all(root.path()).unwrap();
        assert_eq!(all.iter().map(|(id, _)| id.attempt).collect::<Vec<_>>(), [3]);
    }
}
