//! Dispatch: handing the orders that wait to the agents that ask for them.
//!
//! One statement finds and locks what waits on the routes of all who ask, the choice is made in memory, and one statement
//! writes it down: so what a claim costs depends neither on the backlog nor on how many agents claim beside it.

mod choice;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::{ClaimMax, LeaseSeconds};
use brokkr_core::names::WorkType;
use brokkr_core::routing::Route;
use brokkr_core::time::Timestamp;

use self::choice::{Choice, Waiting};
use super::routes::Routed;
use super::work_orders::{QueuedOrder, order_columns, queued};
use super::{DalError, Kind, Rows, Sql, Tx, Value, params, statements};

macro_rules! find_known {
    ($lock:literal) => {
        concat!(
            "WITH input AS MATERIALIZED ({input})
             SELECT work_orders.id, work_orders.work_type, work_orders.priority, work_orders.targeting
               FROM work_orders
              WHERE work_orders.id IN (SELECT input.id FROM input)
                AND CASE work_orders.status
                    WHEN 'PENDING' THEN work_orders.start_by IS NULL OR work_orders.start_by >= $2
                                        OR work_orders.retry_count + work_orders.infrastructure_retry_count
                                           + work_orders.lost_count > 0
                    ELSE FALSE END
              ORDER BY work_orders.id ",
            $lock
        )
    };
}

/// An order that is there several times is given away once. CASE keeps the databases from looking for the orders by their status,
/// through the whole backlog, instead of by their ids.
macro_rules! assign {
    () => {
        concat!(
            "UPDATE work_orders
                SET status = 'CLAIMED',
                    attempt = 1 + CASE WHEN work_orders.attempt < (SELECT MAX(epoch) FROM restores)
                                       THEN (SELECT MAX(epoch) FROM restores)
                                       ELSE work_orders.attempt END,
                    claimed_by = given.agent_id,
                    claimed_at = $2,
                    claim_instance_id = given.instance_id,
                    lease_expires_at = $2 + CASE WHEN work_orders.claim_timeout_seconds < given.lease_seconds
                                                 THEN work_orders.claim_timeout_seconds
                                                 ELSE given.lease_seconds END * 1000000,
                    updated_at = $2
               FROM (SELECT DISTINCT order_id, agent_id, instance_id, lease_seconds FROM input) AS given
              WHERE work_orders.id = given.order_id
                AND CASE work_orders.status WHEN 'PENDING' THEN TRUE ELSE FALSE END
             RETURNING ",
            order_columns!()
        )
    };
}

statements! {
    /// PostgreSQL skips orders that another transaction holds; SQLite has one writer, so there are none to skip.
    static FIND_OF_TYPE = Sql::batch_per_dialect(
        "dispatch.find_of_type",
        include_str!("dispatch/find_of_type.postgres.sql"),
        &[include_str!("dispatch/find_of_type.sqlite.sql")],
        &[("route", Kind::Text), ("work_type", Kind::Text), ("n", Kind::BigInt)],
    );

    /// As [`FIND_OF_TYPE`], for agents that take work of every type.
    static FIND_ANY = Sql::batch_per_dialect(
        "dispatch.find_any",
        include_str!("dispatch/find_any.postgres.sql"),
        &[include_str!("dispatch/find_any.sqlite.sql")],
        &[("route", Kind::Text), ("n", Kind::BigInt)],
    );

    /// Locks those that may be claimed, in the order of ids.
    static FIND_KNOWN = Sql::batch_per_dialect(
        "dispatch.find_known",
        find_known!("FOR UPDATE OF work_orders"),
        &[find_known!("")],
        &[("id", Kind::Uuid)],
    );

    /// One row for each route of each order: the order is given away, and its routes are closed.
    static ASSIGN = Sql::batch_in_steps(
        "dispatch.assign",
        concat!(
            "WITH input AS MATERIALIZED ({input}),
             closed AS (
                 DELETE FROM work_order_routes
                  USING input
                  WHERE work_order_routes.route = input.route
                    AND work_order_routes.work_type = input.work_type
                    AND work_order_routes.priority = input.priority
                    AND work_order_routes.work_order_id = input.order_id
             ) ",
            assign!()
        ),
        &[
            concat!("WITH input AS MATERIALIZED ({input}) ", assign!()),
            "WITH input AS MATERIALIZED ({input})
             DELETE FROM work_order_routes
              WHERE (route, work_type, priority, work_order_id)
                 IN (SELECT route, work_type, priority, order_id FROM input)",
        ],
        &[
            ("order_id", Kind::Uuid),
            ("agent_id", Kind::Uuid),
            ("instance_id", Kind::Text),
            ("lease_seconds", Kind::BigInt),
            ("route", Kind::Text),
            ("work_type", Kind::Text),
            ("priority", Kind::BigInt),
        ],
    );
}

/// What an agent wants.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The agent, which is ACTIVE.
    pub agent: AgentId,
    /// The routes on which it listens.
    pub routes: &'a [Route],
    /// Its process.
    pub instance_id: &'a str,
    /// Only orders of these types; of any type when there are none.
    pub work_types: &'a [WorkType],
    /// How many at most.
    pub max: ClaimMax,
    /// How long each claim holds; an order's claim timeout may shorten it.
    pub lease_seconds: LeaseSeconds,
}

