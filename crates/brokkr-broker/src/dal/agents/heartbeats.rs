//! Signs of life, and what agents say of themselves with them.

use brokkr_core::ids::AgentId;
use brokkr_core::report::AgentReport;
use brokkr_core::time::Timestamp;

use super::report;
use crate::dal::{DalError, Kind, Rows, Sql, Tx, params, statements};

statements! {
    /// A heartbeat without a report keeps the last one. Every report of an agent tells its slots.
    static HEARTBEATS = Sql::batch(
        "agents.heartbeats",
        "WITH input AS MATERIALIZED ({input})
         UPDATE agents
            SET last_heartbeat = input.at,
                k8s_reachable = COALESCE(input.reachable, agents.k8s_reachable),
                k8s_api_latency_ms = COALESCE(input.latency_ms, agents.k8s_api_latency_ms),
                k8s_reported_at = CASE WHEN input.reachable IS NULL AND input.latency_ms IS NULL
                                       THEN agents.k8s_reported_at
                                       ELSE input.at END,
                state = COALESCE(input.state, agents.state),
                slots = COALESCE(input.slots, agents.slots),
                running = COALESCE(input.running, agents.running),
                work_types = COALESCE(input.work_types, agents.work_types),
                version = COALESCE(input.version, agents.version),
                window_opens_at = CASE WHEN input.slots IS NULL THEN agents.window_opens_at ELSE input.window_opens_at END,
                holds_back = CASE WHEN input.slots IS NULL THEN agents.holds_back ELSE input.holds_back END,
                reported_at = CASE WHEN input.slots IS NULL THEN agents.reported_at ELSE input.at END
           FROM input
          WHERE agents.id = input.id
            AND agents.deleted_at IS NULL",
        &[
            ("id", Kind::Uuid),
            ("at", Kind::BigInt),
            ("reachable", Kind::Bool),
            ("latency_ms", Kind::BigInt),
            ("state", Kind::Text),
            ("slots", Kind::BigInt),
            ("running", Kind::BigInt),
            ("work_types", Kind::Text),
            ("version", Kind::Text),
            ("window_opens_at", Kind::BigInt),
            ("holds_back", Kind::Text),
        ],
    );
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who gives it.
    pub agent: AgentId,
    /// When it arrived.
    pub at: Timestamp,
    /// Whether the agent reaches its Kubernetes API, if it says so.
    pub k8s_reachable: Option<bool>,
    /// How long that API took to answer, in milliseconds, if it says so.
    pub k8s_api_latency_ms: Option<i64>,
    /// What the process is doing, if it says so.
    pub state: Option<String>,
    /// What the process says of itself, if it does.
    pub report: Option<AgentReport>,
}

/// Records signs of life and answers how many agents there were to give them.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn heartbeats(tx: &mut Tx, heartbeats: &[Heartbeat]) -> Result<u64, DalError> {
    let mut in_order: Vec<_> = heartbeats.iter().collect();
    // Statements that change the same agents change them in the same order.
    in_order.sort_by_key(|heartbeat| heartbeat.agent);
    let rows: Rows = in_order
        .into_iter()
        .map(|heartbeat| {
            let mut values = params![
                heartbeat.agent,
                heartbeat.at,
                heartbeat.k8s_reachable,
                heartbeat.k8s_api_latency_ms,
                heartbeat.state.as_ref()
            ];
            values.extend(report::values(heartbeat.report.as_ref()));
            values
        })
        .collect();
    if rows.is_empty() {
        return Ok(0);
    }
    tx.execute(&HEARTBEATS, params![rows]).await
}
