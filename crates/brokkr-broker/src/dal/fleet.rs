//! The agents as seen from one order: who matches, what they hold, and what the others have.

use std::collections::HashMap;

use brokkr_core::explain::{HeldOfType, Term};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::names::{AgentName, ClusterName};
use brokkr_core::routing::Targeting;

use super::agents::Agent;
use super::{DalError, Kind, Row, Rows, Sql, Tx, Value, params, statements};

statements! {
    static COUNT = Sql::shared(
        "fleet.count",
        "SELECT COUNT(*) AS agents FROM agents WHERE deleted_at IS NULL",
    );

    /// Each row of the input has one target.
    static MATCHING = Sql::batch(
        "fleet.matching",
        "WITH input AS MATERIALIZED ({input}),
         matching AS MATERIALIZED (
             SELECT input.agent_id AS id FROM input WHERE input.agent_id IS NOT NULL
             UNION
             SELECT agent_labels.agent_id
               FROM input
               JOIN agent_labels ON agent_labels.label = input.label
             UNION
             SELECT agent_annotations.agent_id
               FROM input
               JOIN agent_annotations ON agent_annotations.key = input.key AND agent_annotations.value = input.value)
         SELECT agents.*, COUNT(*) OVER () AS matching_total
           FROM matching
           JOIN agents ON agents.id = matching.id
          WHERE agents.deleted_at IS NULL
          ORDER BY agents.status, COALESCE(agents.last_heartbeat, 0) DESC, agents.id
          LIMIT $2",
        &[
            ("agent_id", Kind::Uuid),
            ("label", Kind::Text),
            ("key", Kind::Text),
            ("value", Kind::Text),
        ],
    );

    /// Deleted ones too.
    static OF_IDS = Sql::batch(
        "fleet.of_ids",
        "WITH input AS MATERIALIZED ({input})
         SELECT * FROM agents WHERE id IN (SELECT input.id FROM input) ORDER BY id",
        &[("id", Kind::Uuid)],
    );

    static HELD = Sql::batch(
        "fleet.held",
        "WITH input AS MATERIALIZED ({input})
         SELECT claimed_by, work_type, COUNT(*) AS orders, MIN(CAST(id AS TEXT)) AS oldest,
                MAX(claimed_at) AS latest_claimed_at
           FROM work_orders
          WHERE claimed_by IN (SELECT input.id FROM input)
            AND claimed_by IS NOT NULL
          GROUP BY claimed_by, work_type
          ORDER BY claimed_by, work_type",
        &[("id", Kind::Uuid)],
    );

    static LABELS = Sql::shared(
        "fleet.labels",
        "SELECT agents.id, agents.name, agents.cluster_name, agent_labels.label
           FROM agent_labels
           JOIN agents ON agents.id = agent_labels.agent_id
          WHERE agents.deleted_at IS NULL
          ORDER BY agents.id, agent_labels.label
          LIMIT $1",
    );

    static ANNOTATIONS = Sql::shared(
        "fleet.annotations",
        "SELECT agents.id, agents.name, agents.cluster_name, agent_annotations.key, agent_annotations.value
           FROM agent_annotations
           JOIN agents ON agents.id = agent_annotations.agent_id
          WHERE agents.deleted_at IS NULL
          ORDER BY agents.id, agent_annotations.key
          LIMIT $1",
    );
}

/// How many agents there are.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn count(tx: &mut Tx) -> Result<u64, DalError> {
    tx.fetch_one(&COUNT, params![]).await?.get("agents")
}

/// At most `limit` of the agents that match, and how many match: what is ACTIVE and was heard last comes first.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn matching(tx: &mut Tx, targeting: &Targeting, limit: u32) -> Result<(Vec<Agent>, u64), DalError> {
    let none = || None::<String>;
    let agents = targeting
        .agents()
        .iter()
        .map(|agent| params![*agent, none(), none(), none()]);
    let nobody = None::<AgentId>;
    let labels = targeting
        .labels()
        .iter()
        .map(|label| params![nobody, label.as_str(), none(), none()]);
    let annotations = targeting
        .annotations()
        .iter()
        .map(|(key, value)| params![nobody, none(), key.as_str(), value.as_str()]);
    let input: Rows = agents.chain(labels).chain(annotations).collect::<Rows>();
    let rows = tx.fetch_all(&MATCHING, params![input, limit]).await?;
    let total = rows.first().map(|row| row.get("matching_total")).transpose()?;
    let agents = rows.iter().map(Agent::try_from).collect::<Result<_, _>>()?;
    Ok((agents, total.unwrap_or(0)))
}

/// The agents with these ids, also those that were deleted.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn of_ids(tx: &mut Tx, ids: impl IntoIterator<Item = AgentId>) -> Result<Vec<Agent>, DalError> {
    let input = Rows::of(ids);
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&OF_IDS, params![input]).await?;
    rows.iter().map(Agent::try_from).collect()
}

/// What these agents hold, by type of work. One that holds nothing is not in the answer.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn held(
    tx: &mut Tx,
    ids: impl IntoIterator<Item = AgentId>,
) -> Result<HashMap<AgentId, Vec<HeldOfType>>, DalError> {
    let input = Rows::of(ids);
    let mut held: HashMap<AgentId, Vec<HeldOfType>> = HashMap::new();
    if input.is_empty() {
        return Ok(held);
    }
    for row in tx.fetch_all(&HELD, params![input]).await? {
        held.entry(row.get("claimed_by")?).or_default().push(HeldOfType {
            work_type: row.get("work_type")?,
            orders: row.get("orders")?,
            oldest: row.get_with("oldest", |id: String| id.parse::<WorkOrderId>())?,
            latest_claimed_at: row.get("latest_claimed_at")?,
        });
    }
    Ok(held)
}

/// At most `limit` labels and `limit` annotations of agents, each with whose it is.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn terms(tx: &mut Tx, limit: u32) -> Result<Vec<(AgentId, String, Term)>, DalError> {
    let limit: Vec<Value> = params![limit];
    let mut terms = Vec::new();
    for row in tx.fetch_all(&LABELS, limit.clone()).await? {
        let (id, name) = named(&row)?;
        terms.push((id, name, Term::Label(row.get("label")?)));
    }
    for row in tx.fetch_all(&ANNOTATIONS, limit).await? {
        let (id, name) = named(&row)?;
        terms.push((id, name, Term::Annotation(row.get("key")?, row.get("value")?)));
    }
    Ok(terms)
}

fn named(row: &Row) -> Result<(AgentId, String), DalError> {
    let (name, cluster): (AgentName, ClusterName) = (row.get("name")?, row.get("cluster_name")?);
    Ok((row.get("id")?, format!("{name}/{cluster}")))
}
