//! Annotations: keys with one value each, by which orders find agents.

use brokkr_core::ids::{AgentAnnotationId, AgentId};
use brokkr_core::names::{AnnotationKey, AnnotationValue};

use super::{DalError, Row, Sql, Tx, params, statements};

statements! {
    /// A deleted agent's row is still there, so a reference alone would let it be annotated.
    static ADD = Sql::shared(
        "agent_annotations.add",
        "INSERT INTO agent_annotations (id, agent_id, key, value)
         SELECT CAST($1 AS {uuid}), id, CAST($3 AS TEXT), CAST($4 AS TEXT)
           FROM agents
          WHERE id = $2
            AND deleted_at IS NULL",
    );

    static LIST = Sql::shared(
        "agent_annotations.list",
        "SELECT * FROM agent_annotations WHERE agent_id = $1 AND key > $2 ORDER BY key LIMIT $3",
    );

    static COUNT = Sql::shared(
        "agent_annotations.count",
        "SELECT COUNT(*) AS annotations FROM agent_annotations WHERE agent_id = $1",
    );

    static REMOVE = Sql::shared(
        "agent_annotations.remove",
        "DELETE FROM agent_annotations WHERE agent_id = $1 AND key = $2",
    );
}

/// One annotation of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAnnotation {
    /// Its id.
    pub id: AgentAnnotationId,
    /// Whose it is.
    pub agent_id: AgentId,
    /// The key, once per agent.
    pub key: AnnotationKey,
    /// Its value.
    pub value: AnnotationValue,
}

impl TryFrom<&Row> for AgentAnnotation {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            id: row.get("id")?,
            agent_id: row.get("agent_id")?,
            key: row.get("key")?,
            value: row.get("value")?,
        })
    }
}

/// Gives an agent an annotation and answers whether there is such an agent.
///
/// # Errors
/// A unique [`DalError::Constraint`] when the agent has a value for the key already.
pub async fn add(tx: &mut Tx, annotation: &AgentAnnotation) -> Result<bool, DalError> {
    let values = params![
        annotation.id,
        annotation.agent_id,
        &annotation.key,
        &annotation.value
    ];
    Ok(tx.execute(&ADD, values).await? == 1)
}

/// At most `limit` annotations of an agent, in the order of their keys, after the key `after`.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list(
    tx: &mut Tx,
    agent: AgentId,
    after: Option<&AnnotationKey>,
    limit: u32,
) -> Result<Vec<AgentAnnotation>, DalError> {
    let after = after.map_or("", AnnotationKey::as_str);
    let rows = tx.fetch_all(&LIST, params![agent, after, limit]).await?;
    rows.iter().map(AgentAnnotation::try_from).collect()
}

/// How many annotations an agent has.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn count(tx: &mut Tx, agent: AgentId) -> Result<usize, DalError> {
    tx.fetch_one(&COUNT, params![agent]).await?.get("annotations")
}

/// Takes an annotation from an agent and answers whether it had it.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn remove(tx: &mut Tx, agent: AgentId, key: &AnnotationKey) -> Result<bool, DalError> {
    Ok(tx.execute(&REMOVE, params![agent, key]).await? == 1)
}
