//! Repeating many work orders that have ended.

use std::collections::BTreeSet;

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::time::Timestamp;
use serde_json::json;

use super::App;
use super::caller::Caller;
use super::work_orders::{QueuedOrder, repeated, unknown_among, work_in};
use crate::dal::{DalError, audit, retries};

pub use crate::dal::retries::RetryFilter;

/// What was repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// How many there were to repeat before.
    pub matching: u64,
    /// The new orders, each of which names the old one.
    pub orders: Vec<QueuedOrder>,
    /// Those that were for an agent that does not exist any more.
    pub refused: Vec<(WorkOrderId, AgentId)>,
}

impl App {
    /// The end of the time in which orders ended that are repeated: now, unless it is said.
    #[must_use]
    pub fn ended_before(&self, said: Option<Timestamp>) -> Timestamp {
        said.unwrap_or_else(|| self.now())
    }

    /// Counts the ended orders that [`App::retry_work_orders`] would repeat.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn count_retries(&self, filter: &RetryFilter) -> Result<u64, DalError> {
        retries::count(&mut self.db.read().await?, filter).await
    }

    /// Repeats at most `limit` ended orders, the earliest ending first, each as a new order. One that was repeated already, also by
    /// this request when it came before, is left alone.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part; none was repeated then.
    pub async fn retry_work_orders(
        &self,
        caller: &Caller,
        filter: &RetryFilter,
        limit: u32,
    ) -> Result<Retries, DalError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        retries::lock(&mut tx).await?;
        let matching = retries::count(&mut tx, filter).await?;
        let entries = retries::find(&mut tx, filter, limit).await?;
        let named: BTreeSet<_> = entries
            .iter()
            .flat_map(|entry| entry.targeting.agents().iter().copied())
            .collect();
        let unknown = unknown_among(&mut tx, named).await?;
        let (mut new, mut refused) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry
                .targeting
                .agents()
                .iter()
                .copied()
                .find(|agent| unknown.contains(agent))
            {
                Some(agent) => refused.push((entry.id, agent)),
                None => new.push(repeated(entry, WorkOrderId::new(self.next_id(now)), caller, now)),
            }
        }
        let orders = self.write_orders(&mut tx, caller, new, now).await?;
        if !orders.is_empty() {
            let details = json!({"matching": matching, "retried": orders.len(), "refused": refused.len()});
            let fact = self.fact(caller, now, "work_order_log.retry", self.next_id(now), details);
            audit::insert(&mut tx, &[fact]).await?;
        }
        tx.commit().await?;
        self.waiters.wake(orders.iter().filter_map(work_in));
        Ok(Retries {
            matching,
            orders,
            refused,
        })
    }
}
