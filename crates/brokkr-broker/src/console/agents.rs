//! Agents: who is there, and new ones.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use brokkr_core::names::{AgentName, ClusterName};
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::listed::{After, FETCHED, Listed};
use super::page::{Shell, Trouble, page};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader};
use super::when::When;
use crate::app::App;
use crate::app::agents::{Agent, AgentChanges, AgentStatus};

/// Agents report several times a minute.
pub(super) const LATE_SECONDS: u64 = 60;

pub(super) struct AgentShown {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) cluster: String,
    pub(super) state: &'static str,
    pub(super) seen: Option<When>,
    pub(super) slots: String,
    pub(super) work_types: String,
    pub(super) version: String,
}

impl AgentShown {
    pub(super) fn new(agent: Agent, now: Timestamp) -> AgentShown {
        let state = match (agent.status, agent.last_heartbeat) {
            (AgentStatus::Inactive, _) => "paused",
            (AgentStatus::Active, None) => "never seen",
            (AgentStatus::Active, Some(at)) if now.since(at).as_secs() < LATE_SECONDS => "up",
            (AgentStatus::Active, Some(_)) => "late",
        };
        let report = agent.report.map(|(report, _)| report);
        let wire = |at: Timestamp| brokkr_api::Time::from_micros(at.as_micros());
        AgentShown {
            id: agent.id.to_string(),
            name: agent.name.into_string(),
            cluster: agent.cluster_name.into_string(),
            state,
            seen: When::maybe(agent.last_heartbeat.map(wire), now),
            slots: report.as_ref().map_or_else(String::new, |report| {
                format!("{} of {}", report.running, report.slots)
            }),
            work_types: report.as_ref().map_or_else(String::new, |report| {
                let types = report.work_types.iter().map(|one| one.work_type.as_str());
                types.collect::<Vec<_>>().join(", ")
            }),
            version: report.map_or_else(String::new, |report| report.version),
        }
    }
}

#[derive(Template)]
#[template(path = "agents.html")]
struct AgentsPage {
    shell: Shell,
    agents: Listed<AgentShown>,
}

pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<After>,
) -> Result<Response, Trouble> {
    let after = asked.after.parse().ok();
    let fetched = app.list_agents(&session.caller, after, FETCHED).await?;
    let now = app.now();
    page(&AgentsPage {
        shell: Shell::new(&session, "agents"),
        agents: Listed::new(fetched, |last| format!("/agents?after={}", last.id))
            .map(|agent| AgentShown::new(agent, now)),
    })
}

#[derive(Deserialize)]
pub(super) struct NewForm {
    name: String,
    cluster: String,
    /// Sent when it may claim at once.
    active: Option<String>,
}

/// Makes an agent, whose key is shown once.
pub(super) async fn create(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<NewForm>,
) -> Result<Response, Trouble> {
    let refused = |error: &dyn std::fmt::Display| Trouble::bad(&format!("No agent was made: {error}."));
    let name = AgentName::parse(form.name.trim().to_owned()).map_err(|error| refused(&error))?;
    let cluster = ClusterName::parse(form.cluster.trim().to_owned()).map_err(|error| refused(&error))?;
    let (agent, pak) = app.create_agent(&session.caller, name, cluster, &[]).await?;
    if form.active.is_some() {
        let active = AgentChanges {
            status: Some(AgentStatus::Active),
            ..AgentChanges::default()
        };
        app.update_agent(&session.caller, agent.id, &active).await?;
    }
    let back = format!("/agents/{}", agent.id);
    Secret::pak(&pak, agent.name.into_string(), back).page(Shell::new(&session, "agents"))
}
