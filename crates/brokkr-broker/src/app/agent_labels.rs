//! Labels of agents: words by which orders find them.

use brokkr_core::events::EventType;
use brokkr_core::ids::{AgentId, AgentLabelId};
use brokkr_core::names::Label;
use serde_json::json;

use super::App;
use super::caller::Caller;
use super::events::agent_event;
use crate::dal::events::{self, AgentEvent};
use crate::dal::{ConstraintKind, DalError, agent_labels};

pub use crate::dal::agent_labels::AgentLabel;

/// A label or an annotation that could not be given or taken.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// There is no such agent to give it to.
    #[error("there is no such agent")]
    AgentAbsent,
    /// The agent has it already.
    #[error("the agent has it already")]
    Present,
    /// The agent does not have it.
    #[error("the agent does not have it")]
    Absent,
    /// The agent has as many as it may have.
    #[error("the agent has {0} of them, which is as many as it may have")]
    TooMany(usize),
    /// The database did not do its part.
    #[error("could not read or change what the agent is marked with")]
    Storage(#[source] DalError),
}

impl From<DalError> for MarkError {
    fn from(error: DalError) -> Self {
        match error.constraint() {
            Some(ConstraintKind::Unique) => Self::Present,
            _ => Self::Storage(error),
        }
    }
}

impl App {
    /// Gives an agent a label.
    ///
    /// # Errors
    /// [`MarkError::AgentAbsent`], [`MarkError::Present`] and [`MarkError::TooMany`].
    pub async fn add_agent_label(
        &self,
        caller: &Caller,
        agent_id: AgentId,
        label: Label,
    ) -> Result<AgentLabel, MarkError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let label = AgentLabel {
            id: AgentLabelId::new(self.next_id(now)),
            agent_id,
            label,
        };
        if !agent_labels::add(&mut tx, &label).await? {
            return Err(MarkError::AgentAbsent);
        }
        let labels_max = self.limits.agent_labels_max;
        if agent_labels::count(&mut tx, agent_id).await? > labels_max {
            return Err(MarkError::TooMany(labels_max));
        }
        let details = json!({"label": label.label.as_str()});
        self.record(&mut tx, caller, now, "agent.label", agent_id, details)
            .await?;
        let event = AgentEvent {
            details: json!({"added": label.label.as_str()}).to_string(),
            ..agent_event(caller, now, EventType::AgentLabelsChanged, agent_id)
        };
        events::insert_of_agents(&mut tx, &[event]).await?;
        tx.commit().await?;
        self.waiters.wake_agent(agent_id);
        Ok(label)
    }

    /// At most `limit` labels of an agent, in their own order. An agent that does not exist has none.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn list_agent_labels(
        &self,
        agent: AgentId,
        after: Option<&Label>,
        limit: u32,
    ) -> Result<Vec<AgentLabel>, DalError> {
        let mut tx = self.db.read().await?;
        agent_labels::list(&mut tx, agent, after, limit).await
    }

    /// Takes a label from an agent.
    ///
    /// # Errors
    /// [`MarkError::Absent`].
    pub async fn remove_agent_label(
        &self,
        caller: &Caller,
        agent: AgentId,
        label: &Label,
    ) -> Result<(), MarkError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        if !agent_labels::remove(&mut tx, agent, label).await? {
            return Err(MarkError::Absent);
        }
        let details = json!({"label": label.as_str()});
        self.record(&mut tx, caller, now, "agent.unlabel", agent, details)
            .await?;
        let event = AgentEvent {
            label: Some(label.as_str().to_owned()),
            details: json!({"removed": label.as_str()}).to_string(),
            ..agent_event(caller, now, EventType::AgentLabelsChanged, agent)
        };
        events::insert_of_agents(&mut tx, &[event]).await?;
        tx.commit().await?;
        Ok(())
    }
}
