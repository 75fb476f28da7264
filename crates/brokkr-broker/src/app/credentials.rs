//! Administrators' and viewers' keys.

use brokkr_core::names::KeyName;
use brokkr_core::pak::{Pak, ShortPart};
use brokkr_core::time::Timestamp;
use serde_json::json;

use super::App;
use super::caller::{Caller, Role};
use crate::dal::{DalError, credentials};

pub use crate::dal::credentials::Credential;

/// A key that could not be made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum PakError {
    /// There is no such key.
    #[error("there is no such key")]
    Absent,
    /// It would be dead from the start.
    #[error("the key would expire at {0}, which has passed")]
    Expired(Timestamp),
    /// Nobody could administer the broker without it.
    #[error("it is the last administrator's key that works")]
    LastAdmin,
    /// The database did not do its part.
    #[error("could not read or change the key")]
    Storage(#[from] DalError),
}

/// The two kinds of key that belong to people and tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedRole {
    /// Everything.
    Admin,
    /// Reads everything, changes nothing.
    Viewer,
}

impl From<NamedRole> for Role {
    fn from(role: NamedRole) -> Self {
        match role {
            NamedRole::Admin => Self::Admin,
            NamedRole::Viewer => Self::Viewer,
        }
    }
}

impl Credential {
    /// What is stored of a key of an agent or a generator.
    pub(super) fn of(pak: &Pak, role: Role, now: Timestamp) -> Self {
        let (short, hash) = (pak.short().clone(), pak.hash());
        Self {
            short,
            hash,
            role,
            name: None,
            created_at: now,
            expires_at: None,
        }
    }
}

impl App {
    /// Makes a key for a person or a tool. Without `expires_at` it works until it is revoked.
    ///
    /// # Errors
    /// [`PakError::Expired`].
    pub async fn create_pak(
        &self,
        caller: &Caller,
        name: KeyName,
        role: NamedRole,
        expires_at: Option<Timestamp>,
    ) -> Result<(Credential, Pak), PakError> {
        let now = self.now();
        if let Some(at) = expires_at.filter(|at| *at <= now) {
            return Err(PakError::Expired(at));
        }
        let pak = self.new_pak();
        let credential = Credential {
            name: Some(name),
            expires_at,
            ..Credential::of(&pak, role.into(), now)
        };
        let mut tx = self.db.begin().await?;
        credentials::insert(&mut tx, &credential).await?;
        let details = json!({
            "name": credential.name.as_ref().map(KeyName::as_str),
            "role": format!("{role:?}").to_lowercase(),
            "expires_at": expires_at.map(|at| at.to_string()),
        });
        self.record(&mut tx, caller, now, "pak.create", pak.short(), details)
            .await?;
        tx.commit().await?;
        Ok((credential, pak))
    }

    /// At most `limit` administrators' and viewers' keys that work, by short part.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn list_paks(
        &self,
        after: Option<&ShortPart>,
        limit: u32,
    ) -> Result<Vec<Credential>, DalError> {
        let mut tx = self.db.read().await?;
        credentials::list(&mut tx, after, limit, self.now()).await
    }

    /// Revokes an administrator's or a viewer's key, at once and for ever.
    ///
    /// # Errors
    /// [`PakError::Absent`], and [`PakError::LastAdmin`] for the key without which nobody could make another.
    pub async fn delete_pak(&self, caller: &Caller, short: &ShortPart) -> Result<(), PakError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        // Two administrators who revoke each other's key at once must not both succeed.
        credentials::lock_admins(&mut tx).await?;
        if !credentials::revoke_named(&mut tx, short, now).await? {
            return Err(PakError::Absent);
        }
        if !credentials::admin_exists(&mut tx, now).await? {
            return Err(PakError::LastAdmin);
        }
        self.record(&mut tx, caller, now, "pak.delete", short, json!({}))
            .await?;
        self.commit_revoking(tx, std::slice::from_ref(short)).await?;
        Ok(())
    }
}
