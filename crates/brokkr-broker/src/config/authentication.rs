//! How callers are recognised.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How callers are recognised.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthenticationConfig {
    /// How long a key that was accepted is taken for good without asking the database, in seconds. One that is revoked is refused
    /// at once all the same. Zero asks for every request.
    pub key_cache_seconds_max: u64,
}

impl Default for AuthenticationConfig {
    fn default() -> Self {
        Self {
            key_cache_seconds_max: 30,
        }
    }
}
