//! Repeating many work orders that have ended.

use std::collections::BTreeSet;

use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::time::Timestamp;
use serde_json::json;

use super::App;
use super::caller::Caller;
use super::idempotency::{Answer, Idempotency, IdempotencyError};
use super::work_orders::{Choice, QueuedOrder, repeated, unknown_among, work_in};
use crate::dal::{DalError, Tx, audit, retries};

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
    pub async fn count_retries(&self, choice: &Choice<RetryFilter>) -> Result<u64, DalError> {
        let mut tx = self.db.read().await?;
        match choice {
            Choice::All(filter) => retries::count(&mut tx, filter).await,
            Choice::These(ids) => Ok(retries::among(&mut tx, ids).await?.len() as u64),
        }
    }

    /// Repeats at most `limit` ended orders, the earliest ending first, each as a new order. One that was repeated already, also by
    /// this request when it came before, is left alone.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part; none was repeated then.
    pub async fn retry_work_orders(
        &self,
        caller: &Caller,
        choice: &Choice<RetryFilter>,
        limit: u32,
    ) -> Result<Retries, DalError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let retries = self.retry_in(&mut tx, caller, choice, limit, now).await?;
        tx.commit().await?;
        self.waiters.wake(retries.orders.iter().filter_map(work_in));
        Ok(retries)
    }

    /// The same for a request that may be sent again: with the answer to its repetition in the same transaction.
    ///
    /// # Errors
    /// [`IdempotencyError`]; none was repeated then.
    pub async fn retry_work_orders_once(
        &self,
        caller: &Caller,
        choice: &Choice<RetryFilter>,
        limit: u32,
        idempotency: Option<Idempotency>,
        answer: impl FnOnce(&Retries) -> Answer + Send,
    ) -> Result<Answer, IdempotencyError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        if let Some(replayed) = self.replay(&mut tx, caller, idempotency.as_ref(), now).await? {
            return Ok(replayed);
        }
        let retries = self.retry_in(&mut tx, caller, choice, limit, now).await?;
        let answer = answer(&retries);
        self.keep_answer(&mut tx, caller, idempotency.as_ref(), &answer)
            .await?;
        tx.commit().await?;
        self.waiters.wake(retries.orders.iter().filter_map(work_in));
        Ok(answer)
    }

    async fn retry_in(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        choice: &Choice<RetryFilter>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Retries, DalError> {
        retries::lock(tx).await?;
        let (entries, matching) = match choice {
            Choice::All(filter) => {
                let matching = retries::count(tx, filter).await?;
                (retries::find(tx, filter, limit).await?, matching)
            }
            Choice::These(ids) => {
                let some = ids.get(..limit as usize).unwrap_or(ids);
                let entries = retries::among(tx, some).await?;
                let matching = entries.len() as u64;
                (entries, matching)
            }
        };
        let named: BTreeSet<_> = entries
            .iter()
            .flat_map(|entry| entry.targeting.agents().iter().copied())
            .collect();
        let unknown = unknown_among(tx, named).await?;
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
        let orders = self.write_orders(tx, caller, new, now).await?;
        if !orders.is_empty() {
            let details = json!({"matching": matching, "retried": orders.len(), "refused": refused.len()});
            let fact = self.fact(caller, now, "work_order_log.retry", self.next_id(now), details);
            audit::insert(tx, &[fact]).await?;
        }
        Ok(Retries {
            matching,
            orders,
            refused,
        })
    }
}
