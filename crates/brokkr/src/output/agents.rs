//! Agents as rows.

use brokkr_api::{Agent, AgentReport, WorkTypeReport};

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
        Column::wide("RUNNING"),
        Column::wide("TYPES"),
        Column::wide("VERSION"),
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
            self.report.as_ref().map(slots).unwrap_or_default().into(),
            self.report.as_ref().map(work_types).unwrap_or_default().into(),
            self.report
                .as_ref()
                .map(|report| report.version.as_str())
                .unwrap_or_default()
                .into(),
            kubernetes(self).unwrap_or_default().into(),
            self.id.into(),
        ]
    }
}

/// How many of an agent's slots are taken.
pub(crate) fn slots(report: &AgentReport) -> String {
    format!("{} of {}", report.running, report.slots)
}

/// What an agent runs, each type with its own limit.
pub(crate) fn work_types(report: &AgentReport) -> String {
    let told: Vec<_> = report.work_types.iter().map(work_type).collect();
    told.join(", ")
}

fn work_type(report: &WorkTypeReport) -> String {
    let slots = report
        .slots
        .map(|slots| format!(" (at most {slots})"))
        .unwrap_or_default();
    let unavailable = if report.unavailable.is_some() {
        " (not now)"
    } else {
        ""
    };
    format!("{}{slots}{unavailable}", report.work_type)
}

/// What the agent said last of its cluster, if it has one.
pub(crate) fn kubernetes(agent: &Agent) -> Option<String> {
    match (agent.k8s_reachable?, agent.k8s_api_latency_ms) {
        (true, Some(latency)) => Some(format!("reachable ({latency} ms)")),
        (true, None) => Some("reachable".to_owned()),
        (false, _) => Some("unreachable".to_owned()),
    }
}
