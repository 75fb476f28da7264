//! What the sweeps look for: orders whose time has come. What they find is locked until the transaction ends, so it has to
//! be one that may write; and what another replica has locked is left to it.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::time::Timestamp;

use super::endings::reopened;
use super::routes::Routed;
use super::work_orders::{OrderHead, head_columns, heads};
use super::{DalError, Kind, Rows, Sql, Tx, params, statements};

macro_rules! find {
    ($table:literal, $condition:literal, $time:literal, $lock:literal) => {
        concat!(
            "SELECT ",
            head_columns!(),
            " FROM ",
            $table,
            " WHERE ",
            $condition,
            " ORDER BY ",
            $time,
            " LIMIT $2 ",
            $lock
        )
    };
}

/// SQLite has one writer, so nothing that it finds can be locked by another. It does not know by itself that an index over
/// few orders is better than the one over all.
macro_rules! finder {
    ($name:literal, $indexed:literal, $condition:literal, $time:literal) => {
        Sql::per_dialect(
            $name,
            find!("work_orders", $condition, $time, "FOR UPDATE SKIP LOCKED"),
            find!($indexed, $condition, $time, ""),
        )
    };
}

macro_rules! next_due {
    ($next_retry:literal, $run_at:literal, $start_by:literal) => {
        concat!(
            "SELECT (SELECT MIN(next_retry_after) FROM work_orders ",
            $next_retry,
            "         WHERE status = 'RETRY_PENDING') AS next_retry_after,
                    (SELECT MIN(run_at) FROM work_orders ",
            $run_at,
            "         WHERE status = 'SCHEDULED') AS run_at,
                    (SELECT MIN(start_by) FROM work_orders ",
            $start_by,
            "         WHERE status IN ('PENDING', 'SCHEDULED')
                        AND start_by IS NOT NULL
                        AND retry_count = 0
                        AND infrastructure_retry_count = 0
                        AND lost_count = 0) AS start_by"
        )
    };
}

statements! {
    static EXPIRED_LEASES = finder!(
        "sweeps.expired_leases",
        "work_orders INDEXED BY work_orders_claimed_by",
        "claimed_by IS NOT NULL AND lease_expires_at <= $1",
        "lease_expires_at"
    );

    static OVERDUE_ATTEMPTS = finder!(
        "sweeps.overdue_attempts",
        "work_orders INDEXED BY work_orders_claimed_by",
        "claimed_by IS NOT NULL AND deadline_seconds IS NOT NULL AND claimed_at + deadline_seconds * 1000000 <= $1",
        "claimed_at"
    );

    static DUE_RETRIES = finder!(
        "sweeps.due_retries",
        "work_orders INDEXED BY work_orders_next_retry",
        "status = 'RETRY_PENDING' AND next_retry_after <= $1",
        "next_retry_after"
    );

    static DUE_SCHEDULED = finder!(
        "sweeps.due_scheduled",
        "work_orders INDEXED BY work_orders_run_at",
        "status = 'SCHEDULED' AND run_at <= $1",
        "run_at"
    );

    static START_BY_PASSED = finder!(
        "sweeps.start_by_passed",
        "work_orders INDEXED BY work_orders_start_by",
        "status IN ('PENDING', 'SCHEDULED') AND start_by IS NOT NULL AND start_by < $1
           AND retry_count = 0 AND infrastructure_retry_count = 0 AND lost_count = 0",
        "start_by"
    );

    /// CASE keeps the databases from looking for the orders by their status instead of by their ids.
    static PROMOTE = Sql::batch(
        "sweeps.promote",
        "WITH input AS MATERIALIZED ({input})
         UPDATE work_orders
            SET status = 'PENDING', next_retry_after = NULL, updated_at = $2
          WHERE id IN (SELECT input.id FROM input)
            AND CASE status
                WHEN 'RETRY_PENDING' THEN next_retry_after <= $2
                WHEN 'SCHEDULED' THEN run_at <= $2
                ELSE FALSE END
         RETURNING id, work_type, priority, targeting",
        &[("id", Kind::Uuid)],
    );

    /// Leases have no index of their own, so this reads every order that is claimed.
    static NEXT_LEASE = Sql::per_dialect(
        "sweeps.next_lease",
        "SELECT MIN(lease_expires_at) AS lease_expires_at FROM work_orders WHERE claimed_by IS NOT NULL",
        "SELECT MIN(lease_expires_at) AS lease_expires_at
           FROM work_orders INDEXED BY work_orders_claimed_by
          WHERE claimed_by IS NOT NULL",
    );

    /// As with the leases.
    static NEXT_DEADLINE = Sql::per_dialect(
        "sweeps.next_deadline",
        "SELECT MIN(claimed_at + deadline_seconds * 1000000) AS deadline FROM work_orders WHERE claimed_by IS NOT NULL",
        "SELECT MIN(claimed_at + deadline_seconds * 1000000) AS deadline
           FROM work_orders INDEXED BY work_orders_claimed_by
          WHERE claimed_by IS NOT NULL",
    );

    /// As with the finders, SQLite is told the indexes.
    static NEXT_DUE = Sql::per_dialect(
        "sweeps.next_due",
        next_due!("", "", ""),
        next_due!(
            "INDEXED BY work_orders_next_retry",
            "INDEXED BY work_orders_run_at",
            "INDEXED BY work_orders_start_by"
        ),
    );
}

/// At most `limit` claimed orders whose lease has passed at `now`, the one that passed first first.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn expired_leases(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<OrderHead>, DalError> {
    heads(&tx.fetch_all(&EXPIRED_LEASES, params![now, limit]).await?)
}

