//! Pending lists: what an agent could claim now, in the order of age.
//!
//! They are read from the index that claims read, which is by priority first. So a page is merged from the beginnings of a few
//! stretches of it, one for each of the agent's routes and each priority that waits there: its cost does not depend on how many
//! orders wait, and no index of its own has to be written with every order.

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::names::WorkType;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use super::work_orders::{QueuedOrder, order_columns, queued};
use super::{DalError, Sql, Tx, params, statements};

/// The stretches: from each priority of a route one step leads to the next lower one, and after the last to NULL.
macro_rules! stretches {
    ($of_type:literal) => {
        concat!(
            "WITH RECURSIVE stretches (route, priority) AS (
                 SELECT agent_routes.route,
                        (SELECT MAX(routes.priority)
                           FROM work_order_routes AS routes
                          WHERE routes.route = agent_routes.route ",
            $of_type,
            "           )
                   FROM agent_routes
                  WHERE agent_routes.agent_id = $1
                    AND EXISTS (SELECT 1 FROM agents WHERE id = $1 AND status = 'ACTIVE' AND deleted_at IS NULL)
                 UNION ALL
                 SELECT stretches.route,
                        (SELECT MAX(routes.priority)
                           FROM work_order_routes AS routes
                          WHERE routes.route = stretches.route
                            AND routes.priority < stretches.priority ",
            $of_type,
            "           )
                   FROM stretches
                  WHERE stretches.priority IS NOT NULL
             )"
        )
    };
}

/// The beginning of one stretch. An order has routes exactly while it is PENDING. It is looked at by a subquery for each route: as a
/// join, PostgreSQL may read the whole backlog in the order of its ids, and look for a route of each order.
macro_rules! beginning {
    ($of_type:literal) => {
        concat!(
            "SELECT routes.work_order_id AS id
               FROM work_order_routes AS routes
              WHERE routes.route = stretches.route
                AND routes.priority = stretches.priority
                AND routes.work_order_id > $2
                AND (SELECT CASE WHEN waiting.start_by IS NULL OR waiting.start_by >= $3
                                      OR waiting.retry_count + waiting.infrastructure_retry_count
                                         + waiting.lost_count > 0
                                 THEN TRUE ELSE FALSE END
                       FROM work_orders AS waiting
                      WHERE waiting.id = routes.work_order_id) ",
            $of_type,
            " ORDER BY routes.work_order_id
              LIMIT $4"
        )
    };
}

/// An order can be found on several routes.
macro_rules! page {
    ($stretches:expr, $found:expr) => {
        concat!(
            $stretches,
            " SELECT ",
            order_columns!(),
            "   FROM work_orders
               WHERE work_orders.id IN (SELECT DISTINCT found.id FROM ",
            $found,
            "                            ORDER BY found.id LIMIT $4)
               ORDER BY work_orders.id"
        )
    };
}

/// There is no LATERAL on SQLite; a subquery in IN may refer to the tables before it just as well.
macro_rules! list {
    ($name:literal, $of_type:literal) => {
        Sql::per_dialect(
            $name,
            page!(
                stretches!($of_type),
                concat!(
                    "stretches CROSS JOIN LATERAL (",
                    beginning!($of_type),
                    ") AS found"
                )
            ),
            page!(
                stretches!($of_type),
                concat!(
                    "(SELECT work_orders.id
                        FROM stretches
                       CROSS JOIN work_orders
                       WHERE work_orders.id IN (",
                    beginning!($of_type),
                    ")) AS found"
                )
            ),
        )
    };
}

statements! {
    static OF_ANY_TYPE = list!("pending.of_any_type", "");

    static OF_TYPE = list!("pending.of_type", "AND routes.work_type = $5");
}

/// A page of what an agent could claim at `now`, oldest first: at most `limit` orders that are newer than `after`. Empty for
/// an agent that is not ACTIVE or does not exist.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn for_agent(
    tx: &mut Tx,
    agent: AgentId,
    work_type: Option<&WorkType>,
    after: Option<WorkOrderId>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<QueuedOrder>, DalError> {
    let after = after.map_or(Uuid::nil(), WorkOrderId::as_uuid);
    let mut values = params![agent, after, now, limit];
    let statement = match work_type {
        Some(work_type) => {
            values.push(work_type.into());
            &OF_TYPE
        }
        None => &OF_ANY_TYPE,
    };
    queued(&tx.fetch_all(statement, values).await?)
}
