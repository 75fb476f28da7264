//! Forgetting what is older than the retention.

use std::time::Duration;

use super::App;
use super::events::Position;
use crate::config::RetentionConfig;
use crate::dal::{DalError, audit, console_sessions, credentials, events, log};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long a key that is of no use any more is kept: its short part cannot be given to another one meanwhile.
const DEAD_KEYS_KEPT_DAYS: u32 = 90;

impl App {
    /// Forgets at most `limit` rows of each kind that are older than they are kept: log entries with their attempts and
    /// output, events, audit rows, dead keys. Answers how many of the kind of which there were most.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part; what was forgotten before that stays so.
    pub async fn forget(&self, retention: &RetentionConfig, limit: u32) -> Result<u64, DalError> {
        let before = |days: u32| self.now().minus(DAY * days);
        let mut most = 0;
        if retention.log_days > 0 {
            let mut tx = self.db.begin().await?;
            most = most.max(log::prune(&mut tx, before(retention.log_days), limit).await?);
            tx.commit().await?;
        }
        if retention.events_days > 0 {
            let until = self.events_needed_from().await?;
            let mut tx = self.db.begin().await?;
            most = most.max(events::forget(&mut tx, before(retention.events_days), until, limit).await?);
            tx.commit().await?;
        }
        let mut tx = self.db.begin().await?;
        if retention.audit_days > 0 {
            most = most.max(audit::prune(&mut tx, before(retention.audit_days), limit).await?);
        }
        most = most.max(credentials::prune(&mut tx, before(DEAD_KEYS_KEPT_DAYS), limit).await?);
        most = most.max(console_sessions::prune(&mut tx, self.now(), limit).await?);
        tx.commit().await?;
        Ok(most)
    }

    /// The last event that may be forgotten: those after it have still to be sent somewhere.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    async fn events_needed_from(&self) -> Result<Position, DalError> {
        Ok(self.webhooks_told_up_to().await?.unwrap_or(Position::MAX))
    }
}