/// At most `limit` claimed orders whose attempt had its deadline at `until` or before, the one that was claimed first first.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn overdue_attempts(tx: &mut Tx, until: Timestamp, limit: u32) -> Result<Vec<OrderHead>, DalError> {
    heads(&tx.fetch_all(&OVERDUE_ATTEMPTS, params![until, limit]).await?)
}

/// At most `limit` orders that wait for a retry whose time has come.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn due_retries(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<OrderHead>, DalError> {
    heads(&tx.fetch_all(&DUE_RETRIES, params![now, limit]).await?)
}

/// At most `limit` orders whose run-at time has come.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn due_scheduled(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<OrderHead>, DalError> {
    heads(&tx.fetch_all(&DUE_SCHEDULED, params![now, limit]).await?)
}

/// At most `limit` orders that have never started and whose start-by time has passed.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn start_by_passed(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<OrderHead>, DalError> {
    heads(&tx.fetch_all(&START_BY_PASSED, params![now, limit]).await?)
}

/// Makes orders PENDING whose retry or run-at time has come, opens their routes and answers them. Any other order is left as it is.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn promote_many(
    tx: &mut Tx,
    ids: impl IntoIterator<Item = WorkOrderId>,
    now: Timestamp,
) -> Result<Vec<Routed>, DalError> {
    let input = Rows::of(ids);
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&PROMOTE, params![input, now]).await?;
    reopened(tx, &rows).await
}

/// When each sweep but that of leases has something to do next, as far as the queue tells now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextDue {
    /// The first retry.
    pub next_retry_after: Option<Timestamp>,
    /// The first run-at time.
    pub run_at: Option<Timestamp>,
    /// The first start-by time. It has passed when the present time is later, not when it is the same.
    pub start_by: Option<Timestamp>,
}

impl NextDue {
    /// When an order becomes claimable by the passing of time alone.
    #[must_use]
    pub fn promotion(&self) -> Option<Timestamp> {
        [self.next_retry_after, self.run_at].into_iter().flatten().min()
    }
}

/// When the sweeps have something to do next.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn next_due(tx: &mut Tx) -> Result<NextDue, DalError> {
    let row = tx.fetch_one(&NEXT_DUE, params![]).await?;
    Ok(NextDue {
        next_retry_after: row.get("next_retry_after")?,
        run_at: row.get("run_at")?,
        start_by: row.get("start_by")?,
    })
}

/// When the first lease passes.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn next_lease(tx: &mut Tx) -> Result<Option<Timestamp>, DalError> {
    tx.fetch_one(&NEXT_LEASE, params![])
        .await?
        .get("lease_expires_at")
}

/// The first deadline of an attempt that has not ended.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn next_deadline(tx: &mut Tx) -> Result<Option<Timestamp>, DalError> {
    tx.fetch_one(&NEXT_DEADLINE, params![]).await?.get("deadline")
}
