//! One agent: what it can do and runs now, and pausing, marking, changing, rotating and deleting it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_api::{UpdateAgent, WorkOrder};
use brokkr_core::ids::AgentId;
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label, NameError};
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::agents::AgentShown;
use super::listed::{FETCHED, Listed, name_of};
use super::page::{Shell, Trouble, page};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader};
use super::when::When;
use crate::api::agent_changes;
use crate::app::App;
use crate::app::agent_labels::MarkError;
use crate::app::agents::{AgentChanges, AgentStatus};

const MARKS_SHOWN: u32 = 1_000;

/// An order that an agent holds.
struct Held {
    id: String,
    work_type: String,
    attempt: i64,
    claimed: Option<When>,
    lease: Option<When>,
    cancel_requested: bool,
}

impl Held {
    fn new(order: WorkOrder, now: Timestamp) -> Held {
        Held {
            id: order.id.to_string(),
            work_type: order.work_type,
            attempt: order.attempt,
            claimed: When::maybe(order.claimed_at, now),
            lease: When::maybe(order.lease_expires_at, now),
            cancel_requested: order.cancel_requested_at.is_some(),
        }
    }

    fn name(&self) -> &str {
        name_of(&self.id)
    }
}

#[derive(Template)]
#[template(path = "agent.html")]
struct AgentPage {
    shell: Shell,
    agent: AgentShown,
    /// The oldest orders that it holds.
    held: Listed<Held>,
    labels: Vec<String>,
    annotations: Vec<(String, String)>,
}

fn absent() -> Trouble {
    Trouble::absent("There is no such agent.")
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
    let held = app.orders_of_agent(id, FETCHED).await?;
    let labels = app.list_agent_labels(id, None, MARKS_SHOWN).await?;
    let annotations = app.list_agent_annotations(id, None, MARKS_SHOWN).await?;
    let now = app.now();
    page(&AgentPage {
        shell: Shell::new(&session, "agents"),
        agent: AgentShown::new(agent, now),
        held: Listed::new(held, |_| "/orders?state=CLAIMED".to_owned())
            .map(|order| Held::new(order.into(), now)),
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
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    cluster_name: String,
}

impl AgentForm {
    fn label(&self) -> Result<Label, Trouble> {
        Label::parse(self.label.trim()).map_err(|error| no_mark("label", &error))
    }

    fn key(&self) -> Result<AnnotationKey, Trouble> {
        AnnotationKey::parse(self.key.trim()).map_err(|error| no_mark("annotation", &error))
    }

    fn value(&self) -> Result<AnnotationValue, Trouble> {
        AnnotationValue::parse(self.value.trim()).map_err(|error| no_mark("annotation", &error))
    }

    fn changes(&self) -> Result<AgentChanges, Trouble> {
        Ok(agent_changes(UpdateAgent {
            name: Some(self.name.trim().to_owned()),
            cluster_name: Some(self.cluster_name.trim().to_owned()),
            status: None,
        })?)
    }
}

fn no_mark(what: &str, error: &NameError) -> Trouble {
    Trouble::bad(&format!("This is no {what}: {error}."))
}

fn only_status(status: AgentStatus) -> AgentChanges {
    AgentChanges {
        status: Some(status),
        ..AgentChanges::default()
    }
}

/// Does to an agent what a button says. A new key is shown once.
pub(super) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    ConsoleAdmin { session, form }: ConsoleAdmin<AgentForm>,
) -> Result<Response, Trouble> {
    let (id, caller) = (agent_id(&id)?, &session.caller);
    let mut next = format!("/agents/{id}");
    match form.act.as_str() {
        "pause" => drop(
            app.update_agent(caller, id, &only_status(AgentStatus::Inactive))
                .await?,
        ),
        "resume" => drop(
            app.update_agent(caller, id, &only_status(AgentStatus::Active))
                .await?,
        ),
        "change" => drop(app.update_agent(caller, id, &form.changes()?).await?),
        "add-label" => drop(app.add_agent_label(caller, id, form.label()?).await?),
        "remove-label" => app.remove_agent_label(caller, id, &form.label()?).await?,
        "add-annotation" => {
            let (key, value) = (form.key()?, form.value()?);
            app.add_agent_annotation(caller, id, key, value).await?;
        }
        "remove-annotation" => app.remove_agent_annotation(caller, id, &form.key()?).await?,
        "rotate" => {
            let (agent, pak) = app.rotate_agent_pak(caller, id).await?;
            let shell = Shell::new(&session, "agents");
            return Secret::pak(&pak, agent.name.into_string(), next).page(shell);
        }
        "delete" => {
            app.delete_agent(caller, id).await?;
            next = "/agents".to_owned();
        }
        _ => return Err(Trouble::bad("There is no such button.")),
    }
    Ok(Redirect::to(&next).into_response())
}
