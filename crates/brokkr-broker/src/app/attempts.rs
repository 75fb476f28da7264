//! The attempts at a work order.

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;

use super::App;
use super::work_orders::{Claim, ReadError};
use crate::dal::{attempts, log, work_orders};

pub use crate::dal::attempts::{EndedAttempt, Report};

/// One attempt at an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptAt {
    /// It has ended.
    Ended(EndedAttempt),
    /// It is the current one.
    Current(Attempt, Claim),
}

impl AttemptAt {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> Attempt {
        match self {
            Self::Ended(ended) => ended.attempt,
            Self::Current(number, _) => *number,
        }
    }
}

impl App {
    /// At most `limit` attempts at an order, in their order, after the attempt `after`. The current one comes last.
    ///
    /// # Errors
    /// [`ReadError::Absent`].
    pub async fn list_attempts(
        &self,
        id: WorkOrderId,
        after: Attempt,
        limit: u32,
    ) -> Result<Vec<AttemptAt>, ReadError> {
        let mut tx = self.db.read().await?;
        let head = work_orders::heads_of(&mut tx, &[id]).await?.pop();
        if head.is_none() && log::endings(&mut tx, &[id]).await?.is_empty() {
            return Err(ReadError::Absent);
        }
        let ended = attempts::list(&mut tx, id, after, limit).await?;
        let mut all: Vec<_> = ended.into_iter().map(AttemptAt::Ended).collect();
        let current = head.and_then(|head| Some((head.attempt(), head.claim?)));
        if let Some((number, claim)) = current {
            // The attempt may have ended between the two looks.
            let latest = all.last().map_or(after, AttemptAt::number);
            if latest < number && all.len() < limit as usize {
                all.push(AttemptAt::Current(number, claim));
            }
        }
        Ok(all)
    }
}
