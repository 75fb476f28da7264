//! Removing work orders from the queue.

use brokkr_core::ids::WorkOrderId;
use serde_json::json;

use crate::app::App;
use crate::app::caller::Caller;
use crate::dal::{DalError, work_orders};

/// Why an order was not removed.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// It is not in the queue. What has ended stays in the log.
    #[error("there is no such work order in the queue")]
    Absent,
    /// The database did not do its part.
    #[error("could not remove the work order")]
    Storage(#[from] DalError),
}

impl App {
    /// Removes an order of the queue, whatever its state; only the audit keeps the fact. Its holder hears at the next
    /// renewal that there is nothing to hold.
    ///
    /// # Errors
    /// [`DeleteError::Absent`].
    pub async fn delete_work_order(&self, caller: &Caller, id: WorkOrderId) -> Result<(), DeleteError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let removed = work_orders::delete(&mut tx, id)
            .await?
            .ok_or(DeleteError::Absent)?;
        self.record(&mut tx, caller, now, "work_order.delete", id, json!({}))
            .await?;
        self.tell_deleted(&mut tx, caller, id, &removed, now).await?;
        tx.commit().await?;
        self.followers.tell([id]);
        Ok(())
    }
}
