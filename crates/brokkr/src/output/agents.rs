//! Agents as rows.

use brokkr_api::Agent;

use super::colour::Tone;
use super::{Around, Cell, Column, Row, age};

impl Row for Agent {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("CLUSTER"),
        Column::new("STATUS"),
        Column::new("SEEN"),
        Column::new("AGE"),
        Column::new("STATE").of_text(),
        Column::wide("KUBERNETES"),
        Column::wide("ID"),
    ];

    fn name(&self) -> String {
        format!("agent/{}", self.id)
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        let active = self.status == Agent::ACTIVE;
        vec![
            self.name.as_str().into(),
            self.cluster_name.as_str().into(),
            Cell::toned(&self.status, if active { Tone::Good } else { Tone::Quiet }),
            self.last_heartbeat
                .map_or_else(|| "never".to_owned(), |at| age::relative(at, around.now))
                .into(),
            age::since(self.created_at, around.now).into(),
            self.state.as_deref().unwrap_or_default().into(),
            kubernetes(self).unwrap_or_default().into(),
            self.id.into(),
        ]
    }
}

/// What the agent said last of its cluster, if it has one.
pub(crate) fn kubernetes(agent: &Agent) -> Option<String> {
    match (agent.k8s_reachable?, agent.k8s_api_latency_ms) {
        (true, Some(latency)) => Some(format!("reachable ({latency} ms)")),
        (true, None) => Some("reachable".to_owned()),
        (false, _) => Some("unreachable".to_owned()),
    }
}
