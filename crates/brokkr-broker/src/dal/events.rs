//! Events: every change of an order or an agent, written in the transaction of the change.
//!
//! Positions grow, but on PostgreSQL a position is taken before its transaction commits, so that a later one may be seen first. A
//! transaction that writes events has changed something before, so it has its number before it takes positions. Therefore, once
//! every transaction has ended that had a number when position `p` was seen ([`seen`]), nothing at or before `p` appears any
//! more ([`settled`]). Positions without a gap between them need no such wait.

use brokkr_core::attempt::Attempt;
use brokkr_core::events::EventType;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::time::Timestamp;

use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

macro_rules! insert_of_agents {
    ($gathered:literal) => {
        concat!(
            "WITH input AS MATERIALIZED ({input})
             INSERT INTO events (at, type, agent_id, actor, state_before, state_after, labels, details)
             SELECT at, type, agent_id, actor, state_before, state_after,
                    (SELECT ",
            $gathered,
            "          FROM (SELECT agent_labels.label FROM agent_labels WHERE agent_labels.agent_id = input.agent_id
                              UNION
                             SELECT input.label WHERE input.label IS NOT NULL
                              ORDER BY 1) AS marked),
                    details
               FROM input"
        )
    };
}

statements! {
    static INSERT = Sql::batch(
        "events.insert",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO events (at, type, work_order_id, agent_id, actor, state_before, state_after, attempt, labels, details)
         SELECT at, type, work_order_id, agent_id, actor, state_before, state_after, attempt, labels, details
           FROM input",
        &[
            ("at", Kind::BigInt),
            ("type", Kind::Text),
            ("work_order_id", Kind::Uuid),
            ("agent_id", Kind::Uuid),
            ("actor", Kind::Text),
            ("state_before", Kind::Text),
            ("state_after", Kind::Text),
            ("attempt", Kind::BigInt),
            ("labels", Kind::Text),
            ("details", Kind::Text),
        ],
    );

    /// The agent's labels are looked up here; `label` is one that it has no more. The databases have each their own name for
    /// gathering them.
    static INSERT_OF_AGENTS = Sql::batch_per_dialect(
        "events.insert_of_agents",
        insert_of_agents!("CAST(json_agg(label) AS TEXT)"),
        &[insert_of_agents!("json_group_array(label)")],
        &[
            ("at", Kind::BigInt),
            ("type", Kind::Text),
            ("agent_id", Kind::Uuid),
            ("actor", Kind::Text),
            ("state_before", Kind::Text),
            ("state_after", Kind::Text),
            ("label", Kind::Text),
            ("details", Kind::Text),
        ],
    );

    static PAGE = Sql::shared(
        "events.page",
        "SELECT * FROM events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3",
    );

    static PAGE_OF_WORK_ORDER = Sql::shared(
        "events.page_of_work_order",
        "SELECT *
           FROM events
          WHERE work_order_id = $4
            AND position > $1
            AND position <= $2
          ORDER BY position
          LIMIT $3",
    );

    /// The last position that can be seen, and then a transaction's number: whoever has taken that position or one before it
    /// has a smaller one. SQLite has one writer, so nothing comes later to a place before it.
    static SEEN = Sql::per_dialect(
        "events.seen",
        "WITH seen AS MATERIALIZED (
             SELECT GREATEST((SELECT MAX(position) FROM events), (SELECT position FROM events_forgotten)) AS position)
         SELECT position, CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT) AS number FROM seen",
        "SELECT MAX(COALESCE((SELECT MAX(position) FROM events), 0), position) AS position, 0 AS number
           FROM events_forgotten",
    );

    /// Whether all transactions before this number have ended.
    static SETTLED = Sql::per_dialect(
        "events.settled",
        "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT) >= $1 AS settled",
        "SELECT $1 >= 0 AS settled",
    );

    static LAST = Sql::shared("events.last", "SELECT COALESCE(MAX(position), 0) AS position FROM events");

    static FORGOTTEN = Sql::shared(
        "events.forgotten",
        "SELECT position FROM events_forgotten",
    );

    /// Looks at the oldest ones alone, however many there are.
    static OLD = Sql::shared(
        "events.old",
        "SELECT MAX(position) AS position
           FROM (SELECT position, at FROM events WHERE position <= $2 ORDER BY position LIMIT $3) AS oldest
          WHERE at < $1",
    );

    static FORGET = Sql::shared("events.forget", "DELETE FROM events WHERE position <= $1");

    static SET_FORGOTTEN = Sql::shared(
        "events.set_forgotten",
        "UPDATE events_forgotten SET position = $1 WHERE position < $1",
    );

    /// Each database counts in a place of its own.
    static SKIP_TO = Sql::per_dialect(
        "events.skip_to",
        "SELECT setval(pg_get_serial_sequence('events', 'position'),
                       GREATEST($1, (SELECT COALESCE(MAX(position), 0) FROM events))) AS position",
        "UPDATE sqlite_sequence SET seq = MAX($1, seq) WHERE name = 'events' RETURNING seq AS position",
    );
}

/// Where an event stands among all: later ones have greater positions.
pub type Position = i64;

/// What has happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventType,
    /// To which order.
    pub id: WorkOrderId,
    /// The agent that holds the order, or held it before.
    pub agent: Option<AgentId>,
    /// Who did it.
    pub actor: String,
    /// The order's state before, nothing if it is new.
    pub before: Option<&'static str>,
    /// The order's state after it.
    pub after: &'static str,
    /// The number of the order's latest attempt.
    pub attempt: Attempt,
    /// The labels that the order is for.
    pub labels: Vec<String>,
    /// More about it, a JSON object without secrets and payloads.
    pub details: String,
}

