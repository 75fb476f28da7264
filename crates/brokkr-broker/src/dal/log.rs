//! The work-order log: orders that ended. An entry is written once and never changed; retention removes whole entries.

pub(in crate::dal) mod list;

use std::collections::BTreeMap;

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Ending, Policy};
use brokkr_core::limits::{ClaimTimeoutSeconds, DeadlineSeconds, Priority};
use brokkr_core::names::WorkType;
use brokkr_core::retry::RetryOn;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;

pub use self::list::{LogFilter, LogPosition, horizon, list};
use super::attempts::{self, Report};
use super::routes::Routed;
use super::work_orders::{
    CancelRequest, LastError, cancel_request, last_error, read_metadata, read_retry_on, read_targeting,
};
use super::{DalError, Kind, Row, Rows, Sql, Tx, output, params, statements};

/// Replicas that prune at the same time leave each other's entries alone.
macro_rules! prune {
    ($lock:literal) => {
        concat!(
            "DELETE FROM work_order_log
              WHERE id IN (SELECT id
                             FROM work_order_log
                            WHERE completed_at < $1
                            ORDER BY completed_at
                            LIMIT $2 ",
            $lock,
            ") RETURNING id"
        )
    };
}

statements! {
    static GET_MANY = Sql::batch(
        "log.get_many",
        "WITH input AS MATERIALIZED ({input})
         SELECT * FROM work_order_log WHERE id IN (SELECT id FROM input) ORDER BY id",
        &[("id", Kind::Uuid)],
    );

    static ENDINGS = Sql::batch(
        "log.endings",
        "WITH input AS MATERIALIZED ({input})
         SELECT id, attempt, ending FROM work_order_log WHERE id IN (SELECT id FROM input) ORDER BY id",
        &[("id", Kind::Uuid)],
    );

    static PRUNE = Sql::per_dialect("log.prune", prune!("FOR UPDATE SKIP LOCKED"), prune!(""));
}

/// An order that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Names the order, as it did in the queue.
    pub id: WorkOrderId,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// Which executor ran it.
    pub work_type: WorkType,
    /// The documents that say what was to run.
    pub yaml_content: String,
    /// Higher was claimed first.
    pub priority: Priority,
    /// The rules that its life followed.
    pub policy: Policy,
    /// How long a claim by id held, and the most that a claim or a renewal got.
    pub claim_timeout_seconds: ClaimTimeoutSeconds,
    /// How often a failure sent it back to wait for a retry.
    pub retries_attempted: u32,
    /// How often a failure around the work did.
    pub infrastructure_retries_attempted: u32,
    /// How often a lost attempt sent it back to the queue.
    pub lost_count: u32,
    /// What the latest failure said that sent it back.
    pub last_error: Option<LastError>,
    /// The number of the latest attempt, 0 when there was none.
    pub attempt: Attempt,
    /// Who held it when it ended, if anybody did.
    pub claimed_by: Option<AgentId>,
    /// When that agent had claimed it.
    pub claimed_at: Option<Timestamp>,
    /// How it ended.
    pub ending: Ending,
    /// What its end told.
    pub report: Report,
    /// The wish to cancel it that its holder had to be told.
    pub cancel: Option<CancelRequest>,
    /// The longest that one attempt could run.
    pub deadline_seconds: Option<DeadlineSeconds>,
    /// It was not to start before this time.
    pub run_at: Option<Timestamp>,
    /// The classes of failure that were retried.
    pub retry_on: RetryOn,
    /// Facts for people and tools.
    pub metadata: BTreeMap<String, String>,
    /// Whom it was for.
    pub targeting: Targeting,
    /// The ended order that it repeated.
    pub retry_of: Option<WorkOrderId>,
    /// Who submitted it.
    pub submitted_by: String,
    /// The W3C trace context of its submission.
    pub traceparent: Option<String>,
}

/// The entry of an order that ended.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn get(tx: &mut Tx, id: WorkOrderId) -> Result<Option<LogEntry>, DalError> {
    Ok(get_many(tx, &[id]).await?.pop())
}

/// The entries of those of the orders that ended, in the order of their ids.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn get_many(tx: &mut Tx, ids: &[WorkOrderId]) -> Result<Vec<LogEntry>, DalError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    entries(
        &tx.fetch_all(&GET_MANY, params![Rows::of(ids.iter().copied())])
            .await?,
    )
}

/// How those of the orders ended that did, each with its latest attempt, in the order of their ids.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn endings(
    tx: &mut Tx,
    ids: &[WorkOrderId],
) -> Result<Vec<(WorkOrderId, Attempt, Ending)>, DalError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx
        .fetch_all(&ENDINGS, params![Rows::of(ids.iter().copied())])
        .await?;
    rows.iter()
        .map(|row| Ok((row.get("id")?, row.get("attempt")?, row.get("ending")?)))
        .collect()
}

/// Removes at most `limit` of the orders that ended before `before`, the earliest first, with their attempts and their
/// output. Answers how many orders it removed.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, DalError> {
    let rows = tx.fetch_all(&PRUNE, params![before, limit]).await?;
    let ids = rows
        .iter()
        .map(|row| row.get("id"))
        .collect::<Result<Vec<WorkOrderId>, _>>()?;
    attempts::delete_many(tx, &ids).await?;
    output::delete_many(tx, &ids).await?;
    Ok(rows.len() as u64)
}

pub(in crate::dal) fn entries(rows: &[Row]) -> Result<Vec<LogEntry>, DalError> {
    rows.iter().map(LogEntry::try_from).collect()
}

impl From<&LogEntry> for Routed {
    fn from(entry: &LogEntry) -> Self {
        Self::new(entry.id, &entry.work_type, entry.priority, &entry.targeting)
    }
}

impl TryFrom<&Row> for LogEntry {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            id: row.get("id")?,
            created_at: row.get("created_at")?,
            completed_at: row.get("completed_at")?,
            work_type: row.get("work_type")?,
            yaml_content: row.get("yaml_content")?,
            priority: row.get_with("priority", Priority::new)?,
            policy: Policy {
                delivery: row.get("delivery")?,
                max_retries: row.get("max_retries")?,
                infrastructure_retries_max: row.get("infrastructure_retries_max")?,
                backoff_seconds: row.get("backoff_seconds")?,
                backoff_jitter: row.get("backoff_jitter")?,
                start_by: row.get("start_by")?,
            },
            claim_timeout_seconds: row.get_with("claim_timeout_seconds", ClaimTimeoutSeconds::new)?,
            retries_attempted: row.get("retries_attempted")?,
            infrastructure_retries_attempted: row.get("infrastructure_retries_attempted")?,
            lost_count: row.get("lost_count")?,
            last_error: last_error(row)?,
            attempt: row.get("attempt")?,
            claimed_by: row.get("claimed_by")?,
            claimed_at: row.get("claimed_at")?,
            ending: row.get("ending")?,
            report: attempts::report(row, "result_message")?,
            cancel: cancel_request(row)?,
            deadline_seconds: row.get_with("deadline_seconds", |seconds: Option<i64>| {
                seconds.map(DeadlineSeconds::new).transpose()
            })?,
            run_at: row.get("run_at")?,
            retry_on: row.get_with("retry_on", |text: String| read_retry_on(&text))?,
            metadata: row.get_with("metadata", |text: String| read_metadata(&text))?,
            targeting: row.get_with("targeting", |text: String| read_targeting(&text))?,
            retry_of: row.get("retry_of")?,
            submitted_by: row.get("submitted_by")?,
            traceparent: row.get("traceparent")?,
        })
    }
}
