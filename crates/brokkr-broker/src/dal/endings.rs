//! Endings: how orders leave the queue, or go back into it after an attempt.
//!
//! Each statement repeats the guards of the life of an order: an order that is not in the state or at the attempt that the
//! caller has seen is left as it is, and is not in the answer. The caller has locked the orders
//! ([`work_orders::get_for_update`](super::work_orders::get_for_update)) and asked their lives, so none should be missing.

use std::collections::BTreeSet;

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;

use super::attempts::Report;
use super::log::{self, LogEntry};
use super::routes::{self, OpenRoute};
use super::work_orders::QueueStatus;
use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    static LOG = Sql::batch(
        "endings.log",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO work_order_log (id, created_at, completed_at, work_type, yaml_content, priority, delivery,
                claim_timeout_seconds, max_retries, retries_attempted, lost_count, backoff_seconds, last_error,
                last_error_at, attempt, claimed_by, claimed_at, ending, success, result_message, class, exit_code,
                result, cancel_requested_at, cancel_reason, deadline_seconds, start_by, run_at, retry_on, metadata,
                targeting, retry_of, submitted_by, traceparent)
         SELECT queued.id, queued.created_at, $2, queued.work_type, queued.yaml_content, queued.priority,
                queued.delivery, queued.claim_timeout_seconds, queued.max_retries, queued.retry_count,
                queued.lost_count, queued.backoff_seconds, queued.last_error, queued.last_error_at, queued.attempt,
                queued.claimed_by, queued.claimed_at, input.ending, input.ending = 'succeeded',
                input.result_message, input.class, input.exit_code, input.result, queued.cancel_requested_at,
                queued.cancel_reason, queued.deadline_seconds, queued.start_by, queued.run_at, queued.retry_on,
                queued.metadata, queued.targeting, queued.retry_of, queued.submitted_by, queued.traceparent
           FROM input
           JOIN work_orders AS queued ON queued.id = input.id
                                     AND queued.status = input.status
                                     AND queued.attempt = input.attempt
         RETURNING *",
        &[
            ("id", Kind::Uuid),
            ("status", Kind::Text),
            ("attempt", Kind::BigInt),
            ("ending", Kind::Text),
            ("result_message", Kind::Text),
            ("class", Kind::Text),
            ("exit_code", Kind::BigInt),
            ("result", Kind::Text),
        ],
    );

    static LEAVE_QUEUE = Sql::batch(
        "endings.leave_queue",
        "WITH input AS MATERIALIZED ({input})
         DELETE FROM work_orders WHERE id IN (SELECT id FROM input)",
        &[("id", Kind::Uuid)],
    );

    static SCHEDULE_RETRIES = Sql::batch(
        "endings.schedule_retries",
        "WITH input AS MATERIALIZED ({input})
         UPDATE work_orders
            SET status = 'RETRY_PENDING',
                retry_count = work_orders.retry_count + 1,
                next_retry_after = input.not_before,
                last_error = input.last_error,
                last_error_at = $2,
                claimed_by = NULL,
                claimed_at = NULL,
                claim_instance_id = NULL,
                lease_expires_at = NULL,
                updated_at = $2
           FROM input
          WHERE work_orders.id = input.id
            AND work_orders.attempt = input.attempt
            AND work_orders.status = 'CLAIMED'
            AND work_orders.cancel_requested_at IS NULL
            AND work_orders.retry_count + work_orders.lost_count < work_orders.max_retries
         RETURNING work_orders.id",
        &[
            ("id", Kind::Uuid),
            ("attempt", Kind::BigInt),
            ("not_before", Kind::BigInt),
            ("last_error", Kind::Text),
        ],
    );

    static RETURN_TO_PENDING = Sql::batch(
        "endings.return_to_pending",
        "WITH input AS MATERIALIZED ({input})
         UPDATE work_orders
            SET status = 'PENDING',
                lost_count = work_orders.lost_count + input.losses,
                claimed_by = NULL,
                claimed_at = NULL,
                claim_instance_id = NULL,
                lease_expires_at = NULL,
                updated_at = $2
           FROM input
          WHERE work_orders.id = input.id
            AND work_orders.attempt = input.attempt
            AND work_orders.status = 'CLAIMED'
            AND work_orders.cancel_requested_at IS NULL
            AND work_orders.retry_count + work_orders.lost_count + input.losses <= work_orders.max_retries
         RETURNING work_orders.id",
        &[("id", Kind::Uuid), ("attempt", Kind::BigInt), ("losses", Kind::BigInt)],
    );
}

