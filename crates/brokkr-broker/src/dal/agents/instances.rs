//! The processes that serve an agent, of which only the newest may act.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use brokkr_core::ids::AgentId;
use brokkr_core::time::Timestamp;

use crate::dal::{DalError, Kind, Rows, Sql, Tx, params, statements};

statements! {
    static CURRENT = Sql::batch(
        "agents.current_instances",
        "WITH input AS MATERIALIZED ({input})
         SELECT id, instance_id FROM agents WHERE id IN (SELECT input.id FROM input) AND deleted_at IS NULL",
        &[("id", Kind::Uuid)],
    );

    static FIRST_SEEN = Sql::batch(
        "agents.first_seen",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO agent_instances (agent_id, instance_id, seen_at)
         SELECT input.agent_id, input.instance_id, $2 FROM input WHERE TRUE ORDER BY input.agent_id
         ON CONFLICT DO NOTHING
         RETURNING agent_id",
        &[("agent_id", Kind::Uuid), ("instance_id", Kind::Text)],
    );

    static TAKE_OVER = Sql::batch(
        "agents.take_over",
        "WITH input AS MATERIALIZED ({input})
         UPDATE agents
            SET instance_id = input.instance_id, instance_since = $2
           FROM input
          WHERE agents.id = input.agent_id
            AND agents.deleted_at IS NULL
         RETURNING agents.id",
        &[("agent_id", Kind::Uuid), ("instance_id", Kind::Text)],
    );

    static PRUNE_INSTANCES = Sql::shared(
        "agents.prune_instances",
        "DELETE FROM agent_instances
          WHERE (agent_id, instance_id) IN (
                SELECT old.agent_id, old.instance_id
                  FROM agent_instances AS old
                  JOIN agents ON agents.id = old.agent_id
                 WHERE old.seen_at < $1
                   AND (agents.instance_id IS NULL OR agents.instance_id <> old.instance_id)
                 ORDER BY old.seen_at
                 LIMIT $2)",
    );
}

/// Whether a process may act for its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// It serves the agent now.
    Current,
    /// A newer process has taken over.
    Superseded,
    /// There is no such agent.
    NoAgent,
}

/// What was found of the processes of agents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instances {
    /// Whether each process may act for its agent.
    pub judged: HashMap<AgentId, Instance>,
    /// The agents whose process has taken over just now.
    pub taken_over: Vec<AgentId>,
}

/// Says of each process, one for each agent, whether it may act for its agent. One that was never seen before takes over from
/// the one before it.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn take_over_many<'p>(
    tx: &mut Tx,
    processes: impl IntoIterator<Item = (AgentId, &'p str)>,
    now: Timestamp,
) -> Result<Instances, DalError> {
    let processes: BTreeMap<_, _> = processes.into_iter().collect();
    let known = current(tx, processes.keys()).await?;
    let serves = |known: &HashMap<AgentId, Option<String>>, agent: &AgentId| {
        known
            .get(agent)
            .map(|instance| instance.as_deref() == processes.get(agent).copied())
    };
    let strange = |agent: &&AgentId| serves(&known, agent) == Some(false);
    let strangers: Vec<_> = processes.keys().filter(strange).copied().collect();
    let mut taken_over = Vec::new();
    let known = if strangers.is_empty() {
        known
    } else {
        let new = strangers.iter().map(|agent| (*agent, processes[agent]));
        taken_over = bring_in(tx, new.collect(), now).await?;
        // A request beside this one may have brought one of them in since the first look.
        current(tx, processes.keys()).await?
    };
    let judge = |agent: &AgentId| match serves(&known, agent) {
        Some(true) => Instance::Current,
        Some(false) => Instance::Superseded,
        None => Instance::NoAgent,
    };
    Ok(Instances {
        judged: processes.keys().map(|agent| (*agent, judge(agent))).collect(),
        taken_over,
    })
}

async fn current(
    tx: &mut Tx,
    agents: impl Iterator<Item = &AgentId>,
) -> Result<HashMap<AgentId, Option<String>>, DalError> {
    let input = Rows::of(agents.copied());
    if input.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tx.fetch_all(&CURRENT, params![input]).await?;
    rows.iter()
        .map(|row| Ok((row.get("id")?, row.get("instance_id")?)))
        .collect()
}

/// Lets those processes take over that were never seen before. The key of the row decides: of two requests of one new process
/// only the first takes over, and one of an old process never does. Answers the agents of those that did.
async fn bring_in(tx: &mut Tx, new: Vec<(AgentId, &str)>, now: Timestamp) -> Result<Vec<AgentId>, DalError> {
    let rows: Rows = new
        .iter()
        .map(|(agent, instance)| params![*agent, *instance])
        .collect();
    let rows = tx.fetch_all(&FIRST_SEEN, params![rows, now]).await?;
    let first = rows
        .iter()
        .map(|row| row.get("agent_id"))
        .collect::<Result<BTreeSet<AgentId>, _>>()?;
    let rows: Rows = new
        .iter()
        .filter(|(agent, _)| first.contains(agent))
        .map(|(agent, instance)| params![*agent, *instance])
        .collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let taken = tx.fetch_all(&TAKE_OVER, params![rows, now]).await?;
    taken.iter().map(|row| row.get("id")).collect()
}

/// As [`take_over_many`], for one process.
///
/// # Errors
/// As [`take_over_many`].
pub async fn take_over(
    tx: &mut Tx,
    id: AgentId,
    instance: &str,
    now: Timestamp,
) -> Result<Instance, DalError> {
    let instances = take_over_many(tx, [(id, instance)], now).await?;
    Ok(instances.judged.get(&id).copied().unwrap_or(Instance::NoAgent))
}

/// Forgets at most `limit` superseded processes that were first seen before `before`, and answers how many.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn prune_instances(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, DalError> {
    tx.execute(&PRUNE_INSTANCES, params![before, limit]).await
}
