//! How webhooks are told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How webhooks are told.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// A file with the key by which the secrets of webhooks are encrypted: 32 random bytes in base64, the same at every replica.
    /// Without it no webhook can be created. `openssl rand -base64 32` makes one.
    #[schema(value_type = Option<String>)]
    pub key_file: Option<PathBuf>,
    /// Whether webhooks may be on loopback, private and link-local addresses: everybody who may create one could then have the
    /// broker call services that only the broker can reach.
    pub allow_private_addresses: bool,
    /// Whether webhooks may be told over plain HTTP.
    pub allow_http: bool,
    /// How long a receiver may take to answer, in seconds.
    pub timeout_seconds: u64,
    /// How many deliveries a replica sends at the same time.
    pub sending_max: u32,
    /// After how many days of nothing but failures a webhook is disabled, and a delivery given up.
    pub give_up_after_days: u32,
    /// How long deliveries are kept after they ended, in days. Zero keeps them for ever.
    pub deliveries_days: u32,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            key_file: None,
            allow_private_addresses: false,
            allow_http: false,
            timeout_seconds: 15,
            sending_max: 32,
            give_up_after_days: 5,
            deliveries_days: 7,
        }
    }
}
