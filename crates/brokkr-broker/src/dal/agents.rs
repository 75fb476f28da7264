//! Agents: who may claim work.

pub(super) mod heartbeats;
pub(super) mod instances;
mod report;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use brokkr_core::ids::{AgentId, GeneratorId};
use brokkr_core::names::{AgentName, ClusterName};
use brokkr_core::report::AgentReport;
use brokkr_core::retry::UnknownWord;
use brokkr_core::routing::Route;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

pub use self::heartbeats::{Heartbeat, heartbeats};
pub use self::instances::{Instance, Instances, prune_instances, take_over, take_over_many};
use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    static CREATE = Sql::shared(
        "agents.create",
        "INSERT INTO agents (id, created_at, updated_at, name, cluster_name, status)
         VALUES ($1, $2, $2, $3, $4, $5)
         RETURNING *",
    );

    static GET = Sql::shared(
        "agents.get",
        "SELECT * FROM agents WHERE id = $1 AND deleted_at IS NULL",
    );

    static FIND_BY_NAME = Sql::shared(
        "agents.find_by_name",
        "SELECT * FROM agents WHERE name = $1 AND cluster_name = $2 AND deleted_at IS NULL",
    );

    static LIST = Sql::shared(
        "agents.list",
        "SELECT * FROM agents WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2",
    );

    static LIST_OF_GENERATOR = Sql::shared(
        "agents.list_of_generator",
        "SELECT agents.*
           FROM agent_generators
           JOIN agents ON agents.id = agent_generators.agent_id
          WHERE agent_generators.generator_id = $1
            AND agent_generators.agent_id > $2
            AND agents.deleted_at IS NULL
          ORDER BY agent_generators.agent_id
          LIMIT $3",
    );

    static UPDATE = Sql::shared(
        "agents.update",
        "UPDATE agents
            SET updated_at = $2,
                name = COALESCE(CAST($3 AS TEXT), name),
                cluster_name = COALESCE(CAST($4 AS TEXT), cluster_name),
                status = COALESCE(CAST($5 AS TEXT), status)
          WHERE id = $1
            AND deleted_at IS NULL
         RETURNING *",
    );

    static SOFT_DELETE = Sql::shared(
        "agents.soft_delete",
        "UPDATE agents
            SET deleted_at = $2, updated_at = $2
          WHERE id = $1
            AND deleted_at IS NULL",
    );

    /// The ids that exist, of those that are given.
    static EXISTING = Sql::batch(
        "agents.existing",
        "WITH input AS MATERIALIZED ({input})
         SELECT agents.id
           FROM input
           JOIN agents ON agents.id = input.id
          WHERE agents.deleted_at IS NULL",
        &[("id", Kind::Uuid)],
    );

    /// One row for each route of an agent.
    static CLAIMANTS = Sql::batch(
        "agents.claimants",
        "WITH input AS MATERIALIZED ({input})
         SELECT agents.id, agents.instance_id, agents.status, agent_routes.route
           FROM input
           JOIN agents ON agents.id = input.id
           JOIN agent_routes ON agent_routes.agent_id = input.id
          WHERE agents.deleted_at IS NULL
          ORDER BY agents.id, agent_routes.route",
        &[("id", Kind::Uuid)],
    );

    static ROUTES = Sql::shared(
        "agents.routes",
        "SELECT route FROM agent_routes WHERE agent_id = $1 ORDER BY route",
    );

    /// Only generators that exist; the count tells whether one was missing.
    static REGISTER = Sql::batch(
        "agents.register",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO agent_generators (agent_id, generator_id)
         SELECT CAST($2 AS {uuid}), generators.id
           FROM generators
          WHERE generators.id IN (SELECT id FROM input)
            AND generators.deleted_at IS NULL",
        &[("id", Kind::Uuid)],
    );
}

/// Whether an agent may claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentStatus {
    /// It may.
    Active,
    /// It sees no work. A new agent begins so.
    Inactive,
}

