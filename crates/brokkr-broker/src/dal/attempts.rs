//! Attempts that ended. The current attempt is in its order's row.

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::AttemptEnding;
use brokkr_core::retry::FailureClass;
use brokkr_core::time::Timestamp;

use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    static INSERT = Sql::batch(
        "attempts.insert",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO work_order_attempts (work_order_id, attempt, agent_id, instance_id, started_at, ended_at, ending,
                message, class, exit_code, result, outcome_hash)
         SELECT work_order_id, attempt, agent_id, instance_id, started_at, ended_at, ending,
                message, class, exit_code, result, outcome_hash
           FROM input",
        &[
            ("work_order_id", Kind::Uuid),
            ("attempt", Kind::BigInt),
            ("agent_id", Kind::Uuid),
            ("instance_id", Kind::Text),
            ("started_at", Kind::BigInt),
            ("ended_at", Kind::BigInt),
            ("ending", Kind::Text),
            ("message", Kind::Text),
            ("class", Kind::Text),
            ("exit_code", Kind::BigInt),
            ("result", Kind::Text),
            ("outcome_hash", Kind::Text),
        ],
    );

    static LIST = Sql::shared(
        "attempts.list",
        "SELECT * FROM work_order_attempts WHERE work_order_id = $1 AND attempt > $2 ORDER BY attempt LIMIT $3",
    );

    static FIND = Sql::batch(
        "attempts.find",
        "WITH input AS MATERIALIZED ({input})
         SELECT work_order_attempts.*
           FROM input
           JOIN work_order_attempts ON work_order_attempts.work_order_id = input.work_order_id
                                   AND work_order_attempts.attempt = input.attempt
          ORDER BY work_order_attempts.work_order_id, work_order_attempts.attempt",
        &[("work_order_id", Kind::Uuid), ("attempt", Kind::BigInt)],
    );

    static LOST = Sql::batch(
        "attempts.lost",
        "WITH input AS MATERIALIZED ({input})
         SELECT work_order_id, attempt
           FROM work_order_attempts
          WHERE work_order_id IN (SELECT id FROM input)
            AND ending = 'lost'
          ORDER BY work_order_id, attempt",
        &[("id", Kind::Uuid)],
    );

    static DELETE = Sql::batch(
        "attempts.delete",
        "WITH input AS MATERIALIZED ({input})
         DELETE FROM work_order_attempts WHERE work_order_id IN (SELECT id FROM input)",
        &[("id", Kind::Uuid)],
    );
}

/// What an attempt's end told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The result in words, or what went wrong.
    pub message: Option<String>,
    /// What made it fail.
    pub class: Option<FailureClass>,
    /// The exit code of the work, where it has one.
    pub exit_code: Option<i64>,
    /// Anything else, as JSON text.
    pub result: Option<String>,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedAttempt {
    /// The order.
    pub id: WorkOrderId,
    /// The attempt's number.
    pub attempt: Attempt,
    /// The agent that held it.
    pub agent: AgentId,
    /// The agent's process, when it said which one it is.
    pub instance_id: Option<String>,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How.
    pub ending: AttemptEnding,
    /// What its end told.
    pub report: Report,
    /// A fingerprint of the report, by which the same one is known when it is sent again.
    pub outcome_hash: Option<String>,
}

/// Records attempts that ended.
///
/// # Errors
/// A unique constraint when one of them had ended before.
pub async fn insert_many(tx: &mut Tx, attempts: &[EndedAttempt]) -> Result<(), DalError> {
    if attempts.is_empty() {
        return Ok(());
    }
    tx.execute(
        &INSERT,
        params![attempts.iter().map(insert_row).collect::<Rows>()],
    )
    .await
    .map(drop)
}

fn insert_row(ended: &EndedAttempt) -> Vec<super::Value> {
    params![
        ended.id,
        ended.attempt,
        ended.agent,
        ended.instance_id.as_deref(),
        ended.started_at,
        ended.ended_at,
        ended.ending,
        ended.report.message.as_deref(),
        ended.report.class,
        ended.report.exit_code,
        ended.report.result.as_deref(),
        ended.outcome_hash.as_deref(),
    ]
}

/// A page of the attempts of an order that ended, in their order: at most `limit` after `after`.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn list(
    tx: &mut Tx,
    id: WorkOrderId,
    after: Attempt,
    limit: u32,
) -> Result<Vec<EndedAttempt>, DalError> {
    read_all(&tx.fetch_all(&LIST, params![id, after, limit]).await?)
}

/// One attempt, once it has ended.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn find(tx: &mut Tx, id: WorkOrderId, attempt: Attempt) -> Result<Option<EndedAttempt>, DalError> {
    Ok(find_many(tx, &[(id, attempt)]).await?.pop())
}

/// Those of the attempts that have ended.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn find_many(
    tx: &mut Tx,
    attempts: &[(WorkOrderId, Attempt)],
) -> Result<Vec<EndedAttempt>, DalError> {
    if attempts.is_empty() {
        return Ok(Vec::new());
    }
    let input: Rows = attempts
        .iter()
        .map(|(id, attempt)| params![*id, *attempt])
        .collect();
    read_all(&tx.fetch_all(&FIND, params![input]).await?)
}

/// The attempts of the orders whose outcome is unknown, by order and number.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn lost_of_many(
    tx: &mut Tx,
    ids: impl IntoIterator<Item = WorkOrderId>,
) -> Result<Vec<(WorkOrderId, Attempt)>, DalError> {
    let input = Rows::of(ids);
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&LOST, params![input]).await?;
    rows.iter()
        .map(|row| Ok((row.get("work_order_id")?, row.get("attempt")?)))
        .collect()
}

/// Removes what is known of the attempts of orders that are gone.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn delete_many(tx: &mut Tx, ids: &[WorkOrderId]) -> Result<u64, DalError> {
    if ids.is_empty() {
        return Ok(0);
    }
    tx.execute(&DELETE, params![Rows::of(ids.iter().copied())]).await
}

/// The report in a row of the log or of the attempts, whose message is in the column `message`.
pub(in crate::dal) fn report(row: &Row, message: &'static str) -> Result<Report, DalError> {
    Ok(Report {
        message: row.get(message)?,
        class: row.get("class")?,
        exit_code: row.get("exit_code")?,
        result: row.get("result")?,
    })
}

fn read_all(rows: &[Row]) -> Result<Vec<EndedAttempt>, DalError> {
    rows.iter().map(EndedAttempt::try_from).collect()
}

impl TryFrom<&Row> for EndedAttempt {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            id: row.get("work_order_id")?,
            attempt: row.get("attempt")?,
            agent: row.get("agent_id")?,
            instance_id: row.get("instance_id")?,
            started_at: row.get("started_at")?,
            ended_at: row.get("ended_at")?,
            ending: row.get("ending")?,
            report: report(row, "message")?,
            outcome_hash: row.get("outcome_hash")?,
        })
    }
}
