//! Finding out who calls.

use brokkr_core::pak::{Pak, ShortPart};

use super::App;
use super::caller::Caller;
use crate::dal::{DalError, Tx, credentials, nudges};

/// Why nobody could be authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The key is unknown, expired or revoked, or belongs to an agent or a generator that was deleted.
    #[error("the key is not accepted")]
    NotAccepted,
    /// The key could not be looked up.
    #[error("could not look the key up")]
    Storage(#[source] DalError),
}

impl App {
    /// Tells whose key `pak` is.
    ///
    /// A key that was accepted a moment ago is taken without asking the database, as long as this broker hears which ones
    /// are revoked through the others.
    ///
    /// # Errors
    /// [`AuthenticationError::NotAccepted`] says no more than that, whatever is wrong with the key.
    pub async fn authenticate(&self, pak: &Pak) -> Result<Caller, AuthenticationError> {
        let now = self.now();
        if let Some(caller) = self.keys.find(pak, now) {
            return Ok(caller);
        }
        let lookup = self.keys.look_up();
        let mut tx = self.db.read().await.map_err(AuthenticationError::Storage)?;
        let found = credentials::find_live(&mut tx, pak.short(), now)
            .await
            .map_err(AuthenticationError::Storage)?;
        match found {
            Some(credential) if credential.hash == pak.hash() => {
                self.keys.remember(lookup, &credential);
                Ok(Caller::new(credential.role, credential.short))
            }
            _ => Err(AuthenticationError::NotAccepted),
        }
    }

    /// Commits a transaction that revokes keys: no broker takes them for good afterwards.
    ///
    /// # Errors
    /// As [`Tx::commit`].
    pub(super) async fn commit_revoking(&self, mut tx: Tx, revoked: &[ShortPart]) -> Result<(), DalError> {
        if nudges::others_possible(&self.db) {
            // Within the transaction, or a broker that dies after the commit leaves the others untold.
            for payload in super::nudges::to_forget(revoked) {
                nudges::tell(&mut tx, &payload).await?;
            }
        }
        let _forgetting = self.keys.forgetting(revoked);
        tx.commit().await
    }
}
