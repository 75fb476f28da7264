//! Whether the broker can serve.

use std::time::Duration;

use tracing::debug;

use super::App;
use crate::dal::{DalError, queue_depth};

pub use crate::dal::queue_depth::Depth;

/// How long the database has to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// All of them, so that a status without orders shows as zero and not as its last number.
const QUEUE_STATUSES: &[&str] = &["PENDING", "CLAIMED", "RETRY_PENDING", "SCHEDULED"];

/// Why the broker cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    /// It is stopping.
    Stopping,
    /// It cannot tell the time to within a second.
    ClockUnknown,
    /// The database does not answer.
    DatabaseAway,
}

impl App {
    /// How many orders are in each status of the queue, and since when the oldest of them is.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn queue_now(&self) -> Result<Vec<Depth>, DalError> {
        queue_depth::by_status(&mut self.db.read().await?).await
    }

    /// Asks whether work can be accepted now.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn ready(&self) -> Result<(), NotReady> {
        if self.stopping.is_cancelled() {
            return Err(NotReady::Stopping);
        }
        if !self.clock.known() {
            return Err(NotReady::ClockUnknown);
        }
        match tokio::time::timeout(PATIENCE, self.db.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotReady::DatabaseAway),
        }
    }

    /// Brings the numbers up to date that are read off rather than counted. What cannot be read stays as it was.
    pub async fn measure(&self) {
        for pool in self.db.pool_use() {
            self.metrics.pool(pool.pool, pool.open, pool.idle, pool.max);
        }
        self.metrics.statements(self.db.statements_sent());
        self.metrics.waiting_claims(self.waiters.len());
        // Whoever finds another one measuring is content with what that one finds: asking often costs no more.
        if let Ok(_turn) = self.metrics.measuring().try_lock()
            && let Ok(Err(error)) = tokio::time::timeout(PATIENCE, self.measure_stored()).await
        {
            debug!(error = %error, "what is in the database could not be measured");
        }
    }

    async fn measure_stored(&self) -> Result<(), DalError> {
        let mut tx = self.db.read().await?;
        let (depths, now) = (queue_depth::by_status(&mut tx).await?, self.now());
        for status in QUEUE_STATUSES {
            let depth = depths.iter().find(|depth| depth.status == *status);
            let (orders, oldest) = depth.map_or((0, Duration::ZERO), |depth| {
                (depth.orders, now.since(depth.oldest))
            });
            self.metrics.queue(status, orders, oldest);
        }
        let horizon = self.horizon.look(&mut tx, now).await?;
        let held_back = horizon.unsettled_since.map(|since| now.since(since));
        self.metrics.events_held_back(held_back.unwrap_or_default());
        Ok(())
    }
}
