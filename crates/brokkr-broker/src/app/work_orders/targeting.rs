//! Whom a work order is for.

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::routing::Targeting;
use serde_json::json;

use super::create::unknown_among;
use super::read::{ReadError, WorkOrder, find};
use super::work_on;
use crate::app::App;
use crate::app::caller::Caller;
use crate::dal::{DalError, work_orders};

/// Why an order was not sent elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum TargetingChangeError {
    /// There is no such order.
    #[error("there is no such work order")]
    Absent,
    /// An agent holds it, or it has ended.
    #[error("the work order does not wait any more")]
    NotWaiting,
    /// It would be for an agent that does not exist.
    #[error("agent {0} does not exist")]
    UnknownAgent(AgentId),
    /// The database did not do its part.
    #[error("could not change whom the work order is for")]
    Storage(#[from] DalError),
}

impl App {
    /// Whom an order is for, or was for when it has ended.
    ///
    /// # Errors
    /// [`ReadError::Absent`].
    pub async fn targeting(&self, id: WorkOrderId) -> Result<Targeting, ReadError> {
        Ok(match self.work_order(id).await? {
            WorkOrder::Queued(order) => order.targeting,
            WorkOrder::Ended(entry) => entry.targeting,
        })
    }

    /// Sends a waiting order elsewhere. Whoever may claim it now is woken.
    ///
    /// # Errors
    /// [`TargetingChangeError`]; nothing is changed.
    pub async fn set_targeting(
        &self,
        caller: &Caller,
        id: WorkOrderId,
        targeting: &Targeting,
    ) -> Result<(), TargetingChangeError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let agents = targeting.agents().iter().copied().collect();
        let unknown = unknown_among(&mut tx, agents).await?.pop_first();
        let Some(retargeted) = work_orders::set_targeting(&mut tx, id, targeting, now).await? else {
            let there = find(&mut tx, id).await?.is_some();
            return Err(if there {
                TargetingChangeError::NotWaiting
            } else {
                TargetingChangeError::Absent
            });
        };
        if let Some(unknown) = unknown {
            return Err(TargetingChangeError::UnknownAgent(unknown));
        }
        let routes_told: Vec<_> = targeting.routes().iter().map(ToString::to_string).collect();
        self.record(
            &mut tx,
            caller,
            now,
            "work_order.target",
            id,
            json!({"routes": routes_told}),
        )
        .await?;
        self.tell_retargeted(&mut tx, caller, id, &retargeted, targeting, now)
            .await?;
        tx.commit().await?;
        self.waiters.wake(work_on(retargeted.opened));
        Ok(())
    }
}