/// What has happened to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventType,
    /// To which agent.
    pub id: AgentId,
    /// Who did it.
    pub actor: String,
    /// The agent's status before, nothing if it is new.
    pub before: Option<&'static str>,
    /// The agent's status after it.
    pub after: Option<&'static str>,
    /// A label that it has lost by it. Those that it has are looked up.
    pub label: Option<String>,
    /// More about it, a JSON object without secrets and payloads.
    pub details: String,
}

/// An event as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it stands among all.
    pub position: Position,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventType,
    /// The order that it happened to.
    pub work_order: Option<WorkOrderId>,
    /// The agent that it happened to, or that had to do with the order.
    pub agent: Option<AgentId>,
    /// Who did it.
    pub actor: String,
    /// The state before.
    pub before: Option<String>,
    /// The state after.
    pub after: Option<String>,
    /// The number of the order's latest attempt.
    pub attempt: Option<Attempt>,
    /// The labels that the order is for, or that the agent has.
    pub labels: Vec<String>,
    /// More about it, a JSON object.
    pub details: String,
}

impl TryFrom<&Row> for Event {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            position: row.get("position")?,
            at: row.get("at")?,
            kind: row.get_with("type", |text: String| text.parse::<EventType>())?,
            work_order: row.get("work_order_id")?,
            agent: row.get("agent_id")?,
            actor: row.get("actor")?,
            before: row.get("state_before")?,
            after: row.get("state_after")?,
            attempt: row.get("attempt")?,
            labels: row.get_with("labels", |text: Option<String>| match text {
                Some(text) => serde_json::from_str(&text),
                None => Ok(Vec::new()),
            })?,
            details: row.get("details")?,
        })
    }
}

/// Writes down what happened to orders. The transaction has changed them before.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn insert(tx: &mut Tx, events: &[OrderEvent]) -> Result<(), DalError> {
    if events.is_empty() {
        return Ok(());
    }
    let rows: Rows = events
        .iter()
        .map(|event| {
            let labels = (!event.labels.is_empty()).then(|| serde_json::json!(event.labels).to_string());
            let attempt = Some(event.attempt).filter(|attempt| *attempt != Attempt::NONE);
            params![
                event.at,
                event.kind.as_str(),
                event.id,
                event.agent,
                &event.actor,
                event.before,
                event.after,
                attempt,
                labels,
                &event.details
            ]
        })
        .collect();
    tx.writes_events();
    tx.execute(&INSERT, params![rows]).await.map(drop)
}

/// Writes down what happened to agents. The transaction has changed something before.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn insert_of_agents(tx: &mut Tx, events: &[AgentEvent]) -> Result<(), DalError> {
    if events.is_empty() {
        return Ok(());
    }
    let rows: Rows = events
        .iter()
        .map(|event| {
            params![
                event.at,
                event.kind.as_str(),
                event.id,
                &event.actor,
                event.before,
                event.after,
                event.label.as_deref(),
                &event.details
            ]
        })
        .collect();
    tx.writes_events();
    tx.execute(&INSERT_OF_AGENTS, params![rows]).await.map(drop)
}

/// At most `limit` events after `after` up to `until`, in their order, of one order if it is given. Those that are settled are
/// all there; of others, some may still appear.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn page(
    tx: &mut Tx,
    work_order: Option<WorkOrderId>,
    after: Position,
    until: Position,
    limit: u32,
) -> Result<Vec<Event>, DalError> {
    let rows = match work_order {
        Some(id) => {
            tx.fetch_all(&PAGE_OF_WORK_ORDER, params![after, until, limit, id])
                .await?
        }
        None => tx.fetch_all(&PAGE, params![after, until, limit]).await?,
    };
    rows.iter().map(Event::try_from).collect()
}

/// The last position that can be seen now, settled or not, and the moment at which it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The last position.
    pub position: Position,
    /// Above the number of every transaction that has taken this position or one before it.
    number: i64,
}

/// Looks for the last position.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn seen(tx: &mut Tx) -> Result<Seen, DalError> {
    let row = tx.fetch_one(&SEEN, params![]).await?;
    Ok(Seen {
        position: row.get("position")?,
        number: row.get("number")?,
    })
}

/// Whether nothing can appear any more at or before the position that was seen. To be asked before the events are read.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn settled(tx: &mut Tx, seen: Seen) -> Result<bool, DalError> {
    tx.fetch_one(&SETTLED, params![seen.number]).await?.get("settled")
}

/// The last position that can be seen, 0 when there is none.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn last(tx: &mut Tx) -> Result<Position, DalError> {
    tx.fetch_one(&LAST, params![]).await?.get("position")
}

/// The last position that was forgotten.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn forgotten(tx: &mut Tx) -> Result<Position, DalError> {
    tx.fetch_one(&FORGOTTEN, params![]).await?.get("position")
}

/// Forgets at most `limit` events from before `before` that stand at `until` or before it, oldest first, and answers how many.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn forget(tx: &mut Tx, before: Timestamp, until: Position, limit: u32) -> Result<u64, DalError> {
    let row = tx.fetch_one(&OLD, params![before, until, limit]).await?;
    let Some(position) = row.get::<Option<Position>>("position")? else {
        return Ok(0);
    };
    tx.execute(&SET_FORGOTTEN, params![position]).await?;
    tx.execute(&FORGET, params![position]).await
}

/// Makes the positions of the events to come greater than `position`. For a database that was restored, which does not know the
/// events since its backup, while others do.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn skip_to(tx: &mut Tx, position: Position) -> Result<(), DalError> {
    tx.fetch_one(&SKIP_TO, params![position]).await.map(drop)
}
