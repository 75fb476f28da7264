//! How often the broker looks for what is due.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Intervals of the background tasks. A nudge makes a task run sooner.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepConfig {
    /// How often to look for leases that have passed, in milliseconds.
    pub lease_millis: u64,
    /// How often to look for retries and scheduled orders whose time has come, in milliseconds.
    pub promotion_millis: u64,
    /// How often to look for orders that were not started in time, in milliseconds.
    pub start_by_millis: u64,
    /// How often to look for work of which no broker told, while claims wait, in milliseconds.
    pub wake_millis: u64,
    /// How often to forget what is older than the retention, in seconds.
    pub retention_seconds: u64,
    /// How often to read the database's clock, in seconds.
    pub clock_seconds: u64,
    /// The most rows that one transaction of a sweep changes.
    pub batch_max: u32,
}

impl Default for SweepConfig {
    fn default() -> Self {
        Self {
            lease_millis: 1_000,
            promotion_millis: 500,
            start_by_millis: 1_000,
            wake_millis: 5_000,
            retention_seconds: 300,
            clock_seconds: 60,
            batch_max: 500,
        }
    }
}
