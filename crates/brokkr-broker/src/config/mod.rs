//! What can be configured of a broker: a struct and a file per section, with its defaults. Unknown keys are refused.

mod admin;
mod authentication;
mod console;
mod database;
mod http;
mod limits;
mod retention;
mod sweeps;
mod webhooks;

use serde::{Deserialize, Serialize};

pub use admin::{AdminConfig, AdminConfigError};
pub use authentication::AuthenticationConfig;
pub use console::ConsoleConfig;
pub use database::DatabaseConfig;
pub use http::{HttpConfig, TlsConfig};
pub use limits::Limits;
pub use retention::RetentionConfig;
pub use sweeps::SweepConfig;
pub use webhooks::WebhooksConfig;

/// Everything that can be configured of a broker.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerConfig {
    /// Where it listens.
    pub http: HttpConfig,
    /// Where it keeps everything.
    pub database: DatabaseConfig,
    /// Bounds on what callers may send and ask for.
    pub limits: Limits,
    /// How often it looks for what is due.
    pub sweeps: SweepConfig,
    /// How long it remembers.
    pub retention: RetentionConfig,
    /// Where the first administrator's key comes from.
    pub admin: AdminConfig,
    /// How callers are recognised.
    pub authentication: AuthenticationConfig,
    /// How webhooks are told.
    pub webhooks: WebhooksConfig,
    /// The console: pages for people.
    pub console: ConsoleConfig,
}
