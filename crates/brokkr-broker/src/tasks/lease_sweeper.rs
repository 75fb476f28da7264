//! Returns work orders to the queue, or ends them, when their agent stopped renewing.

use super::{Activity, Task, TaskError};
use crate::app::App;

/// Returns work orders to the queue, or ends them, when their agent stopped renewing.
pub struct LeaseSweeper {
    app: App,
    batch_max: u32,
}

impl LeaseSweeper {
    /// Changes at most `batch_max` orders in one transaction.
    #[must_use]
    pub const fn new(app: App, batch_max: u32) -> Self {
        Self { app, batch_max }
    }
}

impl Task for LeaseSweeper {
    const NAME: &'static str = "lease_sweeper";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        let changed = self
            .app
            .release_expired_leases(self.batch_max)
            .await
            .map_err(TaskError::because)?;
        Ok(Activity::of(changed, self.batch_max))
    }
}
