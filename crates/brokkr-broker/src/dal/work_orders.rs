//! The queue: orders that have not ended.

mod json;
pub(in crate::dal) mod list;
mod new;
mod row;

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::names::WorkType;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;

pub(in crate::dal) use self::json::{read_metadata, read_retry_on, read_targeting, write_targeting};
pub use self::list::{ListFilter, horizon, list};
pub use self::new::NewOrder;
pub use self::row::{CancelRequest, Claim, LastError, OrderHead, QueueStatus, QueuedOrder};
pub(in crate::dal) use self::row::{cancel_request, head_columns, last_error, order_columns};
use super::routes::Routed;
use super::{DalError, Kind, Row, Rows, Sql, Tx, attempts, output, params, routes, statements};

/// Locks in the order of ids, as every statement does that locks several orders and waits for them: so two never wait for
/// each other. SQLite has one writer, so there is nothing to lock.
macro_rules! get_for_update {
    ($lock:literal) => {
        concat!(
            "WITH input AS MATERIALIZED ({input})
             SELECT ",
            head_columns!(),
            "  FROM work_orders
              WHERE work_orders.id IN (SELECT id FROM input)
              ORDER BY work_orders.id ",
            $lock
        )
    };
}

statements! {
    static INSERT = Sql::batch(
        "work_orders.insert",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO work_orders (id, created_at, updated_at, work_type, yaml_content, status, priority, delivery,
                claim_timeout_seconds, max_retries, retry_count, lost_count, backoff_seconds, attempt,
                deadline_seconds, start_by, run_at, retry_on, metadata, targeting, retry_of, submitted_by, traceparent,
                infrastructure_retries_max, backoff_jitter)
         SELECT id, created_at, created_at, work_type, yaml_content, status, priority, delivery,
                claim_timeout_seconds, max_retries, 0, 0, backoff_seconds, 0,
                deadline_seconds, start_by, run_at, retry_on, metadata, targeting, retry_of, submitted_by, traceparent,
                infrastructure_retries_max, backoff_jitter
           FROM input",
        &[
            ("id", Kind::Uuid),
            ("created_at", Kind::BigInt),
            ("work_type", Kind::Text),
            ("yaml_content", Kind::Text),
            ("status", Kind::Text),
            ("priority", Kind::BigInt),
            ("delivery", Kind::Text),
            ("claim_timeout_seconds", Kind::BigInt),
            ("max_retries", Kind::BigInt),
            ("backoff_seconds", Kind::BigInt),
            ("deadline_seconds", Kind::BigInt),
            ("start_by", Kind::BigInt),
            ("run_at", Kind::BigInt),
            ("retry_on", Kind::Text),
            ("metadata", Kind::Text),
            ("targeting", Kind::Text),
            ("retry_of", Kind::Uuid),
            ("submitted_by", Kind::Text),
            ("traceparent", Kind::Text),
            ("infrastructure_retries_max", Kind::BigInt),
            ("backoff_jitter", Kind::Bool),
        ],
    );

    static GET_MANY = Sql::batch(
        "work_orders.get_many",
        concat!(
            "WITH input AS MATERIALIZED ({input}) SELECT ",
            order_columns!(),
            " FROM work_orders WHERE work_orders.id IN (SELECT id FROM input) ORDER BY work_orders.id"
        ),
        &[("id", Kind::Uuid)],
    );

    static HEADS = Sql::batch("work_orders.heads", get_for_update!(""), &[("id", Kind::Uuid)]);

    static GET_FOR_UPDATE = Sql::batch_per_dialect(
        "work_orders.get_for_update",
        get_for_update!("FOR UPDATE"),
        &[get_for_update!("")],
        &[("id", Kind::Uuid)],
    );

    /// A wish to cancel stays as it was first made.
    static REQUEST_CANCEL = Sql::shared(
        "work_orders.request_cancel",
        "UPDATE work_orders
            SET cancel_requested_at = $2, cancel_reason = $3, updated_at = $2
          WHERE id = $1
            AND status = 'CLAIMED'
            AND cancel_requested_at IS NULL",
    );

    static SET_TARGETING = Sql::shared(
        "work_orders.set_targeting",
        "UPDATE work_orders
            SET targeting = $2, updated_at = $3
          WHERE id = $1
            AND status <> 'CLAIMED'",
    );

    static DELETE = Sql::shared(
        "work_orders.delete",
        "DELETE FROM work_orders
          WHERE id = $1
         RETURNING id, status, attempt, claimed_by, work_type, priority, targeting",
    );

    /// Locks the order, as claims do before they close its routes.
    static ROUTED = Sql::per_dialect(
        "work_orders.routed",
        "SELECT id, status, attempt, work_type, priority, targeting FROM work_orders WHERE id = $1 FOR UPDATE",
        "SELECT id, status, attempt, work_type, priority, targeting FROM work_orders WHERE id = $1",
    );

    /// Ids tell the age, so that this reads nothing but an index and one row per state.
    static DEPTHS = Sql::shared(
        "work_orders.depths",
        "SELECT counted.status,
                counted.orders,
                (SELECT created_at
                   FROM work_orders
                  WHERE work_orders.status = counted.status
                  ORDER BY id
                  LIMIT 1) AS oldest_created_at
           FROM (SELECT status, COUNT(*) AS orders FROM work_orders GROUP BY status) AS counted",
    );
}

