//! Cancelling many work orders.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::{Event, State};
use brokkr_core::time::Timestamp;
use serde_json::json;

use super::App;
use super::caller::Caller;
use super::steps::{Actor, Steps};
use super::work_orders::Choice;
use crate::dal::attempts::Report;
use crate::dal::work_orders::{self, OrderHead};
use crate::dal::{DalError, Tx, audit, cancellations};

pub use crate::dal::cancellations::CancelFilter;

/// So many orders are read at once with what they say to run, which may be large.
const READ_AT_ONCE: usize = 50;

/// What was cancelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cancellations {
    /// How many there were to cancel before.
    pub matching: u64,
    /// Those that waited, and have ended.
    pub ended: Vec<WorkOrderId>,
    /// Those that an agent holds and has to stop.
    pub requested: Vec<WorkOrderId>,
}

impl App {
    /// The end of the time in which orders were accepted that are cancelled: now, unless it is said.
    #[must_use]
    pub fn created_before(&self, said: Option<Timestamp>) -> Timestamp {
        said.unwrap_or_else(|| self.now())
    }

    /// Counts the orders that [`App::cancel_work_orders`] would cancel.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn count_cancellations(&self, choice: &Choice<CancelFilter>) -> Result<u64, DalError> {
        let mut tx = self.db.read().await?;
        match choice {
            Choice::All(filter) => cancellations::count(&mut tx, filter).await,
            Choice::These(ids) => {
                let heads = work_orders::heads_of(&mut tx, ids).await?;
                Ok(heads.iter().filter(|head| !is_asked_to_stop(head)).count() as u64)
            }
        }
    }

    /// Cancels at most `limit` orders, the oldest first: each at once while it waits, else through the agent that holds it. Those that
    /// have ended, or that were to be stopped before, are left alone; so the same request may be made again.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part; none was cancelled then.
    pub async fn cancel_work_orders(
        &self,
        caller: &Caller,
        choice: &Choice<CancelFilter>,
        reason: Option<String>,
        limit: u32,
    ) -> Result<Cancellations, DalError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let (heads, matching) = chosen(&mut tx, choice, limit).await?;
        let mut steps = Steps::new(self, Actor::Caller(caller), now);
        let mut held = Vec::new();
        for head in &heads {
            let Ok(life) = head.life().apply(Event::Cancel) else {
                continue;
            };
            if let State::Claimed(_) = life.state {
                held.push(head);
                continue;
            }
            let report = Report {
                message: reason.clone(),
                ..Report::default()
            };
            steps.add(head, Event::Cancel, life, report, None);
        }
        let requested = self
            .request_stops(&mut tx, caller, &held, reason.as_deref(), now)
            .await?;
        let settled = steps.write(&mut tx).await?;
        tx.commit().await?;
        self.ended(&settled.entries);
        Ok(Cancellations {
            matching,
            ended: settled.entries.iter().map(|entry| entry.id).collect(),
            requested,
        })
    }

    async fn request_stops(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        held: &[&OrderHead],
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<WorkOrderId>, DalError> {
        let ids: Vec<_> = held.iter().map(|head| head.id).collect();
        let changed = cancellations::request(tx, &ids, now, reason).await?;
        if changed != ids.len() as u64 {
            return Err(DalError::Miscounted {
                statement: "cancellations.request",
                expected: ids.len() as u64,
                changed,
            });
        }
        for some in ids.chunks(READ_AT_ONCE) {
            let orders = work_orders::get_many(tx, some).await?;
            self.tell_cancel_requested(tx, caller, &orders, now).await?;
        }
        let facts: Vec<_> = held
            .iter()
            .map(|head| {
                let details = json!({"attempt": head.attempt().number(), "reason": reason});
                self.fact(caller, now, "work_order.cancel", head.id, details)
            })
            .collect();
        audit::insert(tx, &facts).await?;
        Ok(ids)
    }
}

/// The orders that are to be cancelled, locked, and how many there are. What changed between the look and the lock is not chosen any more.
async fn chosen(
    tx: &mut Tx,
    choice: &Choice<CancelFilter>,
    limit: u32,
) -> Result<(Vec<OrderHead>, u64), DalError> {
    let (ids, matching) = match choice {
        Choice::All(filter) => {
            let matching = cancellations::count(tx, filter).await?;
            (cancellations::find(tx, filter, limit).await?, Some(matching))
        }
        Choice::These(ids) => (ids.iter().copied().take(limit as usize).collect(), None),
    };
    let mut heads = work_orders::get_for_update(tx, &ids).await?;
    heads.retain(|head| !is_asked_to_stop(head));
    if let Choice::All(filter) = choice {
        heads.retain(|head| filter.status.is_none_or(|status| head.status() == status));
        let holder = |head: &OrderHead| head.claim.as_ref().map(|claim| claim.agent);
        heads.retain(|head| filter.terms.agent.is_none() || holder(head) == filter.terms.agent);
    }
    let matching = matching.unwrap_or(heads.len() as u64);
    Ok((heads, matching))
}

const fn is_asked_to_stop(head: &OrderHead) -> bool {
    matches!(head.life.state, State::Claimed(lease) if lease.cancel_requested)
}
