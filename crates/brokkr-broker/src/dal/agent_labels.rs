//! Labels: words by which orders find agents.

use brokkr_core::ids::{AgentId, AgentLabelId};
use brokkr_core::names::Label;

use super::{DalError, Row, Sql, Tx, params, statements};

statements! {
    /// A deleted agent's row is still there, so a reference alone would let it be labelled.
    static ADD = Sql::shared(
        "agent_labels.add",
        "INSERT INTO agent_labels (id, agent_id, label)
         SELECT CAST($1 AS {uuid}), id, CAST($3 AS TEXT)
           FROM agents
          WHERE id = $2
            AND deleted_at IS NULL",
    );

    static LIST = Sql::shared(
        "agent_labels.list",
        "SELECT * FROM agent_labels WHERE agent_id = $1 AND label > $2 ORDER BY label LIMIT $3",
    );

    static COUNT = Sql::shared(
        "agent_labels.count",
        "SELECT COUNT(*) AS labels FROM agent_labels WHERE agent_id = $1",
    );

    static REMOVE = Sql::shared(
        "agent_labels.remove",
        "DELETE FROM agent_labels WHERE agent_id = $1 AND label = $2",
    );
}

/// One label of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentLabel {
    /// Its id.
    pub id: AgentLabelId,
    /// Whose it is.
    pub agent_id: AgentId,
    /// The word.
    pub label: Label,
}

impl TryFrom<&Row> for AgentLabel {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            id: row.get("id")?,
            agent_id: row.get("agent_id")?,
            label: row.get("label")?,
        })
    }
}

/// Gives an agent a label and answers whether there is such an agent.
///
/// # Errors
/// A unique [`DalError::Constraint`] when the agent has the label already.
pub async fn add(tx: &mut Tx, label: &AgentLabel) -> Result<bool, DalError> {
    let values = params![label.id, label.agent_id, &label.label];
    Ok(tx.execute(&ADD, values).await? == 1)
}

/// At most `limit` labels of an agent, in their own order, after the label `after`.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list(
    tx: &mut Tx,
    agent: AgentId,
    after: Option<&Label>,
    limit: u32,
) -> Result<Vec<AgentLabel>, DalError> {
    let after = after.map_or("", Label::as_str);
    let rows = tx.fetch_all(&LIST, params![agent, after, limit]).await?;
    rows.iter().map(AgentLabel::try_from).collect()
}

/// How many labels an agent has.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn count(tx: &mut Tx, agent: AgentId) -> Result<usize, DalError> {
    tx.fetch_one(&COUNT, params![agent]).await?.get("labels")
}

/// Takes a label from an agent and answers whether it had it.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn remove(tx: &mut Tx, agent: AgentId, label: &Label) -> Result<bool, DalError> {
    Ok(tx.execute(&REMOVE, params![agent, label]).await? == 1)
}