/// Accepts orders and, where they may run at once, opens their routes.
///
/// # Errors
/// A unique constraint when an id exists already.
pub async fn insert_many(tx: &mut Tx, orders: &[NewOrder]) -> Result<(), DalError> {
    if orders.is_empty() {
        return Ok(());
    }
    tx.execute(
        &INSERT,
        params![orders.iter().map(NewOrder::values).collect::<Rows>()],
    )
    .await?;
    let routed: Vec<_> = orders.iter().filter_map(NewOrder::routed).collect();
    routes::open_many(tx, &routed).await
}

/// The order, while it is in the queue.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn get(tx: &mut Tx, id: WorkOrderId) -> Result<Option<QueuedOrder>, DalError> {
    Ok(get_many(tx, &[id]).await?.pop())
}

/// Those of the orders that are in the queue, in the order of their ids.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn get_many(tx: &mut Tx, ids: &[WorkOrderId]) -> Result<Vec<QueuedOrder>, DalError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    queued(
        &tx.fetch_all(&GET_MANY, params![Rows::of(ids.iter().copied())])
            .await?,
    )
}

/// Those of the orders that are in the queue, in the order of their ids, without what they say to run, which may be large.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn heads_of(tx: &mut Tx, ids: &[WorkOrderId]) -> Result<Vec<OrderHead>, DalError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    heads(
        &tx.fetch_all(&HEADS, params![Rows::of(ids.iter().copied())])
            .await?,
    )
}

/// Those of the orders that are in the queue, in the order of their ids, locked until the transaction ends: whatever the
/// caller decides by their state stays right.
///
/// # Errors
/// [`DalError::Unavailable`] when the locks cannot be had in time.
pub async fn get_for_update(tx: &mut Tx, ids: &[WorkOrderId]) -> Result<Vec<OrderHead>, DalError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    heads(
        &tx.fetch_all(&GET_FOR_UPDATE, params![Rows::of(ids.iter().copied())])
            .await?,
    )
}

/// Records that somebody wants a claimed order stopped. Answers whether it did: an order that is not claimed, or was asked
/// to stop before, is left as it is.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn request_cancel(
    tx: &mut Tx,
    id: WorkOrderId,
    now: Timestamp,
    reason: Option<&str>,
) -> Result<bool, DalError> {
    Ok(tx.execute(&REQUEST_CANCEL, params![id, now, reason]).await? == 1)
}

/// A waiting order that is for somebody else now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retargeted {
    /// Its state, which is as before.
    pub status: QueueStatus,
    /// Its latest attempt.
    pub attempt: Attempt,
    /// The routes on which it waits, when it may run now.
    pub opened: Vec<Routed>,
}

