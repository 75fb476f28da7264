//! Encrypts what must be kept and not be read by who reads the database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brokkr_core::ids::WebhookId;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

/// How many bytes a key has.
const KEY_BYTES: usize = 32;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    /// Its file could not be read.
    #[error("could not read webhooks.key_file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error(
        "webhooks.key_file must have {KEY_BYTES} bytes in base64: make one with `openssl rand -base64 32`"
    )]
    NotAKey,
}

/// A text that was not sealed by this key for this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text was not encrypted by this key for this use")]
pub struct Unreadable;

/// Seals and opens texts with AES-256-GCM. Each text is bound to the webhook and the field that it belongs to, so that it is of no
/// use in another place of the database.
#[derive(Clone)]
pub struct Sealer {
    key: Arc<LessSafeKey>,
    id: String,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer with the key in this file.
    ///
    /// # Errors
    /// [`SealingKeyError`].
    pub fn from_file(path: &Path) -> Result<Self, SealingKeyError> {
        let text = std::fs::read_to_string(path).map_err(|source| SealingKeyError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_base64(&text)
    }

    /// A sealer with this key, with white space around it or not.
    ///
    /// # Errors
    /// [`SealingKeyError::NotAKey`].
    pub fn from_base64(text: &str) -> Result<Self, SealingKeyError> {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| SealingKeyError::NotAKey)?;
        // Without a check of its length a short key would be taken for another algorithm's.
        if bytes.len() != KEY_BYTES {
            return Err(SealingKeyError::NotAKey);
        }
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealingKeyError::NotAKey)?;
        let digest = Sha256::digest([b"brokkr webhooks key id:".as_slice(), &bytes].concat());
        Ok(Self {
            key: Arc::new(LessSafeKey::new(key)),
            id: digest[..4].iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Tells this key from others, and nothing of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Encrypts `text`. `nonce` must be random: it is never used twice with one key.
    #[must_use]
    pub fn seal(&self, webhook: WebhookId, field: &str, text: &str, nonce: [u8; NONCE_LEN]) -> String {
        let mut sealed = text.as_bytes().to_vec();
        let place = Nonce::assume_unique_for_key(nonce);
        // It only fails for texts of gigabytes.
        let done = self
            .key
            .seal_in_place_append_tag(place, bound_to(webhook, field), &mut sealed);
        debug_assert!(done.is_ok(), "a secret is short");
        STANDARD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// The text again.
    ///
    /// # Errors
    /// When it was sealed by another key, for another use, or changed.
    pub fn open(&self, webhook: WebhookId, field: &str, sealed: &str) -> Result<String, Unreadable> {
        let bytes = STANDARD.decode(sealed).map_err(|_| Unreadable)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or(Unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unreadable)?;
        let mut sealed = sealed.to_vec();
        let text = self
            .key
            .open_in_place(nonce, bound_to(webhook, field), &mut sealed)
            .map_err(|_| Unreadable)?;
        String::from_utf8(text.to_vec()).map_err(|_| Unreadable)
    }
}

fn bound_to(webhook: WebhookId, field: &str) -> Aad<String> {
    Aad::from(format!("webhook:{webhook}:{field}"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::from_base64(&STANDARD.encode([byte; KEY_BYTES])).unwrap()
    }

    fn webhook(n: u128) -> WebhookId {
        WebhookId::new(Uuid::from_u128(n))
    }

    #[test]
    fn a_sealed_text_opens_with_its_key_in_its_place_and_nowhere_else() {
        let sealed = sealer(1).seal(webhook(1), "secret", "whsec_abc", [7; NONCE_LEN]);
        assert_eq!(
            sealer(1).open(webhook(1), "secret", &sealed).as_deref(),
            Ok("whsec_abc")
        );
        for (sealer, webhook, field) in [
            (sealer(2), webhook(1), "secret"),
            (sealer(1), webhook(2), "secret"),
            (sealer(1), webhook(1), "auth_header"),
        ] {
            assert_eq!(sealer.open(webhook, field, &sealed), Err(Unreadable));
        }
    }

    #[test]
    fn a_sealed_text_that_was_changed_does_not_open() {
        let sealed = sealer(1).seal(webhook(1), "secret", "whsec_abc", [7; NONCE_LEN]);
        let mut bytes = STANDARD.decode(&sealed).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        for text in [
            STANDARD.encode(bytes),
            "####".to_owned(),
            String::new(),
            "AAAA".to_owned(),
        ] {
            assert_eq!(
                sealer(1).open(webhook(1), "secret", &text),
                Err(Unreadable),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for text in ["", "secret", &STANDARD.encode([1; 16]), &STANDARD.encode([1; 33])] {
            assert!(
                matches!(Sealer::from_base64(text), Err(SealingKeyError::NotAKey)),
                "{text}"
            );
        }
    }

    #[test]
    fn keys_are_told_apart_by_an_id_that_tells_nothing_of_them() {
        assert_ne!(sealer(1).id(), sealer(2).id());
        assert_eq!(sealer(1).id().len(), 8);
        assert!(!format!("{:?}", sealer(1)).contains("AQEB"));
    }
}
