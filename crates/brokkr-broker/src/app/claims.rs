//! How agents take work orders.

mod known;
mod next;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::Event;
use brokkr_core::limits::{ClaimMax, LeaseSeconds, WaitSeconds};
use brokkr_core::names::WorkType;
use brokkr_core::routing::Route;
use tokio::time::Instant;
use tracing::warn;

pub(super) use self::known::KnownClaims;
pub(super) use self::next::Claims;
use self::next::{Claimed, Claiming};
use super::App;
use super::steps::{Actor, Steps};
use super::waiters::{Place, Wanted};
use crate::dal::attempts::Report;

use crate::dal::work_orders::{self, QueuedOrder};
use crate::dal::{DalError, Tx, attempts, claims, pending};
use crate::error_chain::chain;

/// What an agent asks for when it claims.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// How many orders at most.
    pub max: ClaimMax,
    /// Only orders of these types; of any type when there are none.
    pub work_types: Vec<WorkType>,
    /// How long each claim holds; an order's claim timeout may shorten it.
    pub lease_seconds: LeaseSeconds,
    /// How long to wait when there is nothing to claim.
    pub wait_seconds: WaitSeconds,
    /// The agent's process.
    pub instance_id: InstanceId,
}

/// Names one process of an agent: 1 to 64 visible characters, new at each of its starts.
///
/// The newest process may act for the agent; which one that is, the order tells in which the broker saw them first. One that
/// was seen before and is not the newest stays refused for ever, so two processes never take turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceId(String);

/// A text that cannot name a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("instance_id must have 1 to 64 visible ASCII characters")]
pub struct InvalidInstanceId;

impl InstanceId {
    const CHARACTERS_MAX: usize = 64;

    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// [`InvalidInstanceId`].
    pub fn parse(text: String) -> Result<Self, InvalidInstanceId> {
        let valid = (1..=Self::CHARACTERS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if valid {
            Ok(Self(text))
        } else {
            Err(InvalidInstanceId)
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An order that an agent holds, and the earlier attempts at it whose outcome nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOrder {
    /// The order, with the current attempt and its lease.
    pub order: QueuedOrder,
    /// Their work may still run, or may have run to its end.
    pub lost_attempts: Vec<Attempt>,
}

/// Why nothing was claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The order does not exist, is not waiting, or is not for this agent, or the agent is not active.
    #[error("the order is not there to be claimed by this agent")]
    NotClaimable,
    /// A newer process acts for the agent.
    #[error("a newer process of the agent has taken over")]
    Superseded,
    /// The agent was deleted.
    #[error("there is no such agent")]
    NoAgent,
    /// The database did not do its part.
    #[error("could not claim")]
    Storage(#[from] DalError),
}

/// More than any agent holds at a time.
const HELD_MAX: u32 = 1_000;

impl App {
    /// What an agent could claim now, oldest first: at most `limit` orders that are newer than `after`. Nothing for an
    /// agent that is not active or does not exist.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn pending_work_orders(
        &self,
        agent: AgentId,
        work_type: Option<&WorkType>,
        after: Option<WorkOrderId>,
        limit: u32,
    ) -> Result<Vec<QueuedOrder>, DalError> {
        let now = self.now();
        let mut tx = self.db.read().await?;
        pending::for_agent(&mut tx, agent, work_type, after, now, limit).await
    }

    /// What an agent is told that asks what it could claim, in order to claim the first: a page as [`App::pending_work_orders`] answers
    /// it, from which are left out, where more than a page waits, the orders that other agents were told first just now.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn offered_work_orders(
        &self,
        agent: AgentId,
        work_type: Option<&WorkType>,
        limit: u32,
    ) -> Result<Vec<QueuedOrder>, DalError> {
        let spare = self.offers.to_others(agent, Instant::now());
        let mut orders = self
            .pending_work_orders(agent, work_type, None, limit.saturating_add(spare))
            .await?;
        self.offers
            .offer(agent, &mut orders, limit as usize, Instant::now());
        Ok(orders)
    }

    /// Claims one known order for as long as its claim timeout.
    ///
    /// # Errors
    /// [`ClaimError::NotClaimable`] for whatever reason; none of them is told apart.
    pub async fn claim_work_order(&self, agent: AgentId, id: WorkOrderId) -> Result<QueuedOrder, ClaimError> {
        let claimed = self
            .coalescers
            .known_claims
            .submit(&KnownClaims(self.clone()), (agent, id))
            .await?;
        claimed.ok_or(ClaimError::NotClaimable)
    }

    /// Claims the next orders for an agent, higher priorities first, then older ones; of several types that it wants, each in
    /// turn. When there are none it waits, and answers none when none came in time or the broker stops.
    ///
    /// # Errors
    /// [`ClaimError::Superseded`] and [`ClaimError::NoAgent`], also while it waits.
    pub async fn claim_work_orders(
        &self,
        agent: AgentId,
        request: &ClaimRequest,
    ) -> Result<Vec<HeldOrder>, ClaimError> {
        let patience = Duration::from_secs(u64::from(request.wait_seconds.get()));
        let deadline = Instant::now() + patience;
        let mut woken: Option<Place> = None;
        let mut known: Option<Arc<[Route]>> = (!patience.is_zero())
            .then(|| self.routes_seen.get(&agent))
            .flatten();
        loop {
            // Parked before the look, or what comes in between is missed: on the routes that the agent had when it last looked.
            let place = known.clone().map(|routes| {
                self.waiters
                    .park_for(Wanted::of(agent, request, routes.to_vec()), request.max.get())
            });
            let claimed = self.claim_now(agent, request).await?;
            if let Some(woken) = woken.take() {
                woken.leave_having_looked();
            }
            if !claimed.orders.is_empty() || Instant::now() >= deadline {
                return Ok(claimed.orders);
            }
            let same = known.as_ref().is_some_and(|known| **known == claimed.routes);
            let (Some(place), true) = (place, same) else {
                let routes = Arc::from(claimed.routes);
                self.routes_seen.insert(agent, Arc::clone(&routes));
                known = Some(routes);
                continue;
            };
            tokio::select! {
                biased;
                () = self.stopping().cancelled() => return Ok(Vec::new()),
                () = place.woken() => woken = Some(place),
                () = tokio::time::sleep_until(deadline) => return Ok(Vec::new()),
            }
        }
    }

    /// What an agent holds now, oldest first.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn held_work_orders(&self, agent: AgentId) -> Result<Vec<HeldOrder>, DalError> {
        let mut tx = self.db.read().await?;
        let held = claims::held(&mut tx, agent, None, HELD_MAX).await?;
        with_lost_attempts(&mut tx, held).await
    }

    /// At most `limit` orders that an agent holds now, oldest first, for people who look at it.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn orders_of_agent(&self, agent: AgentId, limit: u32) -> Result<Vec<QueuedOrder>, DalError> {
        let mut tx = self.db.read().await?;
        claims::held(&mut tx, agent, None, limit).await
    }

