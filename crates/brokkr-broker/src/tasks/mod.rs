//! Background work: sweeps that make happen what time brings about.
//!
//! A task is idempotent, takes no input and is safe on every replica at once. It does one bounded batch at a time; the
//! driver owns its timing, its retries, its metrics and its end. A nudge only makes a task run sooner.

mod clock_reader;
mod deadline_sweeper;
mod driver;
mod lease_sweeper;
mod metrics_folder;
mod nudger;
mod promoter;
mod pruner;
mod start_by_sweeper;
mod vacuumer;
mod waker;
mod webhook_deliverer;

use std::error::Error;
use std::future::Future;

pub use clock_reader::ClockReader;
pub use deadline_sweeper::DeadlineSweeper;
pub use driver::{Driver, Nudge};
pub use lease_sweeper::LeaseSweeper;
pub use metrics_folder::MetricsFolder;
pub use nudger::Nudger;
pub use promoter::Promoter;
pub use pruner::Pruner;
pub use start_by_sweeper::StartBySweeper;
pub use vacuumer::Vacuumer;
pub use waker::Waker;
pub use webhook_deliverer::WebhookDeliverer;

/// Something that is done again and again.
pub trait Task: Send + 'static {
    /// Names the task in metrics and logs.
    const NAME: &'static str;

    /// Does one batch.
    ///
    /// # Errors
    /// [`TaskError`]. The driver tries again, later and later.
    fn run_once(&mut self) -> impl Future<Output = Result<Activity, TaskError>> + Send;
}

/// What one batch came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// How many rows it changed.
    pub changed: u64,
    /// Whether there may be more to do at once.
    pub more: bool,
}

impl Activity {
    /// A batch that changed `changed` rows of at most `batch_max`: a full one has perhaps left some.
    #[must_use]
    pub const fn of(changed: u64, batch_max: u32) -> Self {
        Self {
            changed,
            more: changed >= batch_max as u64,
        }
    }
}

/// A batch that was not done.
#[derive(Debug, thiserror::Error)]
#[error("the task did not do its batch")]
pub struct TaskError(#[source] Box<dyn Error + Send + Sync>);

impl TaskError {
    /// For this reason.
    pub fn because(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}
