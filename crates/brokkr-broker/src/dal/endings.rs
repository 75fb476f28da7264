//! Endings: how orders leave the queue, or go back into it after an attempt.
//!
//! Each statement repeats the guards of the life of an order: an order that is not in the state or at the attempt that the
//! caller has seen is left as it is, and is not in the answer. The caller has locked the orders
//! ([`work_orders::get_for_update`](super::work_orders::get_for_update)) and asked their lives, so none should be missing.

use std::collections::{BTreeMap, HashSet};

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::{AttemptEnding, Ending};
use brokkr_core::retry::Budget;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;

use super::attempts::Report;
use super::log::{self, LogEntry};
use super::routes::{self, Routed};
use super::work_orders::{QueueStatus, read_targeting};
use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    static MOVE_TO_LOG = Sql::batch_in_steps(
        "endings.move_to_log",
        include_str!("endings/move_to_log.postgres.sql"),
        &[
            include_str!("endings/log.sqlite.sql"),
            include_str!("endings/end_attempts.sqlite.sql"),
            include_str!("endings/leave_queue.sqlite.sql"),
        ],
        &[
            ("id", Kind::Uuid),
            ("status", Kind::Text),
            ("attempt", Kind::BigInt),
            ("ending", Kind::Text),
            ("result_message", Kind::Text),
            ("class", Kind::Text),
            ("exit_code", Kind::BigInt),
            ("result", Kind::Text),
            ("attempt_ending", Kind::Text),
            ("outcome_hash", Kind::Text),
        ],
    );

    static SCHEDULE_RETRIES = Sql::batch(
        "endings.schedule_retries",
        "WITH input AS MATERIALIZED ({input})
         UPDATE work_orders
            SET status = 'RETRY_PENDING',
                retry_count = work_orders.retry_count + 1 - input.infrastructure,
                infrastructure_retry_count = work_orders.infrastructure_retry_count + input.infrastructure,
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
            AND CASE input.infrastructure
                WHEN 1 THEN work_orders.infrastructure_retry_count < work_orders.infrastructure_retries_max
                ELSE work_orders.retry_count + work_orders.lost_count < work_orders.max_retries END
         RETURNING work_orders.id, work_orders.targeting",
        &[
            ("id", Kind::Uuid),
            ("attempt", Kind::BigInt),
            ("infrastructure", Kind::BigInt),
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
         RETURNING work_orders.id, work_type, priority, targeting",
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
    /// How its current attempt ends with it, and a fingerprint of the report; nothing when nobody holds it.
    pub attempt_ending: Option<(AttemptEnding, Option<String>)>,
}

/// Moves orders from the queue to the log, with their current attempts, and answers their entries in the order of their ids.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn move_to_log_many(
    tx: &mut Tx,
    orders: &[EndingOrder],
    completed_at: Timestamp,
) -> Result<Vec<LogEntry>, DalError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let input: Rows = orders.iter().map(log_row).collect();
    let mut entries = log::entries(&tx.fetch_all(&MOVE_TO_LOG, params![input, completed_at]).await?)?;
    entries.sort_by_key(|entry| entry.id);
    let waited: HashSet<_> = orders
        .iter()
        .filter(|order| order.status == QueueStatus::Pending)
        .map(|order| order.id)
        .collect();
    let routed: Vec<_> = entries
        .iter()
        .filter(|entry| waited.contains(&entry.id))
        .map(Routed::from)
        .collect();
    routes::close_many(tx, &routed).await?;
    Ok(entries)
}

fn log_row(order: &EndingOrder) -> Vec<super::Value> {
    let (attempt_ending, outcome_hash) = order
        .attempt_ending
        .as_ref()
        .map_or((None, None), |(ending, hash)| (Some(*ending), hash.as_deref()));
    params![
        order.id,
        order.status.as_str(),
        order.attempt,
        order.ending,
        order.report.message.as_deref(),
        order.report.class,
        order.report.exit_code,
        order.report.result.as_deref(),
        attempt_ending.map(AttemptEnding::as_str),
        outcome_hash,
    ]
}

/// A claimed order whose attempt failed and that is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The order.
    pub id: WorkOrderId,
    /// The attempt that failed, which must be the current one.
    pub attempt: Attempt,
    /// What pays for the retry.
    pub budget: Budget,
    /// When it may be claimed again.
    pub not_before: Timestamp,
    /// What the failure said.
    pub last_error: String,
}

/// Sends failed orders to wait for their retries. Answers those that do, each with whom it is for; an order whose cancellation was asked for, or whose
/// budget has no retry left, is not among them.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn schedule_retry_many(
    tx: &mut Tx,
    retries: &[Retry],
    now: Timestamp,
) -> Result<BTreeMap<WorkOrderId, Targeting>, DalError> {
    if retries.is_empty() {
        return Ok(BTreeMap::new());
    }
    let input: Rows = retries
        .iter()
        .map(|retry| {
            let infrastructure = i64::from(retry.budget == Budget::Infrastructure);
            params![
                retry.id,
                retry.attempt,
                infrastructure,
                retry.not_before,
                &retry.last_error
            ]
        })
        .collect();
    let rows = tx.fetch_all(&SCHEDULE_RETRIES, params![input, now]).await?;
    rows.iter()
        .map(|row| {
            let targeting = row.get_with("targeting", |text: String| read_targeting(&text))?;
            Ok((row.get("id")?, targeting))
        })
        .collect()
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

/// Sends claimed orders back to the queue, opens their routes and answers them. An order whose cancellation was asked for, or that would
/// be lost too often, is left as it is.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn return_to_pending_many(
    tx: &mut Tx,
    returns: &[Return],
    now: Timestamp,
) -> Result<Vec<Routed>, DalError> {
    if returns.is_empty() {
        return Ok(Vec::new());
    }
    let input: Rows = returns
        .iter()
        .map(|back| params![back.id, back.attempt, i64::from(back.reason == Returned::Lost)])
        .collect();
    let rows = tx.fetch_all(&RETURN_TO_PENDING, params![input, now]).await?;
    reopened(tx, &rows).await
}

/// Opens the routes of the orders in `rows`, which have just become PENDING, and answers them.
pub(in crate::dal) async fn reopened(tx: &mut Tx, rows: &[Row]) -> Result<Vec<Routed>, DalError> {
    let reopened = rows.iter().map(Routed::try_from).collect::<Result<Vec<_>, _>>()?;
    routes::open_many(tx, &reopened).await?;
    Ok(reopened)
}
