//! Listing the queue.

use brokkr_core::ids::WorkOrderId;
use uuid::Uuid;

use super::{QueueStatus, QueuedOrder, order_columns, queued};
use crate::dal::terms::{Terms, terms};
use crate::dal::{DalError, Sql, Tx, Value, params, statements};

/// Newest first. For whatever more is sought there are statements of their own: conditions that may or may not hold have PostgreSQL expect
/// that hardly any order is found, and then it reads and sorts them all.
macro_rules! list {
    ($conditions:expr) => {
        concat!(
            "SELECT ",
            order_columns!(),
            "  FROM work_orders
              WHERE work_orders.id < $1 ",
            $conditions,
            " ORDER BY work_orders.id DESC
              LIMIT $2"
        )
    };
}

/// Only what looks at a bounded number of orders may seek more than an index finds. What an index begins with is told twice, so that both
/// databases read it.
macro_rules! sought {
    ($dialect:ident, $leading:literal) => {
        list!(concat!(
            $leading,
            " AND (CAST($3 AS TEXT) IS NULL OR work_orders.status = $3) ",
            terms!($dialect, "work_orders")
        ))
    };
}

macro_rules! horizon {
    ($leading:literal) => {
        concat!(
            "SELECT work_orders.id
               FROM work_orders
              WHERE work_orders.id < $1 ",
            $leading,
            " ORDER BY work_orders.id DESC
              LIMIT 1 OFFSET $2"
        )
    };
}

statements! {
    static LIST = Sql::shared("work_orders.list", list!(""));

    static LIST_OF_STATUS = Sql::shared(
        "work_orders.list_of_status",
        list!("AND work_orders.status = $3"),
    );

    static LIST_OF_AGENT = Sql::per_dialect(
        "work_orders.list_of_agent",
        sought!(postgres, "AND work_orders.claimed_by = $5"),
        sought!(sqlite, "AND work_orders.claimed_by = $5"),
    );

    static SIFT = Sql::per_dialect(
        "work_orders.sift",
        sought!(postgres, "AND work_orders.id >= $9"),
        sought!(sqlite, "AND work_orders.id >= $9"),
    );

    static SIFT_OF_STATUS = Sql::per_dialect(
        "work_orders.sift_of_status",
        sought!(postgres, "AND work_orders.id >= $9 AND work_orders.status = $3"),
        sought!(sqlite, "AND work_orders.id >= $9 AND work_orders.status = $3"),
    );

    static HORIZON = Sql::shared("work_orders.horizon", horizon!(""));

    static HORIZON_OF_STATUS = Sql::shared(
        "work_orders.horizon_of_status",
        horizon!("AND work_orders.status = $3"),
    );
}

/// Which orders of the queue to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only those in this state.
    pub status: Option<QueueStatus>,
    /// What else must hold.
    pub terms: Terms,
    /// Only this one and those that are newer.
    pub until: Option<WorkOrderId>,
}

impl ListFilter {
    /// Whether orders are looked at that are not wanted.
    #[must_use]
    pub const fn sifts(&self) -> bool {
        let sought = self.terms.work_type.is_some() || self.terms.sift();
        // No agent holds many.
        sought && self.terms.agent.is_none()
    }
}

/// A page of the queue, newest first: at most `limit` orders that are older than `before`.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn list(
    tx: &mut Tx,
    filter: &ListFilter,
    before: Option<WorkOrderId>,
    limit: u32,
) -> Result<Vec<QueuedOrder>, DalError> {
    let mut values = params![begin(before), limit];
    let statement = match (filter.sifts(), filter.terms.agent, filter.status) {
        (false, None, None) => &LIST,
        (false, None, Some(status)) => {
            values.push(status.as_str().into());
            &LIST_OF_STATUS
        }
        (false, Some(_), _) => {
            values.extend(sought(filter));
            &LIST_OF_AGENT
        }
        (true, _, status) => {
            values.extend(sought(filter));
            // There are fewer orders than may be looked at.
            values.push(filter.until.map_or(Uuid::nil(), WorkOrderId::as_uuid).into());
            if status.is_some() { &SIFT_OF_STATUS } else { &SIFT }
        }
    };
    queued(&tx.fetch_all(statement, values).await?)
}

/// The last one of the first `orders` that come after `before`, whatever is sought among them; nothing when there are fewer. At least one.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn horizon(
    tx: &mut Tx,
    filter: &ListFilter,
    before: Option<WorkOrderId>,
    orders: u32,
) -> Result<Option<WorkOrderId>, DalError> {
    let skipped = orders.saturating_sub(1);
    let row = match filter.status {
        Some(status) => {
            let values = params![begin(before), skipped, status.as_str()];
            tx.fetch_optional(&HORIZON_OF_STATUS, values).await?
        }
        None => {
            tx.fetch_optional(&HORIZON, params![begin(before), skipped])
                .await?
        }
    };
    row.map(|row| row.get("id")).transpose()
}

fn sought(filter: &ListFilter) -> Vec<Value> {
    let mut values = params![filter.status.map(QueueStatus::as_str)];
    values.extend(filter.terms.values());
    values
}

fn begin(before: Option<WorkOrderId>) -> Uuid {
    before.map_or(Uuid::max(), WorkOrderId::as_uuid)
}
