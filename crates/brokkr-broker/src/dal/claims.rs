//! Claims: how agents take orders.
//!
//! Whether an order is for an agent is decided in the transaction that takes it, by the labels and annotations that the agent had
//! when that began.

use std::collections::BTreeSet;

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::{ClaimMax, LeaseSeconds};
use brokkr_core::names::WorkType;
use brokkr_core::time::Timestamp;

use super::dispatch::{self, Wish};
use super::work_orders::{OrderHead, QueuedOrder, head_columns, heads, order_columns, queued};
use super::{DalError, Sql, Tx, agents, params, statements};

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
    Ok(claim_by_id_many(tx, &[(agent, id)], now).await?.pop())
}

/// Claims orders by their ids, as [`claim_by_id`] does; of several agents that want one, the first gets it. Answers those that
/// were claimed.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn claim_by_id_many(
    tx: &mut Tx,
    wanted: &[(AgentId, WorkOrderId)],
    now: Timestamp,
) -> Result<Vec<QueuedOrder>, DalError> {
    let agents: BTreeSet<_> = wanted.iter().map(|(agent, _)| *agent).collect();
    let claimants = agents::claimants(tx, agents).await?;
    let listening = |(agent, id): &(AgentId, WorkOrderId)| {
        let routes = &claimants.get(agent)?.routes;
        Some((*agent, *id, routes.as_slice()))
    };
    let wanted: Vec<_> = wanted.iter().filter_map(listening).collect();
    dispatch::give(tx, &wanted, now).await
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
    let claimants = agents::claimants(tx, [claim.agent]).await?;
    let Some(claimant) = claimants.get(&claim.agent) else {
        return Ok(Vec::new());
    };
    let wish = Wish {
        agent: claim.agent,
        routes: &claimant.routes,
        instance_id: claim.instance_id,
        work_types: claim.work_types,
        max: claim.max,
        lease_seconds: claim.lease_seconds,
    };
    dispatch::dispatch(tx, &[wish], claim.now).await
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
