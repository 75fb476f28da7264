//! Forgets what nobody needs any more.

use super::{Activity, Task, TaskError};
use crate::app::App;
use crate::config::RetentionConfig;

/// Forgets what is older than the retention.
pub struct Pruner {
    app: App,
    retention: RetentionConfig,
    deliveries_days: u32,
    batch_max: u32,
}

impl Pruner {
    /// Forgets at most `batch_max` rows of each kind in one transaction, and webhooks' deliveries `deliveries_days` after they ended.
    #[must_use]
    pub const fn new(app: App, retention: RetentionConfig, deliveries_days: u32, batch_max: u32) -> Self {
        Self {
            app,
            retention,
            deliveries_days,
            batch_max,
        }
    }
}

impl Task for Pruner {
    const NAME: &'static str = "pruner";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        let passing = self.app.prune(self.batch_max).await.map_err(TaskError::because)?;
        let old = self
            .app
            .forget(&self.retention, self.batch_max)
            .await
            .map_err(TaskError::because)?;
        let told = self
            .app
            .forget_webhook_deliveries(self.deliveries_days, self.batch_max)
            .await
            .map_err(TaskError::because)?;
        Ok(Activity::of(passing.max(old).max(told), self.batch_max))
    }
}
