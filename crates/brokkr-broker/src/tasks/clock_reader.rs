//! Keeps the broker's clock with the database's.

use std::sync::Arc;

use super::{Activity, Task, TaskError};
use crate::app::App;
use crate::app::database_clock::DatabaseClock;

/// Reads the database's clock.
pub struct ClockReader {
    app: App,
    clock: Arc<DatabaseClock>,
}

impl ClockReader {
    /// Keeps `clock`, which is the clock of `app`.
    #[must_use]
    pub const fn new(app: App, clock: Arc<DatabaseClock>) -> Self {
        Self { app, clock }
    }
}

impl Task for ClockReader {
    const NAME: &'static str = "clock_reader";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        self.app
            .read_clock(&self.clock)
            .await
            .map_err(TaskError::because)?;
        Ok(Activity::default())
    }
}
