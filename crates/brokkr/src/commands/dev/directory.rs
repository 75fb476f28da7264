//! `.brokkr/`: what `brokkr dev` keeps, and how other terminals find it while it runs.
//!
//! Whoever runs holds a lock on a file in it, so a `dev.toml` that a killed process left behind misleads nobody.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use brokkr_api::PakText;
use serde::{Deserialize, Serialize};

use crate::contexts::write_private;
use crate::exit::usage;

const NAME: &str = ".brokkr";
const LOCK: &str = "lock";
const ADDRESS: &str = "dev.toml";

/// Others hold the lock for an instant when they look whether anybody runs.
const LOCK_ATTEMPTS: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The directory of a `brokkr dev`, held by this process.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

/// How to talk to a `brokkr dev` that runs.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) broker: String,
    pub(crate) pak: PakText,
    /// The directory above `.brokkr/`.
    pub(crate) place: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    broker: String,
    pak: PakText,
}

impl Directory {
    /// Takes `.brokkr/` below `parent`, made when it is missing.
    ///
    /// # Errors
    /// A usage error when another `brokkr dev` has it.
    pub(crate) async fn take(parent: &Path) -> anyhow::Result<Directory> {
        let path = parent.join(NAME);
        let directory = Directory::hold(path).await?;
        // Nothing in it belongs into a repository.
        let ignore = directory.file(".gitignore");
        fs::write(&ignore, "*\n").with_context(|| format!("could not write {}", ignore.display()))?;
        Ok(directory)
    }

    /// Takes a directory that nobody else knows.
    pub(crate) async fn hold(path: PathBuf) -> anyhow::Result<Directory> {
        let failed = || format!("could not make {}", path.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(failed)?;
        let lock = open_lock(&path).with_context(failed)?;
        for _ in 0..LOCK_ATTEMPTS {
            match lock.try_lock() {
                Ok(()) => return Ok(Directory { path, _lock: lock }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
            }
        }
        Err(usage(format!(
            "brokkr dev already runs here ({}). Use it with brokkr submit, or start another one that keeps nothing with --ephemeral",
            path.display()
        )))
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Tells other terminals how to talk to the broker, until [`Directory::retract`].
    pub(crate) fn announce(&self, broker: &str, pak: &PakText) -> anyhow::Result<()> {
        let address = Address {
            broker: broker.to_owned(),
            pak: pak.clone(),
        };
        let text = toml::to_string(&address).context("could not write the address as TOML")?;
        let path = self.file(ADDRESS);
        write_private(&path, text.as_bytes()).with_context(|| format!("could not write {}", path.display()))
    }

    /// Tells nobody any more.
    pub(crate) fn retract(&self) {
        // The lock goes with this process, so what cannot be removed is not believed either.
        let _ = fs::remove_file(self.file(ADDRESS));
    }
}

/// The `brokkr dev` that runs in this directory or the nearest one above it.
pub(crate) fn running_near(directory: &Path) -> anyhow::Result<Option<Running>> {
    for place in directory.ancestors() {
        let path = place.join(NAME);
        if !path.join(ADDRESS).is_file() || !is_held(&path).unwrap_or(false) {
            continue;
        }
        let file = path.join(ADDRESS);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("could not read {}", file.display())),
        };
        let address: Address =
            toml::from_str(&text).with_context(|| format!("could not read {}", file.display()))?;
        return Ok(Some(Running {
            broker: address.broker,
            pak: address.pak,
            place: place.to_owned(),
        }));
    }
    Ok(None)
}

fn is_held(path: &Path) -> io::Result<bool> {
    match File::open(path.join(LOCK))?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_runs_is_found_from_below_and_who_is_gone_is_not() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        let directory = Directory::take(root.path()).await.unwrap();
        directory
            .announce("http://127.0.0.1:3000", &PakText::new("secret"))
            .unwrap();

        let running = running_near(&below).unwrap().expect("it runs");
        assert_eq!(
            (running.broker.as_str(), running.pak.expose()),
            ("http://127.0.0.1:3000", "secret")
        );
        assert_eq!(running.place, root.path());

        drop(directory);
        assert!(root.path().join(".brokkr/dev.toml").exists());
        assert!(running_near(&below).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_directory_has_one_holder() {
        let root = tempfile::tempdir().unwrap();
        let _first = Directory::take(root.path()).await.unwrap();
        let error = Directory::take(root.path()).await.unwrap_err();
        assert!(error.to_string().contains("--ephemeral"), "{error}");
    }
}
