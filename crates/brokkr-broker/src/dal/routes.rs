//! The routes of the orders that an agent may claim now. An order has them exactly while it is PENDING.
//!
//! Whoever opens or closes the routes of an order has changed or locked the order itself before, in the same transaction:
//! who locks routes first and orders later waits for those who do it the other way round, and they for him.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::names::WorkType;
use brokkr_core::routing::Route;

use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    static OPEN = Sql::batch(
        "routes.open",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO work_order_routes (route, work_type, priority, work_order_id)
         SELECT work_order_targets.route, work_orders.work_type, work_orders.priority, work_orders.id
           FROM work_orders
           JOIN work_order_targets ON work_order_targets.work_order_id = work_orders.id
          WHERE work_orders.id IN (SELECT id FROM input)
            AND work_orders.status = 'PENDING'
         RETURNING route, work_type, work_order_id",
        &[("id", Kind::Uuid)],
    );

    static CLOSE = Sql::batch(
        "routes.close",
        "WITH input AS MATERIALIZED ({input})
         DELETE FROM work_order_routes WHERE work_order_id IN (SELECT id FROM input)",
        &[("id", Kind::Uuid)],
    );

    static OF_ORDER = Sql::shared(
        "routes.of_order",
        "SELECT route FROM work_order_routes WHERE work_order_id = $1 ORDER BY route",
    );

    /// Two conditions instead of one with OR in it, so that each reads its own index.
    static WAITING = Sql::batch(
        "routes.waiting",
        "WITH input AS MATERIALIZED ({input})
         SELECT input.route, input.work_type
           FROM input
          WHERE EXISTS (SELECT 1
                          FROM work_order_routes
                         WHERE work_order_routes.route = input.route
                           AND work_order_routes.work_type = input.work_type)
             OR (input.work_type IS NULL
                 AND EXISTS (SELECT 1 FROM work_order_routes WHERE work_order_routes.route = input.route))",
        &[("route", Kind::Text), ("work_type", Kind::Text)],
    );
}

/// A route on which an order may be claimed now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenRoute {
    /// The order.
    pub id: WorkOrderId,
    /// The route.
    pub route: Route,
    /// The type of the order.
    pub work_type: WorkType,
}

/// Opens the routes of those of the orders that are PENDING, and answers them.
///
/// # Errors
/// A unique constraint when one of them was open already.
pub async fn open_many(
    tx: &mut Tx,
    ids: impl IntoIterator<Item = WorkOrderId>,
) -> Result<Vec<OpenRoute>, DalError> {
    let rows = Rows::of(ids);
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    tx.fetch_all(&OPEN, params![rows])
        .await?
        .iter()
        .map(open_route)
        .collect()
}

fn open_route(row: &Row) -> Result<OpenRoute, DalError> {
    Ok(OpenRoute {
        id: row.get("work_order_id")?,
        route: row.get("route")?,
        work_type: row.get("work_type")?,
    })
}

/// Closes all routes of the orders.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn close_many(tx: &mut Tx, ids: impl IntoIterator<Item = WorkOrderId>) -> Result<(), DalError> {
    let rows = Rows::of(ids);
    if !rows.is_empty() {
        tx.execute(&CLOSE, params![rows]).await?;
    }
    Ok(())
}

/// The open routes of an order.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn of_order(tx: &mut Tx, id: WorkOrderId) -> Result<Vec<Route>, DalError> {
    let rows = tx.fetch_all(&OF_ORDER, params![id]).await?;
    rows.iter().map(|row| row.get("route")).collect()
}

/// A route that somebody listens on, for orders of one type or of any.
pub type Listening = (Route, Option<WorkType>);

/// Which of these have an order waiting. One query for a whole replica, however many agents wait.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn waiting(
    tx: &mut Tx,
    listening: impl IntoIterator<Item = &Listening>,
) -> Result<Vec<Listening>, DalError> {
    let rows: Rows = listening
        .into_iter()
        .map(|(route, work_type)| params![route, work_type.as_ref()])
        .collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&WAITING, params![rows]).await?;
    rows.iter()
        .map(|row| Ok((row.get("route")?, row.get("work_type")?)))
        .collect()
}