    /// How many claims wait for work at this broker.
    #[must_use]
    pub fn parked_claims(&self) -> usize {
        self.waiters.len()
    }

    async fn claim_now(&self, agent: AgentId, request: &ClaimRequest) -> Result<Claimed, ClaimError> {
        let request = Claiming {
            agent,
            request: request.clone(),
        };
        self.coalescers
            .claims
            .submit(&Claims(self.clone()), request)
            .await?
    }

    /// Sends orders back to the queue whose claimer has gone before it heard of them. Without it they wait for their leases to pass.
    async fn take_back_unheard(&self, orders: &[QueuedOrder]) {
        if orders.is_empty() {
            return;
        }
        if let Err(error) = self.give_back(orders).await {
            warn!(error = %chain(&error), "could not give back {} orders whose claimer has gone", orders.len());
        }
    }

    async fn give_back(&self, orders: &[QueuedOrder]) -> Result<(), DalError> {
        let now = self.now();
        let attempts: HashMap<_, _> = orders
            .iter()
            .map(|order| (order.id(), order.head.attempt()))
            .collect();
        let mut tx = self.db.begin().await?;
        let heads =
            work_orders::get_for_update(&mut tx, &attempts.keys().copied().collect::<Vec<_>>()).await?;
        let mut steps = Steps::new(self, Actor::Broker, now);
        for head in &heads {
            let event = Event::Release {
                attempt: attempts.get(&head.id).copied().unwrap_or_default(),
            };
            // What has gone on meanwhile is left as it is.
            if let Ok(after) = head.life().apply(event) {
                let message = Some("The agent had gone before it heard of the claim.".to_owned());
                let report = Report {
                    message,
                    ..Report::default()
                };
                steps.add(head, event, after, report, None);
            }
        }
        let settled = steps.write(&mut tx).await?;
        tx.commit().await?;
        self.settled(settled);
        Ok(())
    }
}

async fn with_lost_attempts(tx: &mut Tx, orders: Vec<QueuedOrder>) -> Result<Vec<HeldOrder>, DalError> {
    // Only an order that went back after a loss has any.
    let with_losses = orders
        .iter()
        .filter(|order| order.life().lost_count > 0)
        .map(QueuedOrder::id);
    let mut lost: BTreeMap<WorkOrderId, Vec<Attempt>> = BTreeMap::new();
    for (id, attempt) in attempts::lost_of_many(tx, with_losses.collect::<Vec<_>>()).await? {
        lost.entry(id).or_default().push(attempt);
    }
    let held = |order: QueuedOrder| HeldOrder {
        lost_attempts: lost.remove(&order.id()).unwrap_or_default(),
        order,
    };
    Ok(orders.into_iter().map(held).collect())
}