/// An order that ends: the state in which it was seen, and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingOrder {
    /// The order.
    pub id: WorkOrderId,
    /// The state that it must be in.
    pub status: QueueStatus,
    /// The attempt that must be its latest.
    pub attempt: Attempt,
    /// How it ends.
    pub ending: Ending,
    /// What its end tells.
    pub report: Report,
}

/// Moves orders from the queue to the log, and answers their entries in the order of their ids.
///
/// # Errors
/// [`DalError::Miscounted`] when what left the queue is not what was logged; nothing of the transaction may be kept then.
pub async fn move_to_log_many(
    tx: &mut Tx,
    orders: &[EndingOrder],
    completed_at: Timestamp,
) -> Result<Vec<LogEntry>, DalError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let input: Rows = orders.iter().map(log_row).collect();
    let mut entries = log::entries(&tx.fetch_all(&LOG, params![input, completed_at]).await?)?;
    entries.sort_by_key(|entry| entry.id);
    let left = tx
        .execute(
            &LEAVE_QUEUE,
            params![Rows::of(entries.iter().map(|entry| entry.id))],
        )
        .await?;
    let logged = entries.len() as u64;
    if left == logged {
        Ok(entries)
    } else {
        Err(DalError::Miscounted {
            statement: LEAVE_QUEUE.name(),
            expected: logged,
            changed: left,
        })
    }
}

fn log_row(order: &EndingOrder) -> Vec<super::Value> {
    params![
        order.id,
        order.status.as_str(),
        order.attempt,
        order.ending,
        order.report.message.as_deref(),
        order.report.class,
        order.report.exit_code,
        order.report.result.as_deref(),
    ]
}

/// A claimed order whose attempt failed and that is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The order.
    pub id: WorkOrderId,
    /// The attempt that failed, which must be the current one.
    pub attempt: Attempt,
    /// When it may be claimed again.
    pub not_before: Timestamp,
    /// What the failure said.
    pub last_error: String,
}

/// Sends failed orders to wait for their retries. Answers those that do; an order whose cancellation was asked for, or that
/// has no retry left, is not among them.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn schedule_retry_many(
    tx: &mut Tx,
    retries: &[Retry],
    now: Timestamp,
) -> Result<BTreeSet<WorkOrderId>, DalError> {
    if retries.is_empty() {
        return Ok(BTreeSet::new());
    }
    let input: Rows = retries
        .iter()
        .map(|retry| params![retry.id, retry.attempt, retry.not_before, &retry.last_error])
        .collect();
    changed(&tx.fetch_all(&SCHEDULE_RETRIES, params![input, now]).await?)
}

/// Why a claimed order goes back to the queue at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// Its holder gave it back, which uses up nothing.
    Released,
    /// Its attempt was lost, which counts.
    Lost,
}

/// A claimed order that goes back to the queue at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// The order.
    pub id: WorkOrderId,
    /// The attempt that is over, which must be the current one.
    pub attempt: Attempt,
    /// Why.
    pub reason: Returned,
}

/// Orders that are PENDING again, and the routes on which they can be claimed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reopened {
    /// The orders.
    pub ids: BTreeSet<WorkOrderId>,
    /// Their routes, on which somebody may be waiting.
    pub routes: Vec<OpenRoute>,
}

/// Sends claimed orders back to the queue and opens their routes. An order whose cancellation was asked for, or that would
/// be lost too often, is left as it is.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn return_to_pending_many(
    tx: &mut Tx,
    returns: &[Return],
    now: Timestamp,
) -> Result<Reopened, DalError> {
    if returns.is_empty() {
        return Ok(Reopened::default());
    }
    let input: Rows = returns
        .iter()
        .map(|back| params![back.id, back.attempt, i64::from(back.reason == Returned::Lost)])
        .collect();
    let rows = tx.fetch_all(&RETURN_TO_PENDING, params![input, now]).await?;
    reopened(tx, &rows).await
}

/// Opens the routes of the orders in `rows`, which have just become PENDING.
pub(in crate::dal) async fn reopened(tx: &mut Tx, rows: &[Row]) -> Result<Reopened, DalError> {
    let ids = changed(rows)?;
    let routes = routes::open_many(tx, ids.iter().copied()).await?;
    Ok(Reopened { ids, routes })
}

fn changed(rows: &[Row]) -> Result<BTreeSet<WorkOrderId>, DalError> {
    rows.iter().map(|row| row.get("id")).collect()
}
