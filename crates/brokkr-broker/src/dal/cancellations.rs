//! Orders of the queue that somebody may still wish to cancel.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::time::Timestamp;

use super::terms::{Terms, terms};
use super::work_orders::QueueStatus;
use super::{DalError, Kind, Rows, Sql, Tx, Value, params, statements};

macro_rules! cancellable {
    ($dialect:ident, $what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            "  FROM work_orders
              WHERE work_orders.created_at >= $1
                AND work_orders.created_at < $2
                AND (CAST($3 AS TEXT) IS NULL OR work_orders.status = $3) ",
            terms!($dialect, "work_orders"),
            "   AND work_orders.cancel_requested_at IS NULL ",
            $rest
        )
    };
}

statements! {
    static COUNT = Sql::per_dialect(
        "cancellations.count",
        cancellable!(postgres, "COUNT(*) AS orders", ""),
        cancellable!(sqlite, "COUNT(*) AS orders", ""),
    );

    static FIND = Sql::per_dialect(
        "cancellations.find",
        cancellable!(postgres, "work_orders.id", "ORDER BY work_orders.id LIMIT $9"),
        cancellable!(sqlite, "work_orders.id", "ORDER BY work_orders.id LIMIT $9"),
    );

    /// A wish to cancel stays as it was first made.
    static REQUEST = Sql::batch(
        "cancellations.request",
        "WITH input AS MATERIALIZED ({input})
         UPDATE work_orders
            SET cancel_requested_at = $2, cancel_reason = $3, updated_at = $2
          WHERE work_orders.id IN (SELECT input.id FROM input)
            AND work_orders.status = 'CLAIMED'
            AND work_orders.cancel_requested_at IS NULL",
        &[("id", Kind::Uuid)],
    );
}

/// Which orders of the queue are to be cancelled. One that its agent was asked to stop already is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelFilter {
    /// Only those in this state.
    pub status: Option<QueueStatus>,
    /// What else must hold.
    pub terms: Terms,
    /// Only those that were accepted at this time or later.
    pub created_from: Timestamp,
    /// Only those that were accepted before this time.
    pub created_before: Timestamp,
}

impl CancelFilter {
    fn values(&self) -> Vec<Value> {
        let status = self.status.map(QueueStatus::as_str);
        let mut values = params![self.created_from, self.created_before, status];
        values.extend(self.terms.values());
        values
    }
}

/// How many orders there are to cancel.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn count(tx: &mut Tx, filter: &CancelFilter) -> Result<u64, DalError> {
    tx.fetch_one(&COUNT, filter.values()).await?.get("orders")
}

/// At most `limit` of the orders that there are to cancel, the oldest first.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn find(tx: &mut Tx, filter: &CancelFilter, limit: u32) -> Result<Vec<WorkOrderId>, DalError> {
    let mut values = filter.values();
    values.push(limit.into());
    let rows = tx.fetch_all(&FIND, values).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Records that somebody wants these claimed orders stopped. Answers of how many it did.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn request(
    tx: &mut Tx,
    ids: &[WorkOrderId],
    now: Timestamp,
    reason: Option<&str>,
) -> Result<u64, DalError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let values = params![Rows::of(ids.iter().copied()), now, reason];
    tx.execute(&REQUEST, values).await
}
