//! Work orders: accepting, showing, sending elsewhere, stopping, removing and repeating them.

mod cancel;
mod create;
mod delete;
mod read;
mod retry;
mod targeting;

use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::State;

pub use self::cancel::{CancelError, Cancelled};
pub use self::create::{CreateError, Submission};
pub use self::delete::DeleteError;
pub use self::read::{ReadError, WorkOrder};
pub use self::retry::RetryError;
pub use self::targeting::TargetingChangeError;
use super::waiters::Work;
use crate::dal::routes::OpenRoute;
pub use crate::dal::work_orders::{CancelRequest, Claim, ListFilter, QueueStatus, QueuedOrder};

/// The routes that were opened, gathered by order: what there is to be claimed now.
pub(super) fn work_on(routes: Vec<OpenRoute>) -> Vec<Work> {
    let mut by_order: std::collections::BTreeMap<WorkOrderId, Work> = std::collections::BTreeMap::new();
    for OpenRoute { id, route, work_type } in routes {
        by_order
            .entry(id)
            .or_insert_with(|| Work {
                routes: Vec::new(),
                work_type: Some(work_type),
            })
            .routes
            .push(route);
    }
    by_order.into_values().collect()
}

/// What there is to be claimed in a new order: nothing while it waits for its time.
fn work_in(order: &QueuedOrder) -> Option<Work> {
    let open = order.head.life.state == State::Pending;
    open.then(|| Work {
        routes: order.targeting.routes().into_iter().collect(),
        work_type: Some(order.head.work_type.clone()),
    })
}
