//! Sweeps out what claims have left in the index that they read.

use super::{Activity, Task, TaskError};
use crate::app::App;

/// So many entries of claimed orders make each claim pass for a few hundred microseconds.
const DEAD_MIN: u32 = 10_000;

/// Sweeps out what claims have left in the index that they read, before the database's own vacuum comes to it.
pub struct Vacuumer(App);

impl Vacuumer {
    /// Sweeps the routes of this broker's database.
    #[must_use]
    pub const fn new(app: App) -> Self {
        Self(app)
    }
}

impl Task for Vacuumer {
    const NAME: &'static str = "vacuumer";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        let changed = self.0.vacuum_routes(DEAD_MIN).await.map_err(TaskError::because)?;
        Ok(Activity { changed, more: false })
    }
}
