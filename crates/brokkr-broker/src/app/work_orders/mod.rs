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
pub(super) use self::create::Creates;
pub(super) use self::create::unknown_among;
pub use self::create::{CreateError, StartBy, Submission};
pub use self::delete::DeleteError;
pub(super) use self::read::find;
pub use self::read::{Found, ReadError, WorkOrder};
pub use self::retry::RetryError;
pub(super) use self::retry::repeated;
pub use self::targeting::TargetingChangeError;
use super::waiters::Work;
use crate::dal::routes::Routed;
pub use crate::dal::terms::Terms;
pub use crate::dal::work_orders::{CancelRequest, Claim, ListFilter, QueueStatus, QueuedOrder};

/// Many orders, to do the same with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<F> {
    /// All that a filter finds.
    All(F),
    /// Those that somebody named.
    These(Vec<WorkOrderId>),
}

/// What there is to be claimed in orders whose routes were opened.
pub(super) fn work_on(opened: Vec<Routed>) -> impl Iterator<Item = Work> {
    opened.into_iter().map(|order| Work {
        routes: order.routes.into_iter().collect(),
        work_type: Some(order.work_type),
    })
}

/// What there is to be claimed in a new order: nothing while it waits for its time.
pub(super) fn work_in(order: &QueuedOrder) -> Option<Work> {
    let open = order.head.life.state == State::Pending;
    open.then(|| Work {
        routes: order.targeting.routes().into_iter().collect(),
        work_type: Some(order.head.work_type.clone()),
    })
}