impl AgentStatus {
    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        }
    }
}

impl fmt::Display for AgentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AgentStatus {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ACTIVE" => Ok(Self::Active),
            "INACTIVE" => Ok(Self::Inactive),
            _ => Err(UnknownWord {
                what: "agent status",
                allowed: "ACTIVE, INACTIVE",
                found: text.to_owned(),
            }),
        }
    }
}

/// An agent as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its name, cluster or status last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Unique together with the cluster's name among the agents that are not deleted.
    pub name: AgentName,
    /// The cluster or host that it lives in.
    pub cluster_name: ClusterName,
    /// Whether it may claim.
    pub status: AgentStatus,
    /// When it was last heard.
    pub last_heartbeat: Option<Timestamp>,
    /// Whether it last reached its Kubernetes API.
    pub k8s_reachable: Option<bool>,
    /// How long that API took to answer, in milliseconds.
    pub k8s_api_latency_ms: Option<i64>,
    /// When it reported the two above.
    pub k8s_reported_at: Option<Timestamp>,
    /// The process that serves it now.
    pub instance_id: Option<String>,
    /// Since when that process does.
    pub instance_since: Option<Timestamp>,
    /// What that process says it is doing.
    pub state: Option<String>,
    /// What that process says of itself, and when it did.
    pub report: Option<(AgentReport, Timestamp)>,
}

impl TryFrom<&Row> for Agent {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            id: row.get("id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            deleted_at: row.get("deleted_at")?,
            name: row.get("name")?,
            cluster_name: row.get("cluster_name")?,
            status: row.get_with("status", |word: String| AgentStatus::from_str(&word))?,
            last_heartbeat: row.get("last_heartbeat")?,
            k8s_reachable: row.get("k8s_reachable")?,
            k8s_api_latency_ms: row.get("k8s_api_latency_ms")?,
            k8s_reported_at: row.get("k8s_reported_at")?,
            instance_id: row.get("instance_id")?,
            instance_since: row.get("instance_since")?,
            state: row.get("state")?,
            report: report::read(row)?,
        })
    }
}

/// An agent to create.
#[derive(Debug, Clone)]
pub struct NewAgent {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// The cluster or host that it lives in.
    pub cluster_name: ClusterName,
    /// Whether it may claim at once.
    pub status: AgentStatus,
}

/// What to change about an agent. What is absent stays.
#[derive(Debug, Clone, Default)]
pub struct AgentChanges {
    /// Its name.
    pub name: Option<AgentName>,
    /// The cluster or host that it lives in.
    pub cluster_name: Option<ClusterName>,
    /// Whether it may claim.
    pub status: Option<AgentStatus>,
}

/// Creates an agent.
///
/// # Errors
/// A unique [`DalError::Constraint`] when another agent that is not deleted has the name and the cluster's name.
pub async fn create(tx: &mut Tx, agent: &NewAgent, now: Timestamp) -> Result<Agent, DalError> {
    let values = params![
        agent.id,
        now,
        &agent.name,
        &agent.cluster_name,
        agent.status.as_str()
    ];
    Agent::try_from(&tx.fetch_one(&CREATE, values).await?)
}

/// The agent, unless it is deleted.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn get(tx: &mut Tx, id: AgentId) -> Result<Option<Agent>, DalError> {
    let row = tx.fetch_optional(&GET, params![id]).await?;
    row.as_ref().map(Agent::try_from).transpose()
}

/// The agent of this name in this cluster, unless it is deleted.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn find_by_name(
    tx: &mut Tx,
    name: &AgentName,
    cluster_name: &ClusterName,
) -> Result<Option<Agent>, DalError> {
    let row = tx
        .fetch_optional(&FIND_BY_NAME, params![name, cluster_name])
        .await?;
    row.as_ref().map(Agent::try_from).transpose()
}

