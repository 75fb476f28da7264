//! What the agent tells the broker of itself, with every renewal.

use brokkr_api::{AgentReport, HoldsBack};

use crate::schedule::RUNNING;

/// What the agent tells of itself, but for how much it runs, which is counted when it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    /// For people.
    pub(crate) state: String,
    /// For programs. Nothing before the agent has looked at itself.
    pub(crate) report: Option<AgentReport>,
}

impl Condition {
    /// That of an agent that has just started.
    pub(crate) fn new() -> Self {
        Self {
            state: RUNNING.to_owned(),
            report: None,
        }
    }

    /// The agent claims no more.
    pub(crate) fn drain(&mut self) {
        "draining".clone_into(&mut self.state);
        if let Some(report) = &mut self.report {
            report.holds_back = Some(HoldsBack::Draining);
            report.window_opens_at = None;
        }
    }

    /// The report of an agent that runs this much now.
    pub(crate) fn report(&self, running: usize) -> Option<AgentReport> {
        let running = i64::try_from(running).unwrap_or(i64::MAX);
        let report = self.report.clone()?;
        Some(AgentReport { running, ..report })
    }
}