/// Sends a waiting order elsewhere: replaces its targeting and, when it may run now, its routes, which are answered. Answers
/// `None`, and changes nothing, when it is claimed or not in the queue.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn set_targeting(
    tx: &mut Tx,
    id: WorkOrderId,
    targeting: &Targeting,
    now: Timestamp,
) -> Result<Option<Retargeted>, DalError> {
    let Some(row) = tx.fetch_optional(&ROUTED, params![id]).await? else {
        return Ok(None);
    };
    let values = params![id, write_targeting(targeting), now];
    if tx.execute(&SET_TARGETING, values).await? == 0 {
        return Ok(None);
    }
    let status = row.get_with("status", |text: String| text.parse::<QueueStatus>())?;
    let attempt = row.get("attempt")?;
    let Some(before) = open_routes(&row)? else {
        return Ok(Some(Retargeted {
            status,
            attempt,
            opened: Vec::new(),
        }));
    };
    routes::close_many(tx, [&before]).await?;
    let after = Routed {
        routes: targeting.routes(),
        ..before
    };
    routes::open_many(tx, [&after]).await?;
    Ok(Some(Retargeted {
        status,
        attempt,
        opened: vec![after],
    }))
}

/// An order as it was when it was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its state.
    pub status: QueueStatus,
    /// Its latest attempt.
    pub attempt: Attempt,
    /// Who held it.
    pub claimed_by: Option<AgentId>,
    /// Which executor would have run it.
    pub work_type: WorkType,
    /// Whom it was for.
    pub targeting: Targeting,
}

impl TryFrom<&Row> for Removed {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            status: row.get_with("status", |text: String| text.parse::<QueueStatus>())?,
            attempt: row.get("attempt")?,
            claimed_by: row.get("claimed_by")?,
            work_type: row.get("work_type")?,
            targeting: row.get_with("targeting", |text: String| read_targeting(&text))?,
        })
    }
}

/// Removes an order of the queue with everything that is known of it, and answers it, if there was one.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn delete(tx: &mut Tx, id: WorkOrderId) -> Result<Option<Removed>, DalError> {
    let Some(row) = tx.fetch_optional(&DELETE, params![id]).await? else {
        return Ok(None);
    };
    if let Some(routed) = open_routes(&row)? {
        routes::close_many(tx, [&routed]).await?;
    }
    attempts::delete_many(tx, &[id]).await?;
    output::delete_many(tx, &[id]).await?;
    Removed::try_from(&row).map(Some)
}

/// The routes of an order, if it has any: exactly while it is PENDING.
fn open_routes(row: &Row) -> Result<Option<Routed>, DalError> {
    let status = row.get_with("status", |text: String| text.parse::<QueueStatus>())?;
    (status == QueueStatus::Pending)
        .then(|| Routed::try_from(row))
        .transpose()
}

/// How many orders are in one state, and since when the oldest of them exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// The state.
    pub status: QueueStatus,
    /// How many orders.
    pub orders: u64,
    /// When the oldest was accepted.
    pub oldest_created_at: Timestamp,
}

/// How deep the queue is, by state; a state without orders is left out.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn depths(tx: &mut Tx) -> Result<Vec<Depth>, DalError> {
    let rows = tx.fetch_all(&DEPTHS, params![]).await?;
    rows.iter()
        .map(|row| {
            Ok(Depth {
                status: row.get_with("status", |text: String| text.parse::<QueueStatus>())?,
                orders: row.get("orders")?,
                oldest_created_at: row.get("oldest_created_at")?,
            })
        })
        .collect()
}

pub(in crate::dal) fn heads(rows: &[Row]) -> Result<Vec<OrderHead>, DalError> {
    rows.iter().map(OrderHead::try_from).collect()
}

pub(in crate::dal) fn queued(rows: &[Row]) -> Result<Vec<QueuedOrder>, DalError> {
    rows.iter().map(QueuedOrder::try_from).collect()
}
