//! Cancelling work orders.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::{Event, State};
use serde_json::json;

use crate::app::App;
use crate::app::caller::Caller;
use crate::app::steps::{Actor, Steps};
use crate::dal::DalError;
use crate::dal::attempts::Report;
use crate::dal::log::{self, LogEntry};
use crate::dal::work_orders::{self, QueuedOrder};

/// What a cancellation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// The order was waiting and has ended.
    Ended(Box<LogEntry>),
    /// An agent holds it and has to stop it; it hears so at its next renewal.
    Requested(Box<QueuedOrder>),
}

/// Why an order was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is no such order.
    #[error("there is no such work order")]
    Absent,
    /// It has ended.
    #[error("the work order has ended")]
    Ended,
    /// The database did not do its part.
    #[error("could not cancel the work order")]
    Storage(#[from] DalError),
}

impl App {
    /// Cancels an order: at once while it waits, else through the agent that holds it. Asking again changes nothing.
    ///
    /// # Errors
    /// [`CancelError::Absent`] and [`CancelError::Ended`].
    pub async fn cancel_work_order(
        &self,
        caller: &Caller,
        id: WorkOrderId,
        reason: Option<String>,
    ) -> Result<Cancelled, CancelError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let Some(head) = work_orders::get_for_update(&mut tx, &[id]).await?.pop() else {
            let ended = log::get(&mut tx, id).await?.is_some();
            return Err(if ended {
                CancelError::Ended
            } else {
                CancelError::Absent
            });
        };
        let life = head.life().apply(Event::Cancel).map_err(|_| CancelError::Ended)?;
        if let State::Claimed(_) = life.state {
            let requested = work_orders::request_cancel(&mut tx, id, now, reason.as_deref()).await?;
            let order = work_orders::get(&mut tx, id).await?.ok_or(CancelError::Absent)?;
            if requested {
                let details = json!({"attempt": life.attempt.number(), "reason": reason});
                self.record(&mut tx, caller, now, "work_order.cancel", id, details)
                    .await?;
                self.tell_cancel_requested(&mut tx, caller, std::slice::from_ref(&order), now)
                    .await?;
            }
            tx.commit().await?;
            return Ok(Cancelled::Requested(Box::new(order)));
        }
        let mut steps = Steps::new(self, Actor::Caller(caller), now);
        let report = Report {
            message: reason,
            ..Report::default()
        };
        steps.add(&head, Event::Cancel, life, report, None);
        let mut settled = steps.write(&mut tx).await?;
        tx.commit().await?;
        let entry = settled.entries.pop().ok_or(CancelError::Absent)?;
        self.ended([&entry]);
        Ok(Cancelled::Ended(Box::new(entry)))
    }
}
