//! Bounds on what callers may send and ask for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Bounds on what callers may send and ask for. Each refusal names the bound that was crossed.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub body_bytes_max: usize,
    /// The longest a request may take, long polls and live output apart, in seconds.
    pub request_seconds_max: u64,
    /// The largest `yaml_content`, in bytes.
    pub yaml_bytes_max: usize,
    /// The deepest nesting of a YAML document.
    pub yaml_depth_max: usize,
    /// The most agents, labels and annotations that one order may target.
    pub targeting_terms_max: usize,
    /// The most labels, and the most annotations, that one agent may have.
    pub agent_labels_max: usize,
    /// The most metadata entries of one order.
    pub metadata_entries_max: usize,
    /// The most rows of a list.
    pub page_rows_max: u32,
    /// The most orders that one request looks at for those that it seeks by more than an index finds. Those behind are on the next page.
    pub search_rows_max: u32,
    /// The most orders of one batch.
    pub batch_orders_max: usize,
    /// The most output that one attempt may store, in bytes.
    pub output_bytes_max: u64,
    /// The most requests per second of one key, averaged; bursts may be ten times as many. Zero switches the limit off.
    pub requests_per_second_max: u32,
    /// The most requests of one kind (creating, claiming, renewing, ending, output) that wait for their turn at the database. One
    /// more is answered with 503 and `Retry-After`.
    pub requests_waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 * 1024 * 1024,
            request_seconds_max: 30,
            yaml_bytes_max: 1024 * 1024,
            yaml_depth_max: 64,
            targeting_terms_max: 100,
            agent_labels_max: 100,
            metadata_entries_max: 64,
            page_rows_max: 1_000,
            search_rows_max: 10_000,
            batch_orders_max: 1_000,
            output_bytes_max: 16 * 1024 * 1024,
            requests_per_second_max: 0,
            requests_waiting_max: 20_000,
        }
    }
}
