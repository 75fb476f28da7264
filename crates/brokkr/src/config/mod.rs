//! The configuration: defaults, a file, the environment and flags, each stronger than the one before. Unknown keys are
//! refused.

mod agent;
mod kubernetes;
pub(crate) mod load;
pub(crate) mod show;
mod telemetry;

use brokkr_broker::config::{
    AdminConfig, AuthenticationConfig, BrokerConfig, ConsoleConfig, DatabaseConfig, HttpConfig, Limits,
    RetentionConfig, SweepConfig, WebhooksConfig,
};
use serde::{Deserialize, Serialize};

pub(crate) use agent::AgentSection;
pub(crate) use kubernetes::{KubernetesArgs, KubernetesSection};
pub(crate) use load::{ConfigArgs, Loaded};
pub(crate) use telemetry::{LogFormat, TelemetrySection};

/// All sections. A process takes those that it needs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) http: HttpConfig,
    pub(crate) database: DatabaseConfig,
    pub(crate) admin: AdminConfig,
    pub(crate) authentication: AuthenticationConfig,
    pub(crate) console: ConsoleConfig,
    pub(crate) limits: Limits,
    pub(crate) sweeps: SweepConfig,
    pub(crate) retention: RetentionConfig,
    pub(crate) webhooks: WebhooksConfig,
    pub(crate) agent: AgentSection,
    pub(crate) telemetry: TelemetrySection,
}

impl Config {
    /// The sections of a broker.
    pub(crate) fn broker(&self) -> BrokerConfig {
        BrokerConfig {
            http: self.http.clone(),
            database: self.database.clone(),
            limits: self.limits.clone(),
            sweeps: self.sweeps.clone(),
            retention: self.retention.clone(),
            admin: self.admin.clone(),
            authentication: self.authentication.clone(),
            webhooks: self.webhooks.clone(),
            console: self.console.clone(),
        }
    }
}
