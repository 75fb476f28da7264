//! Repeating work orders that have ended.

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::Policy;
use brokkr_core::time::Timestamp;

use super::create::unknown_among;
use super::work_in;
use crate::app::App;
use crate::app::caller::Caller;
use crate::dal::DalError;
use crate::dal::log::{self, LogEntry};
use crate::dal::retries;
use crate::dal::work_orders::{self, NewOrder, QueuedOrder};

/// Why an order was not repeated.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is no such order.
    #[error("there is no such work order")]
    Absent,
    /// It has not ended, so that it is not known what there is to repeat.
    #[error("the work order has not ended")]
    NotEnded,
    /// It was for an agent that does not exist any more.
    #[error("agent {0} does not exist any more")]
    UnknownAgent(AgentId),
    /// The database did not do its part.
    #[error("could not repeat the work order")]
    Storage(#[from] DalError),
}

impl App {
    /// Accepts a new order that asks for the same as one that has ended. Its times are not repeated: it may run at once.
    ///
    /// # Errors
    /// [`RetryError`]; nothing is left behind.
    pub async fn retry_work_order(
        &self,
        caller: &Caller,
        id: WorkOrderId,
    ) -> Result<QueuedOrder, RetryError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        retries::lock(&mut tx).await?;
        let Some(entry) = log::get(&mut tx, id).await? else {
            let queued = work_orders::get(&mut tx, id).await?.is_some();
            return Err(if queued {
                RetryError::NotEnded
            } else {
                RetryError::Absent
            });
        };
        let agents = entry.targeting.agents().iter().copied().collect();
        if let Some(unknown) = unknown_among(&mut tx, agents).await?.pop_first() {
            return Err(RetryError::UnknownAgent(unknown));
        }
        let new = repeated(entry, WorkOrderId::new(self.next_id(now)), caller, now);
        let order = self
            .write_orders(&mut tx, caller, vec![new], now)
            .await?
            .remove(0);
        tx.commit().await?;
        self.waiters.wake(work_in(&order));
        Ok(order)
    }
}

/// An order that asks for the same as one that has ended, but for its times.
pub(in crate::app) fn repeated(
    entry: LogEntry,
    id: WorkOrderId,
    caller: &Caller,
    now: Timestamp,
) -> NewOrder {
    NewOrder {
        id,
        created_at: now,
        work_type: entry.work_type,
        yaml_content: entry.yaml_content,
        priority: entry.priority,
        policy: Policy {
            start_by: None,
            ..entry.policy
        },
        claim_timeout_seconds: entry.claim_timeout_seconds,
        deadline_seconds: entry.deadline_seconds,
        run_at: None,
        retry_on: entry.retry_on,
        metadata: entry.metadata,
        targeting: entry.targeting,
        retry_of: Some(entry.id),
        submitted_by: caller.actor(),
        traceparent: caller.traceparent.clone(),
    }
}
