//! The PAKs of admins and viewers, and whose the own one is.

use brokkr_api::{AuthAnswer, CreatePak, ListPaks, PakCreated, PakInfo, paths};

use crate::agents::sendable;
use crate::{Client, ClientError, Page};

impl Client {
    /// Whom the client's PAK belongs to.
    ///
    /// # Errors
    /// 401 when it is not known.
    pub async fn whoami(&self) -> Result<AuthAnswer, ClientError> {
        self.post_empty(paths::AUTH_PAK).await
    }

    /// Creates a PAK for a person or a tool.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn create_pak(&self, pak: &CreatePak) -> Result<PakCreated, ClientError> {
        self.post(paths::PAKS, pak).await
    }

    /// What the broker knows of the PAKs of admins and viewers.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn paks(&self, query: &ListPaks) -> Result<Page<PakInfo>, ClientError> {
        self.page(paths::PAKS, query).await
    }

    /// Deletes a PAK by its short part. It is dead at once.
    ///
    /// # Errors
    /// 404 when there is none.
    pub async fn delete_pak(&self, short: &str) -> Result<(), ClientError> {
        sendable(short)?;
        self.delete(&paths::pak(short)).await
    }
}
