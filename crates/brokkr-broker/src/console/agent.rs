//! One agent: what it can do and does, and pausing, marking, rotating and deleting it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_core::ids::AgentId;
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label};
use serde::Deserialize;

use super::agents::AgentShown;
use super::page::{Shell, Trouble, page};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader};
use crate::app::App;
use crate::app::agent_labels::MarkError;
use crate::app::agents::{AgentChanges, AgentError, AgentStatus};

const MARKS_SHOWN: u32 = 1_000;

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
            other => refused(&other),
        }
    }
}

impl From<MarkError> for Trouble {
    fn from(error: MarkError) -> Trouble {
        match error {
            MarkError::AgentAbsent => absent(),
            MarkError::Storage(error) => error.into(),
            other => refused(&other),
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
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

impl AgentForm {
    fn label(&self) -> Result<Label, Trouble> {
        Label::parse(self.label.trim().to_owned()).map_err(|error| refused(&error))
    }

    fn key(&self) -> Result<AnnotationKey, Trouble> {
        AnnotationKey::parse(self.key.trim().to_owned()).map_err(|error| refused(&error))
    }

    fn value(&self) -> Result<AnnotationValue, Trouble> {
        AnnotationValue::parse(self.value.trim().to_owned()).map_err(|error| refused(&error))
    }
}

fn refused(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::bad(&format!("The agent was not changed: {error}."))
}

/// Pauses, resumes, marks or deletes an agent, or makes a new key, which is shown once.
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
    match form.act.as_str() {
        "pause" => app
            .update_agent(caller, id, &status(AgentStatus::Inactive))
            .await
            .map(drop)?,
        "resume" => app
            .update_agent(caller, id, &status(AgentStatus::Active))
            .await
            .map(drop)?,
        "add-label" => app.add_agent_label(caller, id, form.label()?).await.map(drop)?,
        "remove-label" => app.remove_agent_label(caller, id, &form.label()?).await?,
        "annotate" => {
            let (key, value) = (form.key()?, form.value()?);
            app.add_agent_annotation(caller, id, key, value).await.map(drop)?;
        }
        "remove-annotation" => app.remove_agent_annotation(caller, id, &form.key()?).await?,
        "delete" => {
            app.delete_agent(caller, id).await?;
            return Ok(Redirect::to("/agents").into_response());
        }
        "rotate" => {
            let (agent, pak) = app.rotate_agent_pak(caller, id).await?;
            let shell = Shell::new(&session, "agents");
            return Secret::pak(&pak, agent.name.into_string(), format!("/agents/{id}")).page(shell);
        }
        _ => return Err(Trouble::bad("There is no such button.")),
    }
    Ok(Redirect::to(&format!("/agents/{id}")).into_response())
}
