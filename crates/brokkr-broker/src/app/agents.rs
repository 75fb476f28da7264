//! Agents: who may claim work.

use brokkr_core::events::EventType;
use brokkr_core::ids::{AgentId, GeneratorId};
use brokkr_core::names::{AgentName, ClusterName};
use brokkr_core::pak::Pak;
use brokkr_core::time::Timestamp;
use serde_json::json;

use super::App;
use super::caller::{Caller, Role};
use super::events::{DELETED, agent_event};
use crate::dal::agents::{self, Heartbeat, NewAgent};
use crate::dal::credentials::{self, Credential};
use crate::dal::events::{self, AgentEvent};
use crate::dal::{ConstraintKind, DalError};

pub use crate::dal::agents::{Agent, AgentChanges, AgentStatus};

/// The agent that was asked for is not there to be shown.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It does not exist, or is deleted.
    #[error("there is no such agent")]
    Absent,
    /// The caller is another agent, or none.
    #[error("the caller is not that agent")]
    NotOwn,
    /// Another agent has the name in the cluster.
    #[error("an agent with this name exists in this cluster")]
    NameTaken,
    /// A generator does not exist, or is deleted.
    #[error("a generator among generator_ids does not exist")]
    GeneratorAbsent,
    /// The database did not do its part.
    #[error("could not read or change the agent")]
    Storage(#[from] DalError),
}

impl App {
    /// Creates an agent, which is inactive, registers it with generators, and makes its first key.
    ///
    /// # Errors
    /// [`AgentError::NameTaken`] and [`AgentError::GeneratorAbsent`]; nothing is left behind.
    pub async fn create_agent(
        &self,
        caller: &Caller,
        name: AgentName,
        cluster_name: ClusterName,
        generators: &[GeneratorId],
    ) -> Result<(Agent, Pak), AgentError> {
        let now = self.now();
        let id = AgentId::new(self.next_id(now));
        let mut tx = self.db.begin().await?;
        let new = NewAgent {
            id,
            name,
            cluster_name,
            status: AgentStatus::Inactive,
        };
        let agent = agents::create(&mut tx, &new, now).await.map_err(name_taken)?;
        if agents::register(&mut tx, id, generators).await? != generators.len() as u64 {
            return Err(AgentError::GeneratorAbsent);
        }
        let pak = self.new_pak();
        credentials::insert(&mut tx, &Credential::of(&pak, Role::Agent(id), now)).await?;
        let details = json!({"name": agent.name.as_str(), "cluster_name": agent.cluster_name.as_str(), "pak": pak.short().as_str()});
        self.record(&mut tx, caller, now, "agent.create", id, details)
            .await?;
        let event = AgentEvent {
            after: Some(agent.status.as_str()),
            details: json!({"name": agent.name.as_str(), "cluster_name": agent.cluster_name.as_str()})
                .to_string(),
            ..agent_event(caller, now, EventType::AgentCreated, id)
        };
        events::insert_of_agents(&mut tx, &[event]).await?;
        tx.commit().await?;
        Ok((agent, pak))
    }

    /// The agent.
    ///
    /// # Errors
    /// [`AgentError::Absent`].
    pub async fn agent(&self, id: AgentId) -> Result<Agent, AgentError> {
        let mut tx = self.db.read().await?;
        agents::get(&mut tx, id).await?.ok_or(AgentError::Absent)
    }

    /// The agent of this name in this cluster. An agent finds none but itself.
    ///
    /// # Errors
    /// [`AgentError::Absent`]; [`AgentError::NotOwn`] for whoever may not know whether there is one.
    pub async fn agent_by_name(
        &self,
        caller: &Caller,
        name: &AgentName,
        cluster_name: &ClusterName,
    ) -> Result<Agent, AgentError> {
        let mut tx = self.db.read().await?;
        match caller.role {
            Role::Admin | Role::Viewer => agents::find_by_name(&mut tx, name, cluster_name)
                .await?
                .ok_or(AgentError::Absent),
            Role::Agent(id) => agents::get(&mut tx, id)
                .await?
                .filter(|own| own.name == *name && own.cluster_name == *cluster_name)
                .ok_or(AgentError::NotOwn),
            Role::Generator(_) => Err(AgentError::NotOwn),
        }
    }

