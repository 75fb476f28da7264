//! Keeps the memory of histograms small when nobody reads them.

use super::{Activity, Task, TaskError};
use crate::app::App;

/// Folds histograms.
pub struct MetricsFolder {
    app: App,
}

impl MetricsFolder {
    /// For the metrics of `app`.
    #[must_use]
    pub const fn new(app: App) -> Self {
        Self { app }
    }
}

impl Task for MetricsFolder {
    const NAME: &'static str = "metrics_folder";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        self.app.metrics().fold();
        Ok(Activity::default())
    }
}
