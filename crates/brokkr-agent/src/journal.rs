//! Endings on disk, from the moment they are known until the broker has answered them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use brokkr_api::EndingItem;
use tracing::error;

use crate::attempt::AttemptId;
use crate::durable;

/// Ends the names of complete entries.
const ENTRY: &str = "json";

/// The endings that the broker may not know yet: one file each.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    directory: PathBuf,
}

impl Journal {
    /// The journal in this directory, which is made when it does not exist.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        durable::ensure_directory(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// Keeps the ending. Once this returns, it survives whatever happens to the agent.
    pub(crate) fn record(&self, ending: &EndingItem) -> io::Result<()> {
        durable::write(&self.path(attempt_of(ending)), &serde_json::to_vec(ending)?)
    }

    /// Forgets the ending, which the broker has answered.
    pub(crate) fn remove(&self, id: AttemptId) -> io::Result<()> {
        durable::remove(&self.path(id))
    }

    /// Every ending that was kept. What cannot be read stays where it is, for people.
    pub(crate) fn all(&self) -> io::Result<Vec<EndingItem>> {
        let mut endings = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != ENTRY) {
                continue;
            }
            match serde_json::from_slice(&fs::read(&path)?) {
                Ok(ending) => endings.push(ending),
                Err(error) => {
                    error!(path = %path.display(), %error, "a kept ending cannot be read, so it is not reported")
                }
            }
        }
        Ok(endings)
    }

    fn path(&self, id: AttemptId) -> PathBuf {
        self.directory.join(format!("{id}.{ENTRY}"))
    }
}

/// Which attempt an ending is about.
pub(crate) fn attempt_of(ending: &EndingItem) -> AttemptId {
    AttemptId {
        order: ending.id,
        attempt: ending.attempt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn ending(attempt: i64) -> EndingItem {
        let (id, message) = (Uuid::nil(), Some("done".to_owned()));
        EndingItem {
            id,
            attempt,
            success: true,
            message,
            class: None,
            retryable: None,
            exit_code: Some(0),
            result: None,
        }
    }

    #[test]
    fn an_ending_is_kept_until_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        Journal::open(directory.path())
            .unwrap()
            .record(&ending(1))
            .unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        assert_eq!(journal.all().unwrap(), [ending(1)]);
        journal.remove(attempt_of(&ending(1))).unwrap();
        journal.remove(attempt_of(&ending(1))).unwrap();
        assert_eq!(journal.all().unwrap(), []);
    }

    #[test]
    fn what_was_half_written_when_the_power_went_is_not_an_ending() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        journal.record(&ending(1)).unwrap();
        let whole = fs::read(journal.path(attempt_of(&ending(1)))).unwrap();
        for cut in 0..whole.len() {
            let unfinished = journal
                .path(attempt_of(&ending(2)))
                .with_added_extension("unfinished");
            fs::write(unfinished, &whole[..cut]).unwrap();
            assert_eq!(journal.all().unwrap(), [ending(1)]);
        }
        journal.record(&ending(2)).unwrap();
        assert_eq!(journal.all().unwrap().len(), 2);
    }

    #[test]
    fn a_damaged_entry_does_not_hide_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        fs::write(directory.path().join("x.json"), b"{").unwrap();
        journal.record(&ending(1)).unwrap();
        assert_eq!(journal.all().unwrap(), [ending(1)]);
    }
}
