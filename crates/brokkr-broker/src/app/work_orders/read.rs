//! Showing work orders.

use brokkr_core::ids::WorkOrderId;

use crate::app::App;
use crate::dal::log::{self, LogEntry};
use crate::dal::work_orders::{self, ListFilter, QueuedOrder};
use crate::dal::{DalError, Tx};

/// A work order, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkOrder {
    /// In the queue.
    Queued(Box<QueuedOrder>),
    /// In the log.
    Ended(Box<LogEntry>),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T, P> {
    /// The orders.
    pub rows: Vec<T>,
    /// No order after this one was looked at, although there was room for more.
    pub looked_until: Option<P>,
}

impl<T, P> Default for Found<T, P> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            looked_until: None,
        }
    }
}

impl<T, P> Found<T, P> {
    pub(in crate::app) fn new(rows: Vec<T>, until: Option<P>, limit: u32) -> Self {
        let looked_until = until.filter(|_| rows.len() < limit as usize);
        Self { rows, looked_until }
    }
}

/// Why an order cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is neither in the queue nor in the log.
    #[error("there is no such work order")]
    Absent,
    /// The database did not do its part.
    #[error("could not read the work order")]
    Storage(#[from] DalError),
}

impl App {
    /// The order: from the queue, or else from the log.
    ///
    /// # Errors
    /// [`ReadError::Absent`].
    pub async fn work_order(&self, id: WorkOrderId) -> Result<WorkOrder, ReadError> {
        let mut tx = self.db.read().await?;
        find(&mut tx, id).await?.ok_or(ReadError::Absent)
    }

    /// Looks for at most `limit` orders of the queue, newest first, that are older than `before`. No more than
    /// [`Limits::search_rows_max`](crate::config::Limits::search_rows_max) are looked at.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn find_work_orders(
        &self,
        filter: ListFilter,
        before: Option<WorkOrderId>,
        limit: u32,
    ) -> Result<Found<QueuedOrder, WorkOrderId>, DalError> {
        let mut tx = self.db.read().await?;
        let until = match filter.sifts() {
            true => work_orders::horizon(&mut tx, &filter, before, self.limits.search_rows_max).await?,
            false => None,
        };
        let filter = ListFilter { until, ..filter };
        let rows = work_orders::list(&mut tx, &filter, before, limit).await?;
        Ok(Found::new(rows, until, limit))
    }
}

/// Looks into the queue first: an order that ends meanwhile is found in the log then.
pub(in crate::app) async fn find(tx: &mut Tx, id: WorkOrderId) -> Result<Option<WorkOrder>, DalError> {
    if let Some(order) = work_orders::get(tx, id).await? {
        return Ok(Some(WorkOrder::Queued(Box::new(order))));
    }
    Ok(log::get(tx, id)
        .await?
        .map(|entry| WorkOrder::Ended(Box::new(entry))))
}
