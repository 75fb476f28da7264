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
        Column::wide("KUBERNETES"),
        Column::wide("ID"),
    ];

    fn name(&self) -> String {
        format!("agent/{}", self.id)
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        let active = self.status == Agent::ACTIVE;
        let kubernetes = match (self.k8s_reachable, self.k8s_api_latency_ms) {
            (Some(true), Some(latency)) => format!("reachable ({latency} ms)"),
            (Some(true), None) => "reachable".to_owned(),
            (Some(false), _) => "unreachable".to_owned(),
            (None, _) => String::new(),
        };
        vec![
            self.name.as_str().into(),
            self.cluster_name.as_str().into(),
            Cell::toned(&self.status, if active { Tone::Good } else { Tone::Quiet }),
            self.last_heartbeat
                .map_or_else(|| "never".to_owned(), |at| age::relative(at, around.now))
                .into(),
            age::since(self.created_at, around.now).into(),
            kubernetes.into(),
            self.id.into(),
        ]
    }
}
