//! Agents: who is there, what each can do, and making another.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use brokkr_api::CreateAgent;
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::listed::{FETCHED, Listed};
use super::page::{Shell, Trouble, page};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader};
use super::when::When;
use crate::api::{Problem, new_agent};
use crate::app::App;
use crate::app::agents::{Agent, AgentError, AgentStatus};

/// As many agents are looked at when they are counted, or sought by their state.
pub(super) const AGENTS_COUNTED_MAX: u32 = 1_000;
/// Agents report several times a minute.
const LATE_SECONDS: u64 = 60;

/// Whether an agent is there, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Up,
    Late,
    NeverSeen,
    Paused,
}

impl Presence {
    pub(super) fn of(agent: &Agent, now: Timestamp) -> Presence {
        match (agent.status, agent.last_heartbeat) {
            (AgentStatus::Inactive, _) => Presence::Paused,
            (AgentStatus::Active, None) => Presence::NeverSeen,
            (AgentStatus::Active, Some(at)) if now.since(at).as_secs() < LATE_SECONDS => Presence::Up,
            (AgentStatus::Active, Some(_)) => Presence::Late,
        }
    }

    fn said(self) -> &'static str {
        match self {
            Presence::Up => "up",
            Presence::Late => "late",
            Presence::NeverSeen => "never seen",
            Presence::Paused => "paused",
        }
    }

    /// The word by which an overview counts it, and an address asks for it. Who was never seen is late.
    pub(super) fn word(self) -> &'static str {
        match self {
            Presence::NeverSeen => Presence::Late.said(),
            other => other.said(),
        }
    }
}

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
        let state = Presence::of(&agent, now).said();
        let report = agent.report.map(|(report, _)| report);
        AgentShown {
            id: agent.id.to_string(),
            name: agent.name.into_string(),
            cluster: agent.cluster_name.into_string(),
            state,
            seen: agent.last_heartbeat.map(|at| When::at(at, now)),
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

impl From<AgentError> for Trouble {
    fn from(error: AgentError) -> Trouble {
        Problem::from(error).into()
    }
}

#[derive(Template)]
#[template(path = "agents.html")]
struct AgentsPage {
    shell: Shell,
    /// Which of them, when it is not all.
    of_state: Option<&'static str>,
    agents: Listed<AgentShown>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: String,
    state: String,
}

/// Lists a page of all agents, or those of the first thousand that are in a state.
pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let states = [Presence::Up, Presence::Late, Presence::Paused].map(Presence::word);
    let of_state = states.into_iter().find(|state| *state == asked.state);
    let (after, limit) = match of_state {
        Some(_) => (None, AGENTS_COUNTED_MAX),
        None => (asked.after.parse().ok(), FETCHED),
    };
    let fetched = app.list_agents(&session.caller, after, limit).await?;
    let now = app.now();
    let agents = match of_state {
        Some(state) => Listed::whole(
            fetched
                .into_iter()
                .filter(|agent| Presence::of(agent, now).word() == state)
                .collect(),
        ),
        None => Listed::new(fetched, |last| format!("/agents?after={}", last.id)),
    };
    page(&AgentsPage {
        shell: Shell::new(&session, "agents"),
        of_state,
        agents: agents.map(|agent| AgentShown::new(agent, now)),
    })
}

#[derive(Deserialize)]
pub(super) struct NewForm {
    name: String,
    cluster_name: String,
}

/// Makes an agent, whose key is shown once.
pub(super) async fn create(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<NewForm>,
) -> Result<Response, Trouble> {
    let (name, cluster_name, generators) = new_agent(CreateAgent {
        name: form.name.trim().to_owned(),
        cluster_name: form.cluster_name.trim().to_owned(),
        generator_ids: None,
    })?;
    let (agent, pak) = app
        .create_agent(&session.caller, name, cluster_name, &generators)
        .await?;
    let back = format!("/agents/{}", agent.id);
    Secret::pak(&pak, agent.name.into_string(), back).page(Shell::new(&session, "agents"))
}
