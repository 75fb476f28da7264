//! Agents, their labels and annotations.

use brokkr_api::{
    AddAnnotation, AddLabel, Agent, AgentAnnotation, AgentByName, AgentCreated, AgentLabel, CreateAgent,
    Heartbeat, ListAgents, RotatedAgentPak, UpdateAgent, paths,
};
use http::Method;
use uuid::Uuid;

use crate::transport::read;
use crate::{Client, ClientError, Page};

impl Client {
    /// Creates an agent, which stays `INACTIVE` until it is updated.
    ///
    /// # Errors
    /// `invalid_agent`, `invalid_generator_id`, `unique_violation`.
    pub async fn create_agent(&self, agent: &CreateAgent) -> Result<AgentCreated, ClientError> {
        self.post(paths::AGENTS, agent).await
    }

    /// The agents that the caller may see.
    ///
    /// # Errors
    /// `generator_required` for an agent.
    pub async fn agents(&self, query: &ListAgents) -> Result<Page<Agent>, ClientError> {
        self.page(paths::AGENTS, query).await
    }

    /// The agent with this name in this cluster.
    ///
    /// # Errors
    /// `agent_not_found`.
    pub async fn agent_by_name(&self, name: &str, cluster_name: &str) -> Result<Agent, ClientError> {
        let query = AgentByName {
            name: Some(name.to_owned()),
            cluster_name: Some(cluster_name.to_owned()),
        };
        read(
            self.send(self.request(Method::GET, paths::AGENT_BY_NAME).query(&query))
                .await?,
        )
        .await
    }

    /// One agent.
    ///
    /// # Errors
    /// `agent_not_found`, `agent_pak_mismatch`.
    pub async fn agent(&self, id: Uuid) -> Result<Agent, ClientError> {
        self.get(&paths::with_id(paths::AGENT, id)).await
    }

    /// Changes an agent.
    ///
    /// # Errors
    /// `agent_not_found`, `agent_pak_mismatch`, `invalid_agent`, `unique_violation`.
    pub async fn update_agent(&self, id: Uuid, update: &UpdateAgent) -> Result<Agent, ClientError> {
        self.put(&paths::with_id(paths::AGENT, id), update).await
    }

    /// Deletes an agent. Its PAK is dead at once, and what it held goes back to the queue.
    ///
    /// # Errors
    /// `agent_not_found`.
    pub async fn delete_agent(&self, id: Uuid) -> Result<(), ClientError> {
        self.delete(&paths::with_id(paths::AGENT, id)).await
    }

    /// The labels of an agent.
    ///
    /// # Errors
    /// `agent_pak_mismatch`.
    pub async fn agent_labels(&self, id: Uuid) -> Result<Vec<AgentLabel>, ClientError> {
        self.get(&paths::with_id(paths::AGENT_LABELS, id)).await
    }

    /// Gives an agent a label.
    ///
    /// # Errors
    /// `unique_violation` when it has it already.
    pub async fn add_agent_label(&self, id: Uuid, label: &str) -> Result<AgentLabel, ClientError> {
        let body = AddLabel {
            agent_id: id,
            label: label.to_owned(),
        };
        self.post(&paths::with_id(paths::AGENT_LABELS, id), &body).await
    }

    /// Takes a label from an agent.
    ///
    /// # Errors
    /// `agent_label_not_found`.
    pub async fn remove_agent_label(&self, id: Uuid, label: &str) -> Result<(), ClientError> {
        sendable(label)?;
        self.delete(&paths::agent_label(id, label)).await
    }

    /// The annotations of an agent.
    ///
    /// # Errors
    /// `agent_pak_mismatch`.
    pub async fn agent_annotations(&self, id: Uuid) -> Result<Vec<AgentAnnotation>, ClientError> {
        self.get(&paths::with_id(paths::AGENT_ANNOTATIONS, id)).await
    }

    /// Gives an agent an annotation.
    ///
    /// # Errors
    /// `unique_violation` when the key has a value already.
    pub async fn add_agent_annotation(
        &self,
        id: Uuid,
        key: &str,
        value: &str,
    ) -> Result<AgentAnnotation, ClientError> {
        let body = AddAnnotation {
            agent_id: id,
            key: key.to_owned(),
            value: value.to_owned(),
        };
        self.post(&paths::with_id(paths::AGENT_ANNOTATIONS, id), &body)
            .await
    }

    /// Takes an annotation from an agent.
    ///
    /// # Errors
    /// `agent_annotation_not_found`.
    pub async fn remove_agent_annotation(&self, id: Uuid, key: &str) -> Result<(), ClientError> {
        sendable(key)?;
        self.delete(&paths::agent_annotation(id, key)).await
    }

    /// Replaces the PAK of an agent.
    ///
    /// # Errors
    /// `agent_not_found`, `agent_pak_mismatch`.
    pub async fn rotate_agent_pak(&self, id: Uuid) -> Result<RotatedAgentPak, ClientError> {
        self.post_empty(&paths::with_id(paths::AGENT_ROTATE_PAK, id))
            .await
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// `agent_pak_mismatch`.
    pub async fn heartbeat(&self, id: Uuid, heartbeat: &Heartbeat) -> Result<(), ClientError> {
        let path = paths::with_id(paths::AGENT_HEARTBEAT, id);
        self.send(self.request(Method::POST, &path).json(heartbeat))
            .await
            .map(drop)
    }
}

/// Refuses what URLs take for "here" and "above": the request would reach something else.
pub(crate) fn sendable(segment: &str) -> Result<(), ClientError> {
    match segment {
        "" | "." | ".." => Err(ClientError::protocol(
            "an empty name, `.` and `..` cannot be put into a path",
        )),
        _ => Ok(()),
    }
}
