//! Who has signed in to the console.

use std::time::Duration;

use brokkr_core::pak::Pak;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::App;
use super::authentication::AuthenticationError;
use super::caller::{Caller, Role};
use crate::dal::{DalError, console_sessions};
use crate::error_chain::chain;

const TOKEN_BYTES: usize = 32;
/// How long what a page reads live may outlast its session.
const SESSION_CHECKED_EVERY: Duration = Duration::from_secs(2);

/// What a browser proves its session with. It is in a cookie and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

impl SessionToken {
    /// Reads a token as [`SessionToken::reveal`] wrote it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_token = text.len() == 2 * TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_token.then(|| Self(text.to_owned()))
    }

    /// The token itself, for the cookie.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What every form of the session carries. Who cannot read the pages does not know it, and it does not tell the token.
    #[must_use]
    pub fn form_secret(&self) -> String {
        self.digest("form")
    }

    fn hash(&self) -> String {
        self.digest("session")
    }

    fn digest(&self, purpose: &str) -> String {
        hex(&Sha256::digest(format!("{purpose}:{}", self.0)))
    }
}

/// Without the token.
impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// Why somebody cannot sign in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The key is unknown, expired or revoked.
    #[error("the key is not accepted")]
    NotAccepted,
    /// The key is an agent's or a generator's.
    #[error("only the keys of administrators and viewers open the console")]
    NotAPerson,
    /// The database did not do its part.
    #[error("could not open a session")]
    Storage(#[from] DalError),
}

impl From<AuthenticationError> for SignInError {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::NotAccepted => Self::NotAccepted,
            AuthenticationError::Storage(error) => Self::Storage(error),
        }
    }
}

impl App {
    /// Opens a session for the bearer of a key, which ends after `lasts`, or earlier with the key.
    ///
    /// # Errors
    /// [`SignInError`]; there is no session then.
    pub async fn sign_in(&self, pak: &Pak, lasts: Duration) -> Result<SessionToken, SignInError> {
        let caller = self.authenticate(pak).await?;
        if !matches!(caller.role, Role::Admin | Role::Viewer) {
            return Err(SignInError::NotAPerson);
        }
        let now = self.now();
        let token = SessionToken(hex(&self.random_bytes::<TOKEN_BYTES>()));
        let mut tx = self.db.begin().await?;
        console_sessions::insert(&mut tx, &token.hash(), &caller.key, now, now.plus(lasts)).await?;
        self.record(&mut tx, &caller, now, "console.sign_in", &caller.key, json!({}))
            .await?;
        tx.commit().await?;
        Ok(token)
    }

    /// Who has signed in, while the session and its key are good.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn session(&self, token: &SessionToken) -> Result<Option<Caller>, DalError> {
        let mut tx = self.db.read().await?;
        let found = console_sessions::find_live(&mut tx, &token.hash(), self.now()).await?;
        Ok(found.map(|credential| Caller::new(credential.role, credential.short)))
    }

    /// Waits until the session is over, or until the database does not say that it goes on.
    pub async fn session_over(&self, token: &SessionToken) {
        loop {
            tokio::time::sleep(SESSION_CHECKED_EVERY).await;
            match self.session(token).await {
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => {
                    warn!(error = %chain(&error), "what a page of the console reads live was interrupted");
                    return;
                }
            }
        }
    }

    /// Ends a session at every replica.
    ///
    /// # Errors
    /// [`DalError`]; the session goes on then.
    pub async fn sign_out(&self, token: &SessionToken) -> Result<(), DalError> {
        let mut tx = self.db.begin().await?;
        console_sessions::delete(&mut tx, &token.hash()).await?;
        tx.commit().await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
