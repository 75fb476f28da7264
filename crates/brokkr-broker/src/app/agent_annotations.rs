//! Annotations of agents: keys with one value each, by which orders find them.

use brokkr_core::events::EventType;
use brokkr_core::ids::{AgentAnnotationId, AgentId};
use brokkr_core::names::{AnnotationKey, AnnotationValue};
use serde_json::json;

use super::App;
use super::agent_labels::MarkError;
use super::caller::Caller;
use super::events::agent_event;
use crate::dal::events::{self, AgentEvent};
use crate::dal::{DalError, agent_annotations};

pub use crate::dal::agent_annotations::AgentAnnotation;

impl App {
    /// Gives an agent an annotation.
    ///
    /// # Errors
    /// [`MarkError::AgentAbsent`], [`MarkError::Present`] and [`MarkError::TooMany`].
    pub async fn add_agent_annotation(
        &self,
        caller: &Caller,
        agent_id: AgentId,
        key: AnnotationKey,
        value: AnnotationValue,
    ) -> Result<AgentAnnotation, MarkError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let annotation = AgentAnnotation {
            id: AgentAnnotationId::new(self.next_id(now)),
            agent_id,
            key,
            value,
        };
        if !agent_annotations::add(&mut tx, &annotation).await? {
            return Err(MarkError::AgentAbsent);
        }
        let annotations_max = self.limits.agent_labels_max;
        if agent_annotations::count(&mut tx, agent_id).await? > annotations_max {
            return Err(MarkError::TooMany(annotations_max));
        }
        let details = json!({"key": annotation.key.as_str(), "value": annotation.value.as_str()});
        self.record(&mut tx, caller, now, "agent.annotate", agent_id, details)
            .await?;
        let event = AgentEvent {
            details: json!({"added": annotation.key.as_str(), "value": annotation.value.as_str()})
                .to_string(),
            ..agent_event(caller, now, EventType::AgentAnnotationsChanged, agent_id)
        };
        events::insert_of_agents(&mut tx, &[event]).await?;
        tx.commit().await?;
        self.waiters.wake_agent(agent_id);
        Ok(annotation)
    }

    /// At most `limit` annotations of an agent, by key. An agent that does not exist has none.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn list_agent_annotations(
        &self,
        agent: AgentId,
        after: Option<&AnnotationKey>,
        limit: u32,
    ) -> Result<Vec<AgentAnnotation>, DalError> {
        let mut tx = self.db.read().await?;
        agent_annotations::list(&mut tx, agent, after, limit).await
    }

    /// Takes an annotation from an agent.
    ///
    /// # Errors
    /// [`MarkError::Absent`].
    pub async fn remove_agent_annotation(
        &self,
        caller: &Caller,
        agent: AgentId,
        key: &AnnotationKey,
    ) -> Result<(), MarkError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        if !agent_annotations::remove(&mut tx, agent, key).await? {
            return Err(MarkError::Absent);
        }
        let details = json!({"key": key.as_str()});
        self.record(&mut tx, caller, now, "agent.unannotate", agent, details)
            .await?;
        let event = AgentEvent {
            details: json!({"removed": key.as_str()}).to_string(),
            ..agent_event(caller, now, EventType::AgentAnnotationsChanged, agent)
        };
        events::insert_of_agents(&mut tx, &[event]).await?;
        tx.commit().await?;
        Ok(())
    }
}
