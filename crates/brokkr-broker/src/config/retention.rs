//! How long the broker remembers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long things are kept that nobody needs for the work itself, in days. Zero keeps them for ever.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Log entries, with their attempts and output.
    pub log_days: u32,
    /// The audit.
    pub audit_days: u32,
    /// Events. Whoever resumes a stream of them must do so within this time.
    pub events_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            log_days: 90,
            audit_days: 365,
            events_days: 7,
        }
    }
}
