//! Ends attempts that nobody ended although their deadline passed long ago.

use super::{Activity, Task, TaskError};
use crate::app::App;

/// Ends attempts that nobody ended although their deadline passed long ago.
pub struct DeadlineSweeper {
    app: App,
    batch_max: u32,
}

impl DeadlineSweeper {
    /// Changes at most `batch_max` orders in one transaction.
    #[must_use]
    pub const fn new(app: App, batch_max: u32) -> Self {
        Self { app, batch_max }
    }
}

impl Task for DeadlineSweeper {
    const NAME: &'static str = "deadline_sweeper";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        let changed = self
            .app
            .end_overdue_attempts(self.batch_max)
            .await
            .map_err(TaskError::because)?;
        Ok(Activity::of(changed, self.batch_max))
    }
}