/// At most `limit` agents, oldest first, after the agent `after`.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list(tx: &mut Tx, after: Option<AgentId>, limit: u32) -> Result<Vec<Agent>, DalError> {
    let rows = tx.fetch_all(&LIST, params![after_id(after), limit]).await?;
    rows.iter().map(Agent::try_from).collect()
}

/// As [`list`], of the agents that are registered with a generator.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list_of_generator(
    tx: &mut Tx,
    generator: GeneratorId,
    after: Option<AgentId>,
    limit: u32,
) -> Result<Vec<Agent>, DalError> {
    let values = params![generator, after_id(after), limit];
    let rows = tx.fetch_all(&LIST_OF_GENERATOR, values).await?;
    rows.iter().map(Agent::try_from).collect()
}

/// Every id is greater than the nil one.
fn after_id(after: Option<AgentId>) -> Uuid {
    after.map_or(Uuid::nil(), AgentId::as_uuid)
}

/// Changes an agent and answers it; `None` when there is no such agent.
///
/// # Errors
/// A unique [`DalError::Constraint`] when another agent has the name and the cluster's name.
pub async fn update(
    tx: &mut Tx,
    id: AgentId,
    changes: &AgentChanges,
    now: Timestamp,
) -> Result<Option<Agent>, DalError> {
    let values = params![
        id,
        now,
        changes.name.as_ref(),
        changes.cluster_name.as_ref(),
        changes.status.map(AgentStatus::as_str)
    ];
    let row = tx.fetch_optional(&UPDATE, values).await?;
    row.as_ref().map(Agent::try_from).transpose()
}

/// Deletes an agent and answers whether it was there. Its keys and claims are for other modules.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn soft_delete(tx: &mut Tx, id: AgentId, now: Timestamp) -> Result<bool, DalError> {
    Ok(tx.execute(&SOFT_DELETE, params![id, now]).await? == 1)
}

/// Those of the ids that name an agent which is not deleted, in no order.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn existing(tx: &mut Tx, ids: &[AgentId]) -> Result<Vec<AgentId>, DalError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Rows = ids.iter().map(|id| params![*id]).collect();
    let rows = tx.fetch_all(&EXISTING, params![rows]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// The routes on which an agent listens: its own id, its labels, its annotations.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn routes(tx: &mut Tx, id: AgentId) -> Result<Vec<Route>, DalError> {
    let rows = tx.fetch_all(&ROUTES, params![id]).await?;
    rows.iter().map(|row| row.get("route")).collect()
}

/// An agent that claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The process that may act for it.
    pub instance_id: Option<String>,
    /// On which it listens; none unless it is ACTIVE.
    pub routes: Vec<Route>,
}

/// Those of the agents that are there.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn claimants(
    tx: &mut Tx,
    agents: impl IntoIterator<Item = AgentId>,
) -> Result<HashMap<AgentId, Claimant>, DalError> {
    let input = Rows::of(agents);
    let mut claimants = HashMap::new();
    if input.is_empty() {
        return Ok(claimants);
    }
    for row in tx.fetch_all(&CLAIMANTS, params![input]).await? {
        let instance_id = row.get("instance_id")?;
        let claimant = claimants.entry(row.get("id")?).or_insert(Claimant {
            instance_id,
            routes: Vec::new(),
        });
        if row.get_with("status", |text: String| text.parse::<AgentStatus>())? == AgentStatus::Active {
            claimant.routes.push(row.get("route")?);
        }
    }
    Ok(claimants)
}

/// Registers a new agent with generators, each named once, and answers how many of them exist.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn register(tx: &mut Tx, id: AgentId, generators: &[GeneratorId]) -> Result<u64, DalError> {
    if generators.is_empty() {
        return Ok(0);
    }
    let rows: Rows = generators.iter().map(|id| params![*id]).collect();
    tx.execute(&REGISTER, params![rows, id]).await
}
