//! Requests that may be sent again: the first one acts, and an equal one gets its answer.

use brokkr_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::App;
use super::caller::Caller;
use crate::dal::idempotency_keys::{self, IdempotencyKey};
use crate::dal::{DalError, Tx};

/// What makes two requests of one caller the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    key: String,
    body_hash: String,
}

/// An `Idempotency-Key` that is not 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key must have 1 to 255 visible ASCII characters")]
pub struct InvalidKey;

impl Idempotency {
    /// The most characters of a key.
    pub const CHARACTERS_MAX: usize = 255;

    /// Names a request by the caller's key, what it asks for, and its body in one fixed spelling.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn new(key: &[u8], operation: &str, body: &[u8]) -> Result<Self, InvalidKey> {
        if key.is_empty() || key.len() > Self::CHARACTERS_MAX || !key.iter().all(u8::is_ascii_graphic) {
            return Err(InvalidKey);
        }
        let hash = Sha256::new()
            .chain_update(operation)
            .chain_update([0])
            .chain_update(body)
            .finalize();
        let body_hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            key: String::from_utf8_lossy(key).into_owned(),
            body_hash,
        })
    }

    fn of(&self, caller: &Caller) -> IdempotencyKey {
        IdempotencyKey {
            principal: caller.actor(),
            key: self.key.clone(),
        }
    }
}

/// An answer as it is sent: now, and again to an equal request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Whether an earlier request acted.
    pub replayed: bool,
}

/// Why a request with a key was not done.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// The key came before with another body.
    #[error("the idempotency key was used for another request")]
    Reused,
    /// The database did not do its part.
    #[error("could not look up the idempotency key")]
    Storage(#[from] DalError),
}

impl App {
    /// Inserts the request's key, or answers what the first request with it was answered. An equal request that is under
    /// way is waited for; the key's unique index decides which of them acts.
    pub(super) async fn replay(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        request: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<Option<Answer>, IdempotencyError> {
        let Some(request) = request else { return Ok(None) };
        let key = request.of(caller);
        let new = idempotency_keys::claim(tx, &[(key.clone(), request.body_hash.clone())], now).await?;
        if new.contains(&key) {
            return Ok(None);
        }
        let seen = idempotency_keys::find(tx, &[key])
            .await?
            .pop()
            .ok_or(IdempotencyError::Reused)?;
        match seen.answer {
            Some((status, body)) if seen.body_hash == request.body_hash => {
                let status = u16::try_from(status).unwrap_or(200);
                Ok(Some(Answer {
                    status,
                    body,
                    replayed: true,
                }))
            }
            _ => Err(IdempotencyError::Reused),
        }
    }

    /// Keeps the answer for equal requests.
    pub(super) async fn keep_answer(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        request: Option<&Idempotency>,
        answer: &Answer,
    ) -> Result<(), DalError> {
        let Some(request) = request else { return Ok(()) };
        let stored = (request.of(caller), u32::from(answer.status), answer.body.clone());
        idempotency_keys::store(tx, &[stored]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii() {
        for bad in [&b""[..], b"two words", b"\x7f", "ü".as_bytes(), &[b'x'; 256]] {
            assert_eq!(Idempotency::new(bad, "create", b"{}"), Err(InvalidKey));
        }
        assert!(Idempotency::new(&[b'x'; 255], "create", b"{}").is_ok());
    }

    #[test]
    fn requests_differ_by_operation_and_by_body() {
        let hash = |operation, body: &[u8]| Idempotency::new(b"key", operation, body).unwrap().body_hash;
        assert_eq!(hash("create", b"{}"), hash("create", b"{}"));
        assert_ne!(hash("create", b"{}"), hash("create", b"[]"));
        assert_ne!(hash("create", b"{}"), hash("batch", b"{}"));
    }
}
