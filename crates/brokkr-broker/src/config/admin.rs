//! Where the first administrator's key comes from.

use std::path::PathBuf;

use brokkr_core::pak::{PakHash, ShortPart};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::startup::FirstAdmin;

/// Where the first administrator's key comes from. With nothing set, one is made at the first start and printed once.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// At the first start the new key is also written here, readable for its owner only.
    #[schema(value_type = Option<String>)]
    pub pak_file: Option<PathBuf>,
    /// The short part of a key that the broker shall accept as an administrator's.
    pub pak_short: Option<String>,
    /// The lower-case hex SHA-256 of that key's long part.
    pub pak_hash: Option<String>,
}

/// Settings that do not make a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdminConfigError {
    /// One of the two is missing.
    #[error("admin.pak_short and admin.pak_hash are only of use together")]
    HalfAKey,
    /// Both ways at once.
    #[error("admin.pak_file makes a key and admin.pak_hash brings one: set only one of them")]
    TwoKeys,
    /// The short part cannot be one.
    #[error("admin.pak_short must have 6 to 16 base58 characters")]
    Short,
    /// The hash cannot be one.
    #[error("admin.pak_hash must be the 64 hexadecimal digits of a SHA-256")]
    Hash,
}

impl AdminConfig {
    /// The same, checked.
    ///
    /// # Errors
    /// [`AdminConfigError`].
    pub fn first_admin(&self) -> Result<FirstAdmin, AdminConfigError> {
        match (&self.pak_file, &self.pak_short, &self.pak_hash) {
            (None, None, None) => Ok(FirstAdmin::Told),
            (Some(path), None, None) => Ok(FirstAdmin::File(path.clone())),
            (None, Some(short), Some(hash)) => Ok(FirstAdmin::Hash {
                short: ShortPart::parse(short).ok_or(AdminConfigError::Short)?,
                hash: PakHash::from_hex(hash).ok_or(AdminConfigError::Hash)?,
            }),
            (Some(_), Some(_), Some(_)) => Err(AdminConfigError::TwoKeys),
            _ => Err(AdminConfigError::HalfAKey),
        }
    }
}
