//! The routes of the orders that an agent may claim now. An order has them exactly while it is PENDING.
//!
//! Whoever opens or closes the routes of an order has changed or locked the order itself before, in the same transaction:
//! who locks routes first and orders later waits for those who do it the other way round, and they for him.

use std::collections::BTreeSet;

use brokkr_core::ids::WorkOrderId;
use brokkr_core::limits::Priority;
use brokkr_core::names::WorkType;
use brokkr_core::routing::{Route, Targeting};

use super::{DalError, Kind, Rows, Sql, Tx, Value, params, statements};

/// What finds one route of one order.
const KEY: &[(&str, Kind)] = &[
    ("route", Kind::Text),
    ("work_type", Kind::Text),
    ("priority", Kind::BigInt),
    ("work_order_id", Kind::Uuid),
];

statements! {
    static OPEN = Sql::batch(
        "routes.open",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO work_order_routes (route, work_type, priority, work_order_id)
         SELECT route, work_type, priority, work_order_id FROM input",
        KEY,
    );

    static CLOSE = Sql::batch(
        "routes.close",
        "WITH input AS MATERIALIZED ({input})
         DELETE FROM work_order_routes
          WHERE (route, work_type, priority, work_order_id)
             IN (SELECT route, work_type, priority, work_order_id FROM input)",
        KEY,
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

/// An order as its routes know it. None of this changes while they are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The order.
    pub id: WorkOrderId,
    /// The type of the order.
    pub work_type: WorkType,
    /// Its priority.
    pub priority: Priority,
    /// On which it may be claimed.
    pub routes: BTreeSet<Route>,
}

impl Routed {
    /// An order that is for these.
    #[must_use]
    pub fn new(id: WorkOrderId, work_type: &WorkType, priority: Priority, targeting: &Targeting) -> Self {
        Self {
            id,
            work_type: work_type.clone(),
            priority,
            routes: targeting.routes(),
        }
    }

    /// One row for each of its routes: all that finds it but the order's id.
    pub(in crate::dal) fn keys(&self) -> impl Iterator<Item = Vec<Value>> {
        let key = |route| params![route, &self.work_type, i64::from(self.priority.get())];
        self.routes.iter().map(key)
    }
}

fn rows_of(order: &Routed) -> impl Iterator<Item = Vec<Value>> {
    order.keys().map(|mut key| {
        key.push(order.id.into());
        key
    })
}

/// Opens the routes of orders that have become PENDING.
///
/// # Errors
/// A unique constraint when one of them was open already.
pub async fn open_many<'o>(
    tx: &mut Tx,
    orders: impl IntoIterator<Item = &'o Routed>,
) -> Result<(), DalError> {
    let rows: Rows = orders.into_iter().flat_map(rows_of).collect();
    if !rows.is_empty() {
        tx.execute(&OPEN, params![rows]).await?;
    }
    Ok(())
}

/// Closes the routes of orders that are PENDING no more.
///
/// # Errors
/// [`DalError::Miscounted`] when one of them was not open.
pub async fn close_many<'o>(
    tx: &mut Tx,
    orders: impl IntoIterator<Item = &'o Routed>,
) -> Result<(), DalError> {
    let rows: Rows = orders.into_iter().flat_map(rows_of).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let open = rows.len() as u64;
    let changed = tx.execute(&CLOSE, params![rows]).await?;
    if changed == open {
        return Ok(());
    }
    Err(DalError::Miscounted {
        statement: CLOSE.name(),
        expected: open,
        changed,
    })
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