    /// At most `limit` agents that the caller may see, oldest first: all of them, or those registered with a generator.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn list_agents(
        &self,
        caller: &Caller,
        after: Option<AgentId>,
        limit: u32,
    ) -> Result<Vec<Agent>, DalError> {
        let mut tx = self.db.read().await?;
        match caller.role {
            Role::Generator(generator) => agents::list_of_generator(&mut tx, generator, after, limit).await,
            Role::Admin | Role::Viewer | Role::Agent(_) => agents::list(&mut tx, after, limit).await,
        }
    }

    /// Changes an agent's name, cluster or status. Its keys stay what they are.
    ///
    /// # Errors
    /// [`AgentError::Absent`] and [`AgentError::NameTaken`].
    pub async fn update_agent(
        &self,
        caller: &Caller,
        id: AgentId,
        changes: &AgentChanges,
    ) -> Result<Agent, AgentError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        // Changing nothing locks the agent, so that what it was is known.
        let before = agents::update(&mut tx, id, &AgentChanges::default(), now)
            .await?
            .ok_or(AgentError::Absent)?;
        let agent = agents::update(&mut tx, id, changes, now)
            .await
            .map_err(name_taken)?
            .ok_or(AgentError::Absent)?;
        let details = json!({
            "name": changes.name.as_ref().map(AgentName::as_str),
            "cluster_name": changes.cluster_name.as_ref().map(ClusterName::as_str),
            "status": changes.status.map(AgentStatus::as_str),
        });
        self.record(&mut tx, caller, now, "agent.update", id, details)
            .await?;
        events::insert_of_agents(&mut tx, &changed(caller, now, &before, &agent)).await?;
        tx.commit().await?;
        self.waiters.wake_agent(id);
        Ok(agent)
    }

    /// Deletes an agent: its keys are dead and its claims taken back when this returns.
    ///
    /// # Errors
    /// [`AgentError::Absent`].
    pub async fn delete_agent(&self, caller: &Caller, id: AgentId) -> Result<(), AgentError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        if !agents::soft_delete(&mut tx, id, now).await? {
            return Err(AgentError::Absent);
        }
        let revoked = credentials::revoke_of_agent(&mut tx, id, now).await?;
        let settled = self.take_back_claims_of(&mut tx, caller, id, now).await?;
        self.record(&mut tx, caller, now, "agent.delete", id, json!({}))
            .await?;
        let event = AgentEvent {
            after: Some(DELETED),
            ..agent_event(caller, now, EventType::AgentDeleted, id)
        };
        events::insert_of_agents(&mut tx, &[event]).await?;
        self.commit_revoking(tx, &revoked).await?;
        self.settled(settled);
        Ok(())
    }

    /// Gives an agent a new key. All its others are dead when this returns.
    ///
    /// # Errors
    /// [`AgentError::Absent`].
    pub async fn rotate_agent_pak(&self, caller: &Caller, id: AgentId) -> Result<(Agent, Pak), AgentError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        // Changing the row first makes rotations and a deletion wait for one another, so that no key outlives its agent.
        let unchanged = AgentChanges::default();
        let agent = agents::update(&mut tx, id, &unchanged, now)
            .await?
            .ok_or(AgentError::Absent)?;
        let pak = self.new_pak();
        let revoked = credentials::rotate(&mut tx, &Credential::of(&pak, Role::Agent(id), now)).await?;
        let details = json!({"pak": pak.short().as_str()});
        self.record(&mut tx, caller, now, "agent.rotate_pak", id, details)
            .await?;
        let event = AgentEvent {
            before: Some(agent.status.as_str()),
            after: Some(agent.status.as_str()),
            ..agent_event(caller, now, EventType::AgentPakRotated, id)
        };
        events::insert_of_agents(&mut tx, &[event]).await?;
        self.commit_revoking(tx, &revoked).await?;
        Ok((agent, pak))
    }

    /// Records that an agent lives, and what it says of its Kubernetes API.
    ///
    /// # Errors
    /// [`AgentError::Absent`].
    pub async fn heartbeat(
        &self,
        agent: AgentId,
        k8s_reachable: Option<bool>,
        k8s_api_latency_ms: Option<i64>,
    ) -> Result<(), AgentError> {
        let at = self.now();
        let mut tx = self.db.begin().await?;
        let heartbeat = Heartbeat {
            agent,
            at,
            k8s_reachable,
            k8s_api_latency_ms,
            state: None,
            report: None,
        };
        if agents::heartbeats(&mut tx, &[heartbeat]).await? == 0 {
            return Err(AgentError::Absent);
        }
        tx.commit().await?;
        Ok(())
    }
}

fn name_taken(error: DalError) -> AgentError {
    match error.constraint() {
        Some(ConstraintKind::Unique) => AgentError::NameTaken,
        _ => AgentError::Storage(error),
    }
}

/// What has happened to an agent that is as `after` now. Nothing, when it is as before.
fn changed(caller: &Caller, now: Timestamp, before: &Agent, after: &Agent) -> Vec<AgentEvent> {
    let event = |kind| AgentEvent {
        before: Some(before.status.as_str()),
        after: Some(after.status.as_str()),
        details: json!({"name": after.name.as_str(), "cluster_name": after.cluster_name.as_str()})
            .to_string(),
        ..agent_event(caller, now, kind, after.id)
    };
    let status = (before.status != after.status).then(|| match after.status {
        AgentStatus::Active => event(EventType::AgentActivated),
        AgentStatus::Inactive => event(EventType::AgentPaused),
    });
    let renamed = before.name != after.name || before.cluster_name != after.cluster_name;
    let name = renamed.then(|| AgentEvent {
        // When both have changed, the name did so last.
        before: Some(after.status.as_str()),
        ..event(EventType::AgentUpdated)
    });
    status.into_iter().chain(name).collect()
}
