//! Endings that are kept from the moment they are known until the broker has answered them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use brokkr_api::EndingItem;
use tracing::error;

use crate::attempt::AttemptId;
use crate::durable;

/// Ends the names of complete entries.
const ENTRY: &str = "json";

/// Keeps the endings that the broker may not know yet.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Keeps the ending. Once this returns, it survives whatever happens to the agent.
    ///
    /// # Errors
    /// When it could not be kept.
    async fn record(&self, ending: &EndingItem) -> io::Result<()>;

    /// Forgets the ending, which the broker has answered.
    ///
    /// # Errors
    /// When it is still there.
    fn remove(&self, id: AttemptId) -> io::Result<()>;

    /// Every ending that was kept.
    ///
    /// # Errors
    /// When they cannot be told.
    fn all(&self) -> io::Result<Vec<EndingItem>>;
}

/// The endings on disk: one file each.
#[derive(Debug, Clone)]
pub(crate) struct FileJournal {
    directory: PathBuf,
}

impl FileJournal {
    /// The journal in this directory, which is made when it does not exist.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        durable::ensure_directory(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    fn write(&self, ending: &EndingItem) -> io::Result<()> {
        durable::write(&self.path(attempt_of(ending)), &serde_json::to_vec(ending)?)
    }

    fn path(&self, id: AttemptId) -> PathBuf {
        self.directory.join(format!("{id}.{ENTRY}"))
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn record(&self, ending: &EndingItem) -> io::Result<()> {
        let (journal, kept) = (self.clone(), ending.clone());
        // A task that is cut off by the agent's own end has told nobody that the ending is kept.
        let written = tokio::task::spawn_blocking(move || journal.write(&kept)).await;
        written.unwrap_or_else(|cut_off| Err(io::Error::other(cut_off)))
    }

    fn remove(&self, id: AttemptId) -> io::Result<()> {
        durable::remove(&self.path(id))
    }

    /// What cannot be read stays where it is, for people.
    fn all(&self) -> io::Result<Vec<EndingItem>> {
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
        FileJournal::open(directory.path())
            .unwrap()
            .write(&ending(1))
            .unwrap();
        let journal = FileJournal::open(directory.path()).unwrap();
        assert_eq!(journal.all().unwrap(), [ending(1)]);
        journal.remove(attempt_of(&ending(1))).unwrap();
        journal.remove(attempt_of(&ending(1))).unwrap();
        assert_eq!(journal.all().unwrap(), []);
    }

    #[test]
    fn what_was_half_written_when_the_power_went_is_not_an_ending() {
        let directory = tempfile::tempdir().unwrap();
        let journal = FileJournal::open(directory.path()).unwrap();
        journal.write(&ending(1)).unwrap();
        let whole = fs::read(journal.path(attempt_of(&ending(1)))).unwrap();
        for cut in 0..whole.len() {
            let unfinished = journal
                .path(attempt_of(&ending(2)))
                .with_added_extension("unfinished");
            fs::write(unfinished, &whole[..cut]).unwrap();
            assert_eq!(journal.all().unwrap(), [ending(1)]);
        }
        journal.write(&ending(2)).unwrap();
        assert_eq!(journal.all().unwrap().len(), 2);
    }

    #[test]
    fn a_damaged_entry_does_not_hide_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let journal = FileJournal::open(directory.path()).unwrap();
        fs::write(directory.path().join("x.json"), b"{").unwrap();
        journal.write(&ending(1)).unwrap();
        assert_eq!(journal.all().unwrap(), [ending(1)]);
    }
}
