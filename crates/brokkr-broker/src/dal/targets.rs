//! Whom the orders of the queue are for, as routes. They are there for as long as their order is in the queue.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::routing::Route;

use super::{DalError, Kind, Rows, Sql, Tx, params, statements};

statements! {
    static INSERT = Sql::batch(
        "targets.insert",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO work_order_targets (work_order_id, route)
         SELECT work_order_id, route FROM input",
        &[("work_order_id", Kind::Uuid), ("route", Kind::Text)],
    );

    static OF_ORDER = Sql::shared(
        "targets.of_order",
        "SELECT route FROM work_order_targets WHERE work_order_id = $1 ORDER BY route",
    );

    static DELETE = Sql::shared("targets.delete", "DELETE FROM work_order_targets WHERE work_order_id = $1");
}

/// Adds targets to orders.
///
/// # Errors
/// A unique constraint when an order has the target already, a foreign key when there is no such order.
pub async fn insert_many(
    tx: &mut Tx,
    targets: impl IntoIterator<Item = (WorkOrderId, Route)>,
) -> Result<(), DalError> {
    let rows: Rows = targets
        .into_iter()
        .map(|(id, route)| params![id, &route])
        .collect();
    if !rows.is_empty() {
        tx.execute(&INSERT, params![rows]).await?;
    }
    Ok(())
}

/// The routes of an order, whatever its state.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn of_order(tx: &mut Tx, id: WorkOrderId) -> Result<Vec<Route>, DalError> {
    let rows = tx.fetch_all(&OF_ORDER, params![id]).await?;
    rows.iter().map(|row| row.get("route")).collect()
}

/// Removes all targets of an order.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn delete(tx: &mut Tx, id: WorkOrderId) -> Result<(), DalError> {
    tx.execute(&DELETE, params![id]).await.map(drop)
}
