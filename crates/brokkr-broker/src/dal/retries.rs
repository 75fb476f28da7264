//! Orders that ended and were not repeated.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;

use super::log::{self, LogEntry};
use super::terms::{Terms, terms};
use super::{DalError, Kind, Rows, Sql, Tx, Value, params, statements};

/// The endings that are looked for are the input.
macro_rules! repeatable {
    ($dialect:ident, $what:literal, $rest:literal) => {
        concat!(
            "WITH input AS MATERIALIZED ({input})
             SELECT ",
            $what,
            "  FROM work_order_log AS ended
              WHERE ended.completed_at >= $2
                AND ended.completed_at < $3
                AND ended.ending IN (SELECT input.ending FROM input) ",
            terms!($dialect, "ended"),
            not_repeated!(),
            $rest
        )
    };
}

macro_rules! not_repeated {
    () => {
        "AND NOT EXISTS (SELECT 1 FROM work_orders AS again
                          WHERE again.retry_of IS NOT NULL AND again.retry_of = ended.id)
         AND NOT EXISTS (SELECT 1 FROM work_order_log AS again
                          WHERE again.retry_of IS NOT NULL AND again.retry_of = ended.id) "
    };
}

statements! {
    static COUNT = Sql::batch_per_dialect(
        "retries.count",
        repeatable!(postgres, "COUNT(*) AS orders", ""),
        &[repeatable!(sqlite, "COUNT(*) AS orders", "")],
        &[("ending", Kind::Text)],
    );

    static FIND = Sql::batch_per_dialect(
        "retries.find",
        repeatable!(postgres, "ended.*", "ORDER BY ended.completed_at, ended.id LIMIT $9"),
        &[repeatable!(sqlite, "ended.*", "ORDER BY ended.completed_at, ended.id LIMIT $9")],
        &[("ending", Kind::Text)],
    );

    static AMONG = Sql::batch(
        "retries.among",
        concat!(
            "WITH input AS MATERIALIZED ({input})
             SELECT ended.*
               FROM work_order_log AS ended
              WHERE ended.id IN (SELECT input.id FROM input) ",
            not_repeated!(),
            "ORDER BY ended.completed_at, ended.id"
        ),
        &[("id", Kind::Uuid)],
    );

    static OF = Sql::shared(
        "retries.of",
        "SELECT id FROM work_orders WHERE retry_of IS NOT NULL AND retry_of = $1
          UNION
         SELECT id FROM work_order_log WHERE retry_of IS NOT NULL AND retry_of = $1
          ORDER BY id
          LIMIT $2",
    );

    /// PostgreSQL needs a lock for a decision about rows that are not there. SQLite has one writer.
    static LOCK = Sql::per_dialect(
        "retries.lock",
        "SELECT pg_advisory_xact_lock(hashtext('brokkr.retries')) IS NULL AS locked",
        "SELECT 1 AS locked",
    );
}

/// Which ended orders are to be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryFilter {
    /// Those that ended in one of these ways.
    pub endings: Vec<Ending>,
    /// What else must hold.
    pub terms: Terms,
    /// Only those that ended at this time or later.
    pub ended_from: Timestamp,
    /// Only those that ended before this time.
    pub ended_before: Timestamp,
}

impl RetryFilter {
    fn values(&self) -> Vec<Value> {
        let endings: Rows = self
            .endings
            .iter()
            .map(|ending| params![ending.as_str()])
            .collect();
        let mut values = params![endings, self.ended_from, self.ended_before];
        values.extend(self.terms.values());
        values
    }
}

/// Until the end of the transaction, no other one decides which orders to repeat.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn lock(tx: &mut Tx) -> Result<(), DalError> {
    tx.fetch_one(&LOCK, params![]).await?;
    Ok(())
}

/// How many orders there are to repeat.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn count(tx: &mut Tx, filter: &RetryFilter) -> Result<u64, DalError> {
    tx.fetch_one(&COUNT, filter.values()).await?.get("orders")
}

/// At most `limit` of the orders that there are to repeat, the earliest ending first.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn find(tx: &mut Tx, filter: &RetryFilter, limit: u32) -> Result<Vec<LogEntry>, DalError> {
    let mut values = filter.values();
    values.push(limit.into());
    log::entries(&tx.fetch_all(&FIND, values).await?)
}

/// Those of the orders that ended and were not repeated, the earliest ending first.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn among(tx: &mut Tx, ids: &[WorkOrderId]) -> Result<Vec<LogEntry>, DalError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let values = params![Rows::of(ids.iter().copied())];
    log::entries(&tx.fetch_all(&AMONG, values).await?)
}

/// At most `limit` orders that repeat this one, the oldest first.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn of(tx: &mut Tx, id: WorkOrderId, limit: u32) -> Result<Vec<WorkOrderId>, DalError> {
    let rows = tx.fetch_all(&OF, params![id, limit]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}
