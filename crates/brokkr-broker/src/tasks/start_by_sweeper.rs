//! Ends orders that were not started in time.

use super::{Activity, Task, TaskError};
use crate::app::App;

/// Ends orders that were not started in time.
pub struct StartBySweeper {
    app: App,
    batch_max: u32,
}

impl StartBySweeper {
    /// Changes at most `batch_max` orders in one transaction.
    #[must_use]
    pub const fn new(app: App, batch_max: u32) -> Self {
        Self { app, batch_max }
    }
}

impl Task for StartBySweeper {
    const NAME: &'static str = "start_by_sweeper";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        let changed = self
            .app
            .expire_unstarted(self.batch_max)
            .await
            .map_err(TaskError::because)?;
        Ok(Activity::of(changed, self.batch_max))
    }
}