/// Claims for each wish the next orders that suit it, and answers them: those of one agent in the order in which they were
/// chosen, which is by priority, then by age; of an agent that wants several types, in turn from each type that waits at the same
/// priority. Who asks first chooses first.
///
/// # Errors
/// [`DalError::Miscounted`] when an order was not there any more although it is locked; nothing may be kept then.
pub async fn dispatch(
    tx: &mut Tx,
    wishes: &[Wish<'_>],
    now: Timestamp,
) -> Result<Vec<QueuedOrder>, DalError> {
    let found = find(tx, wishes, now).await?;
    let mut choice = Choice::among(&found);
    let mut chosen = Vec::new();
    for wish in wishes {
        chosen.extend(
            choice
                .choose(wish)
                .into_iter()
                .map(|order| Given::by(wish, order)),
        );
    }
    assign(tx, &chosen, now).await
}

/// Gives orders that are known by their ids to the agents that want them and listen on these routes, where they may be claimed,
/// each to the first. Answers those that were given.
///
/// # Errors
/// As [`dispatch`].
pub async fn give(
    tx: &mut Tx,
    wanted: &[(AgentId, WorkOrderId, &[Route])],
    now: Timestamp,
) -> Result<Vec<QueuedOrder>, DalError> {
    let ids: BTreeSet<_> = wanted.iter().map(|(_, id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&FIND_KNOWN, params![Rows::of(ids), now]).await?;
    let found = rows.iter().map(Routed::try_from).collect::<Result<Vec<_>, _>>()?;
    let mut waiting: HashMap<_, _> = found.iter().map(|order| (order.id, order)).collect();
    let mut chosen = Vec::new();
    for (agent, id, routes) in wanted {
        let suits = |order: &Routed| routes.iter().any(|route| order.routes.contains(route));
        if waiting.get(id).is_some_and(|order| suits(order))
            && let Some(order) = waiting.remove(id)
        {
            chosen.push(Given {
                order,
                agent: *agent,
                instance_id: None,
                lease_seconds: i64::MAX,
            });
        }
    }
    assign(tx, &chosen, now).await
}

/// What waits on the routes of the wishes: for each route and type the first ones, as many as all that listen there want.
async fn find(tx: &mut Tx, wishes: &[Wish<'_>], now: Timestamp) -> Result<Vec<Waiting>, DalError> {
    let mut of_type: BTreeMap<(&Route, &WorkType), u32> = BTreeMap::new();
    let mut any: BTreeMap<&Route, u32> = BTreeMap::new();
    for wish in wishes {
        for route in wish.routes {
            if wish.work_types.is_empty() {
                *any.entry(route).or_default() += wish.max.get();
            }
            for work_type in wish.work_types {
                *of_type.entry((route, work_type)).or_default() += wish.max.get();
            }
        }
    }
    let most = wishes.iter().map(|wish| wish.max.get()).sum::<u32>();
    let mut rows = Vec::new();
    if !of_type.is_empty() {
        let input: Rows = of_type
            .into_iter()
            .map(|((route, work_type), n)| params![route, work_type, n])
            .collect();
        rows = tx.fetch_all(&FIND_OF_TYPE, params![input, now, most]).await?;
    }
    if !any.is_empty() {
        let input: Rows = any.into_iter().map(|(route, n)| params![route, n]).collect();
        rows.extend(tx.fetch_all(&FIND_ANY, params![input, now, most]).await?);
    }
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                on: row.get("found_on")?,
                order: Routed::try_from(row)?,
            })
        })
        .collect()
}

/// An order that is given to an agent.
struct Given<'a> {
    order: &'a Routed,
    agent: AgentId,
    instance_id: Option<&'a str>,
    /// At most as long as the order's claim timeout.
    lease_seconds: i64,
}

impl<'a> Given<'a> {
    fn by(wish: &Wish<'a>, order: &'a Routed) -> Self {
        Self {
            order,
            agent: wish.agent,
            instance_id: Some(wish.instance_id),
            lease_seconds: i64::from(wish.lease_seconds.get()),
        }
    }

    fn rows(&self) -> impl Iterator<Item = Vec<Value>> {
        self.order.keys().map(|key| {
            let mut row = params![self.order.id, self.agent, self.instance_id, self.lease_seconds];
            row.extend(key);
            row
        })
    }
}

async fn assign(tx: &mut Tx, chosen: &[Given<'_>], now: Timestamp) -> Result<Vec<QueuedOrder>, DalError> {
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let input: Rows = chosen.iter().flat_map(Given::rows).collect();
    let mut orders = queued(&tx.fetch_all(&ASSIGN, params![input, now]).await?)?;
    if orders.len() != chosen.len() {
        return Err(DalError::Miscounted {
            statement: ASSIGN.name(),
            expected: chosen.len() as u64,
            changed: orders.len() as u64,
        });
    }
    let rank: HashMap<_, _> = chosen
        .iter()
        .enumerate()
        .map(|(rank, given)| (given.order.id, rank))
        .collect();
    orders.sort_by_key(|order| rank.get(&order.id()).copied());
    Ok(orders)
}
