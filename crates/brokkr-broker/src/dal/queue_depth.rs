//! How much waits in the queue, and for how long: for metrics.

use brokkr_core::time::Timestamp;

use super::{DalError, Sql, Tx, params, statements};

statements! {
    /// Counts within an index, and looks at one row per status: ids sort by age.
    static BY_STATUS = Sql::shared(
        "queue_depth.by_status",
        "SELECT counted.status,
                counted.orders,
                (SELECT oldest.created_at
                   FROM work_orders AS oldest
                  WHERE oldest.status = counted.status
                  ORDER BY oldest.id
                  LIMIT 1) AS oldest
           FROM (SELECT status, COUNT(*) AS orders FROM work_orders GROUP BY status) AS counted",
    );
}

/// How many orders of the queue are in one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The status.
    pub status: String,
    /// How many orders are in it.
    pub orders: u64,
    /// When the oldest of them was created.
    pub oldest: Timestamp,
}

/// The depth of each status in which there are any orders.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn by_status(tx: &mut Tx) -> Result<Vec<Depth>, DalError> {
    let rows = tx.fetch_all(&BY_STATUS, params![]).await?;
    rows.iter()
        .map(|row| {
            Ok(Depth {
                status: row.get("status")?,
                orders: row.get("orders")?,
                oldest: row.get("oldest")?,
            })
        })
        .collect()
}
