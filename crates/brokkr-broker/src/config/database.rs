//! Where the broker keeps everything.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::dal::DbOptions;

/// The database, and how it is used.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`.
    pub url: String,
    /// The most connections that write (PostgreSQL).
    pub connections_max: u32,
    /// The most connections that only read.
    pub read_connections_max: u32,
    /// How long to wait for a connection, in seconds.
    pub acquire_seconds_max: u64,
    /// How long one statement may run, in seconds (PostgreSQL).
    pub statement_seconds_max: u64,
    /// How long a statement waits for another transaction's locks, in seconds.
    pub lock_seconds_max: u64,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        let options = DbOptions::default();
        Self {
            url: "sqlite:brokkr.db".to_owned(),
            connections_max: options.connections_max,
            read_connections_max: options.read_connections_max,
            acquire_seconds_max: options.acquire_timeout.as_secs(),
            statement_seconds_max: options.statement_timeout.as_secs(),
            lock_seconds_max: options.lock_timeout.as_secs(),
        }
    }
}

impl DatabaseConfig {
    /// The same, as the pools take it.
    #[must_use]
    pub fn options(&self) -> DbOptions {
        DbOptions {
            connections_max: self.connections_max.max(1),
            read_connections_max: self.read_connections_max.max(1),
            acquire_timeout: Duration::from_secs(self.acquire_seconds_max),
            statement_timeout: Duration::from_secs(self.statement_seconds_max),
            lock_timeout: Duration::from_secs(self.lock_seconds_max),
        }
    }
}
