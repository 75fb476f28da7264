//! The console.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The console: pages for people.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Whether the broker serves the console at all.
    pub enabled: bool,
    /// How long somebody stays signed in, in hours, from 1 to 168.
    pub session_hours: u32,
    /// Whether browsers reach the broker through a proxy that speaks TLS. The session's cookie is sent over TLS only then, as it is
    /// where the broker speaks TLS itself.
    pub behind_tls: bool,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            session_hours: 8,
            behind_tls: false,
        }
    }
}
