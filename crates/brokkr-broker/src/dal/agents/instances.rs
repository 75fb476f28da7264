//! The processes that serve an agent, of which only the newest may act.

use brokkr_core::ids::AgentId;
use brokkr_core::time::Timestamp;

use crate::dal::{DalError, Sql, Tx, params, statements};

statements! {
    static FIRST_SEEN = Sql::shared(
        "agents.first_seen",
        "INSERT INTO agent_instances (agent_id, instance_id, seen_at)
         VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
    );

    static TAKE_OVER = Sql::shared(
        "agents.take_over",
        "UPDATE agents
            SET instance_id = $2, instance_since = $3
          WHERE id = $1
            AND deleted_at IS NULL",
    );

    static CURRENT_INSTANCE = Sql::shared(
        "agents.current_instance",
        "SELECT instance_id FROM agents WHERE id = $1 AND deleted_at IS NULL",
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

/// Says whether a process may act for its agent. One that was never seen before takes over from the one before it.
///
/// An agent that was just read tells in its `instance_id` that nothing has changed, without a call of this.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn take_over(
    tx: &mut Tx,
    id: AgentId,
    instance: &str,
    now: Timestamp,
) -> Result<Instance, DalError> {
    let row = tx.fetch_optional(&CURRENT_INSTANCE, params![id]).await?;
    let Some(row) = row else {
        return Ok(Instance::NoAgent);
    };
    let current: Option<String> = row.get("instance_id")?;
    if current.as_deref() == Some(instance) {
        return Ok(Instance::Current);
    }
    // The key of the row decides: of two requests of one new process only the first takes over, and one of an old
    // process never does.
    let values = params![id, instance, now];
    if tx.execute(&FIRST_SEEN, values.clone()).await? == 1 {
        let changed = tx.execute(&TAKE_OVER, values).await?;
        return Ok(if changed == 1 {
            Instance::Current
        } else {
            Instance::NoAgent
        });
    }
    // A request beside this one may have brought the process in since the first look.
    let row = tx.fetch_optional(&CURRENT_INSTANCE, params![id]).await?;
    let current: Option<String> = row.map_or(Ok(None), |row| row.get("instance_id"))?;
    Ok(if current.as_deref() == Some(instance) {
        Instance::Current
    } else {
        Instance::Superseded
    })
}

/// Forgets at most `limit` superseded processes that were first seen before `before`, and answers how many.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn prune_instances(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, DalError> {
    tx.execute(&PRUNE_INSTANCES, params![before, limit]).await
}
