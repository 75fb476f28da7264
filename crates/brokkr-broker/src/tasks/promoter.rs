//! Makes orders claimable when the time of their retry, or of their start, has come.

use super::{Activity, Task, TaskError};
use crate::app::App;

/// Makes orders claimable when the time of their retry, or of their start, has come.
pub struct Promoter {
    app: App,
    batch_max: u32,
}

impl Promoter {
    /// Changes at most `batch_max` orders in one transaction.
    #[must_use]
    pub const fn new(app: App, batch_max: u32) -> Self {
        Self { app, batch_max }
    }
}

impl Task for Promoter {
    const NAME: &'static str = "promoter";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        let changed = self
            .app
            .promote_due(self.batch_max)
            .await
            .map_err(TaskError::because)?;
        Ok(Activity::of(changed, self.batch_max))
    }
}
