//! Claims: how agents take orders.
//!
//! Whether an order is for an agent is decided inside the statement that takes it, by the labels and annotations that the
//! agent has at that time.

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::{ClaimMax, LeaseSeconds};
use brokkr_core::names::WorkType;
use brokkr_core::time::Timestamp;

use super::work_orders::{OrderHead, QueuedOrder, head_columns, heads, order_columns, queued};
use super::{DalError, Kind, Rows, Sql, Tx, params, routes, statements};

macro_rules! held_for_update {
    ($lock:literal) => {
        concat!(
            "SELECT ",
            head_columns!(),
            " FROM work_orders WHERE work_orders.claimed_by = $1 ORDER BY work_orders.id LIMIT $2 ",
            $lock
        )
    };
}

statements! {
    static CLAIM_BY_ID = Sql::shared(
        "claims.claim_by_id",
        concat!(
            "UPDATE work_orders
                SET status = 'CLAIMED',
                    attempt = attempt + 1,
                    claimed_by = $2,
                    claimed_at = $3,
                    lease_expires_at = $3 + claim_timeout_seconds * 1000000,
                    updated_at = $3
              WHERE id = $1
                AND status = 'PENDING'
                AND (start_by IS NULL OR start_by >= $3 OR retry_count + lost_count > 0)
                AND EXISTS (SELECT 1 FROM agents WHERE id = $2 AND status = 'ACTIVE' AND deleted_at IS NULL)
                AND EXISTS (SELECT 1
                              FROM work_order_routes
                              JOIN agent_routes ON agent_routes.route = work_order_routes.route
                             WHERE work_order_routes.work_order_id = $1
                               AND agent_routes.agent_id = $2)
             RETURNING ",
            order_columns!()
        ),
    );

    /// PostgreSQL skips orders that another claim holds; SQLite has one writer, so there are none to skip.
    static CLAIM_NEXT = Sql::batch_per_dialect(
        "claims.claim_next",
        concat!(include_str!("claims/claim_next.postgres.sql"), order_columns!()),
        concat!(include_str!("claims/claim_next.sqlite.sql"), order_columns!()),
        &[("work_type", Kind::Text)],
    );

    static HELD = Sql::shared(
        "claims.held",
        concat!(
            "SELECT ",
            order_columns!(),
            "  FROM work_orders
              WHERE work_orders.claimed_by = $1
                AND work_orders.id > $2
              ORDER BY work_orders.id
              LIMIT $3"
        ),
    );

    /// Locks what it finds, in the order of ids.
    static HELD_FOR_UPDATE = Sql::per_dialect(
        "claims.held_for_update",
        held_for_update!("FOR UPDATE"),
        held_for_update!(""),
    );
}

/// Claims one order for as long as its claim timeout. Answers `None`, and changes nothing, unless the order is PENDING, may
/// still start and is for the agent, and the agent is ACTIVE.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn claim_by_id(
    tx: &mut Tx,
    id: WorkOrderId,
    agent: AgentId,
    now: Timestamp,
) -> Result<Option<QueuedOrder>, DalError> {
    let Some(row) = tx.fetch_optional(&CLAIM_BY_ID, params![id, agent, now]).await? else {
        return Ok(None);
    };
    routes::close_many(tx, [id]).await?;
    QueuedOrder::try_from(&row).map(Some)
}

/// What an agent asks for when it claims.
#[derive(Debug, Clone, Copy)]
pub struct ClaimNext<'a> {
    /// The agent.
    pub agent: AgentId,
    /// Its process.
    pub instance_id: &'a str,
    /// Only orders of these types; of any type when there are none.
    pub work_types: &'a [WorkType],
    /// How many at most.
    pub max: ClaimMax,
    /// How long each claim holds; an order's claim timeout may shorten it.
    pub lease_seconds: LeaseSeconds,
    /// When.
    pub now: Timestamp,
}

/// Claims the next orders that are for an agent: higher priorities first, then older ones, which is also the order of the
/// answer. There are none for an agent that is not ACTIVE.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn claim_next(tx: &mut Tx, claim: ClaimNext<'_>) -> Result<Vec<QueuedOrder>, DalError> {
    let values = params![
        wanted(claim.work_types),
        claim.agent,
        claim.max.get(),
        claim.now,
        claim.lease_seconds.get(),
        claim.instance_id,
    ];
    let mut orders = queued(&tx.fetch_all(&CLAIM_NEXT, values).await?)?;
    orders.sort_by_key(|order| (std::cmp::Reverse(order.head.priority), order.head.id));
    routes::close_many(tx, orders.iter().map(|order| order.head.id)).await?;
    Ok(orders)
}

/// One row per type, each type once; a row without a type stands for all of them.
fn wanted(work_types: &[WorkType]) -> Rows {
    if work_types.is_empty() {
        return [params![None::<&str>]].into_iter().collect();
    }
    let each_once: std::collections::BTreeSet<_> = work_types.iter().collect();
    each_once
        .into_iter()
        .map(|work_type| params![work_type])
        .collect()
}

/// A page of what an agent holds, oldest first: at most `limit` orders that are newer than `after`.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn held(
    tx: &mut Tx,
    agent: AgentId,
    after: Option<WorkOrderId>,
    limit: u32,
) -> Result<Vec<QueuedOrder>, DalError> {
    let after = after.map_or(uuid::Uuid::nil(), WorkOrderId::as_uuid);
    queued(&tx.fetch_all(&HELD, params![agent, after, limit]).await?)
}

/// At most `limit` orders that an agent holds, locked until the transaction ends. For an agent that is removed.
///
/// # Errors
/// [`DalError::Unavailable`] when the locks cannot be had in time.
pub async fn held_for_update(tx: &mut Tx, agent: AgentId, limit: u32) -> Result<Vec<OrderHead>, DalError> {
    heads(&tx.fetch_all(&HELD_FOR_UPDATE, params![agent, limit]).await?)
}
