//! Finding out who calls.

use brokkr_core::pak::Pak;

use super::App;
use super::caller::Caller;
use crate::dal::{DalError, credentials};

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
    /// Asks the database every time: a key is dead for all replicas from the moment in which it was revoked.
    ///
    /// # Errors
    /// [`AuthenticationError::NotAccepted`] says no more than that, whatever is wrong with the key.
    pub async fn authenticate(&self, pak: &Pak) -> Result<Caller, AuthenticationError> {
        let mut tx = self.db.read().await.map_err(AuthenticationError::Storage)?;
        let found = credentials::find_live(&mut tx, pak.short(), self.now())
            .await
            .map_err(AuthenticationError::Storage)?;
        match found {
            Some(credential) if credential.hash == pak.hash() => {
                Ok(Caller::new(credential.role, credential.short))
            }
            _ => Err(AuthenticationError::NotAccepted),
        }
    }
}
