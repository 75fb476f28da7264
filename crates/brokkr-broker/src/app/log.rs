//! The work-order log.

use brokkr_core::ids::WorkOrderId;

use super::App;
use super::work_orders::Found;
use crate::dal::DalError;
use crate::dal::log;

pub use crate::dal::log::{LogEntry, LogFilter, LogPosition};

/// Why an entry cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The order has not ended, or never was.
    #[error("there is no such entry in the work-order log")]
    Absent,
    /// The database did not do its part.
    #[error("could not read the work-order log")]
    Storage(#[from] DalError),
}

impl App {
    /// How an order ended.
    ///
    /// # Errors
    /// [`LogError::Absent`].
    pub async fn log_entry(&self, id: WorkOrderId) -> Result<LogEntry, LogError> {
        let mut tx = self.db.read().await?;
        log::get(&mut tx, id).await?.ok_or(LogError::Absent)
    }

    /// Looks for at most `limit` entries, the latest ending first, that come after `after` in this order. No more than [`Limits::search_rows_max`](crate::config::Limits::search_rows_max) are
    /// looked at.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn find_in_log(
        &self,
        filter: LogFilter,
        after: Option<LogPosition>,
        limit: u32,
    ) -> Result<Found<LogEntry, LogPosition>, DalError> {
        let mut tx = self.db.read().await?;
        let until = match filter.sifts() {
            true => log::horizon(&mut tx, &filter, after, self.limits.search_rows_max).await?,
            false => None,
        };
        // There is nothing to go on for once the time was passed that entries had to end at or after.
        let until = until.filter(|until| filter.ended_from.is_none_or(|from| until.completed_at >= from));
        let filter = LogFilter { until, ..filter };
        let rows = log::list(&mut tx, &filter, after, limit).await?;
        Ok(Found::new(rows, until, limit))
    }
}
