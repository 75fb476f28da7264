//! Wakes claims that wait for work which came in unnoticed: through another replica whose nudge was lost.
//!
//! It asks once for the whole broker, however many claims wait, and nothing at all while none does.

use super::{Activity, Task, TaskError};
use crate::app::App;

/// Looks for work on the routes on which claims wait.
pub struct Waker {
    app: App,
}

impl Waker {
    /// For the claims that wait at `app`.
    #[must_use]
    pub const fn new(app: App) -> Self {
        Self { app }
    }
}

impl Task for Waker {
    const NAME: &'static str = "waker";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        let changed = self.app.wake_unnoticed().await.map_err(TaskError::because)?;
        Ok(Activity { changed, more: false })
    }
}
