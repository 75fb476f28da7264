//! The first administrator's key. Exactly one is made, however many brokers start at once on a new database.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use brokkr_core::names::{KeyName, NameError};
use brokkr_core::pak::{Pak, PakHash, ShortPart};
use serde_json::json;
use tracing::warn;

use super::App;
use super::caller::Role;
use crate::dal::credentials::{self, Credential};
use crate::dal::{DalError, Tx, audit};

const FIRST_ADMIN: &str = "first admin";
const CONFIGURED_ADMIN: &str = "configured admin";

/// Where the first administrator's key comes from.
#[derive(Debug, Clone)]
pub enum FirstAdmin {
    /// It is made, and only told to whoever started the broker.
    Told,
    /// It is made and written to a file that only its owner may read. A key that is in the file already is taken instead.
    File(PathBuf),
    /// Its hash is configured, so the broker never has the key itself.
    Hash {
        /// The key's short part.
        short: ShortPart,
        /// The hash of its long part.
        hash: PakHash,
    },
}

/// Why the broker has no administrator.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    /// The file is there and holds no key.
    #[error("{} does not hold a key: remove it, or put one there", .0.display())]
    NotAKey(PathBuf),
    /// The file could not be read or written.
    #[error("could not read or write the key file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The built-in name of the key was refused.
    #[error("could not name the key")]
    Name(#[from] NameError),
    /// The database did not do its part.
    #[error("could not look for an administrator's key, or keep a new one")]
    Storage(#[from] DalError),
}

impl App {
    /// Makes the first administrator's key, unless one works already. Answers the key if it was made or taken up now.
    ///
    /// # Errors
    /// [`FirstAdminError`]; no key was made then.
    pub async fn ensure_admin(&self, from: &FirstAdmin) -> Result<Option<Pak>, FirstAdminError> {
        let mut tx = self.db.begin().await?;
        credentials::lock_admins(&mut tx).await?;
        let pak = match from {
            FirstAdmin::Hash { short, hash } => {
                self.keep_configured(tx, short, *hash).await?;
                return Ok(None);
            }
            FirstAdmin::Told | FirstAdmin::File(_)
                if credentials::admin_exists(&mut tx, self.now()).await? =>
            {
                return Ok(None);
            }
            FirstAdmin::Told => self.new_pak(),
            // Written before the commit: a key in the file that the database lacks is taken up at the next start, and one
            // in the database that nobody was told would be lost.
            FirstAdmin::File(path) => read_key(path)?.map_or_else(|| write_key(path, self.new_pak()), Ok)?,
        };
        self.insert_admin(&mut tx, pak.short(), pak.hash(), FIRST_ADMIN)
            .await?;
        tx.commit().await?;
        Ok(Some(pak))
    }

    async fn keep_configured(
        &self,
        mut tx: Tx,
        short: &ShortPart,
        hash: PakHash,
    ) -> Result<(), FirstAdminError> {
        match credentials::find_live(&mut tx, short, self.now()).await? {
            Some(found) if found.role == Role::Admin && found.hash == hash => return Ok(()),
            Some(_) => {
                warn!(pak.short = %short, "another key has the configured administrator key's short part {short}");
                return Ok(());
            }
            None => {}
        }
        match self.insert_admin(&mut tx, short, hash, CONFIGURED_ADMIN).await {
            Err(FirstAdminError::Storage(error)) if error.constraint().is_some() => {
                warn!(pak.short = %short, "the configured administrator's key {short} was revoked, and stays so");
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => Ok(tx.commit().await?),
        }
    }

    async fn insert_admin(
        &self,
        tx: &mut Tx,
        short: &ShortPart,
        hash: PakHash,
        name: &str,
    ) -> Result<(), FirstAdminError> {
        let now = self.now();
        let credential = Credential {
            short: short.clone(),
            hash,
            role: Role::Admin,
            name: Some(KeyName::parse(name)?),
            created_at: now,
            expires_at: None,
        };
        credentials::insert(tx, &credential).await?;
        let details = json!({"name": name, "role": "admin"});
        audit::insert(tx, &[self.own_fact(now, "pak.create", short, details)]).await?;
        Ok(())
    }
}

fn read_key(path: &Path) -> Result<Option<Pak>, FirstAdminError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Pak::parse(text.trim())
            .map(Some)
            .map_err(|_| FirstAdminError::NotAKey(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FirstAdminError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

fn write_key(path: &Path, pak: Pak) -> Result<Pak, FirstAdminError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        writeln!(file, "{}", pak.reveal())?;
        file.sync_all()
    };
    match write() {
        Ok(()) => Ok(pak),
        Err(source) => Err(FirstAdminError::File {
            path: path.to_owned(),
            source,
        }),
    }
}
