//! Agents: who is there, what each can do, and pausing, marking and rotating them.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_core::ids::AgentId;
use brokkr_core::names::Label;
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::page::{Shell, Trouble, page};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader};
use super::when::When;
use crate::app::App;
use crate::app::agent_labels::MarkError;
use crate::app::agents::{Agent, AgentChanges, AgentError, AgentStatus};

const PAGE: u32 = 100;
const MARKS_SHOWN: u32 = 1_000;
/// Agents report several times a minute.
pub(super) const LATE_SECONDS: u64 = 60;

struct AgentShown {
    id: String,
    name: String,
    cluster: String,
    state: &'static str,
    seen: Option<When>,
    slots: String,
    work_types: String,
    version: String,
}

impl AgentShown {
    fn new(agent: Agent, now: Timestamp) -> AgentShown {
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
    agents: Vec<AgentShown>,
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    after: String,
}

pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let after = asked.after.parse().ok();
    let mut agents = app.list_agents(&session.caller, after, PAGE + 1).await?;
    let is_more = agents.len() > PAGE as usize;
    agents.truncate(PAGE as usize);
    let next = agents
        .last()
        .filter(|_| is_more)
        .map(|agent| format!("/agents?after={}", agent.id));
    let now = app.now();
    page(&AgentsPage {
        shell: Shell::new(&session, "agents"),
        agents: agents
            .into_iter()
            .map(|agent| AgentShown::new(agent, now))
            .collect(),
        next,
    })
}

#[derive(Template)]
#[template(path = "agent.html")]
struct AgentPage {
    shell: Shell,
    agent: AgentShown,
    labels: Vec<String>,
    annotations: Vec<(String, String)>,
}

fn absent() -> Trouble {
    Trouble::absent("There is no such agent.")
}

impl From<AgentError> for Trouble {
    fn from(error: AgentError) -> Trouble {
        match error {
            AgentError::Absent => absent(),
            AgentError::Storage(error) => error.into(),
            other => Trouble::bad(&format!("The agent was not changed: {other}.")),
        }
    }
}

impl From<MarkError> for Trouble {
    fn from(error: MarkError) -> Trouble {
        match error {
            MarkError::AgentAbsent => absent(),
            MarkError::Storage(error) => error.into(),
            other => Trouble::bad(&format!("The agent was not changed: {other}.")),
        }
    }
}

fn agent_id(text: &str) -> Result<AgentId, Trouble> {
    text.parse().map_err(|_| absent())
}

pub(super) async fn show(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Trouble> {
    let id = agent_id(&id)?;
    let agent = app.agent(id).await?;
    let labels = app.list_agent_labels(id, None, MARKS_SHOWN).await?;
    let annotations = app.list_agent_annotations(id, None, MARKS_SHOWN).await?;
    page(&AgentPage {
        shell: Shell::new(&session, "agents"),
        agent: AgentShown::new(agent, app.now()),
        labels: labels
            .into_iter()
            .map(|label| label.label.into_string())
            .collect(),
        annotations: annotations
            .into_iter()
            .map(|annotation| (annotation.key.into_string(), annotation.value.into_string()))
            .collect(),
    })
}

/// What an agent's page asks for.
#[derive(Deserialize)]
pub(super) struct AgentForm {
    act: String,
    #[serde(default)]
    label: String,
}

/// Pauses or resumes an agent, gives or takes a label, or makes a new key, which is shown once.
pub(super) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    ConsoleAdmin { session, form }: ConsoleAdmin<AgentForm>,
) -> Result<Response, Trouble> {
    let (id, caller) = (agent_id(&id)?, &session.caller);
    let status = |status| AgentChanges {
        status: Some(status),
        ..AgentChanges::default()
    };
    let label = || {
        Label::parse(form.label.trim().to_owned())
            .map_err(|error| Trouble::bad(&format!("This is no label: {error}.")))
    };
    match form.act.as_str() {
        "pause" => app
            .update_agent(caller, id, &status(AgentStatus::Inactive))
            .await
            .map(drop)?,
        "resume" => app
            .update_agent(caller, id, &status(AgentStatus::Active))
            .await
            .map(drop)?,
        "add-label" => app.add_agent_label(caller, id, label()?).await.map(drop)?,
        "remove-label" => app.remove_agent_label(caller, id, &label()?).await?,
        "rotate" => {
            let (agent, pak) = app.rotate_agent_pak(caller, id).await?;
            let shell = Shell::new(&session, "agents");
            return Secret::pak(&pak, agent.name.into_string(), format!("/agents/{id}")).page(shell);
        }
        _ => return Err(Trouble::bad("There is no such button.")),
    }
    Ok(Redirect::to(&format!("/agents/{id}")).into_response())
}
