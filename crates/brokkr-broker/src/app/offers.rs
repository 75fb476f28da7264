//! Which order each agent was told first, when it asked what it could claim.
//!
//! Agents of the contract's own calls list what waits and claim the first. All of them would be told the same order, one would get it, and
//! the others would have asked in vain, again and again. So an order that one agent was just told first is left out of what the
//! others are told, as long as there is a whole page beside it. It stays claimable by all of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::ids::{AgentId, WorkOrderId};
use tokio::time::Instant;

use crate::dal::work_orders::QueuedOrder;

/// Longer than it takes to claim what one was told, and shorter than anybody notices.
const LASTS: Duration = Duration::from_millis(250);

/// With more agents than that, some are told the same.
const OFFERS_MAX: usize = 256;

/// What agents were told first lately.
#[derive(Debug, Default)]
pub(super) struct Offers(Mutex<VecDeque<Offer>>);

#[derive(Debug)]
struct Offer {
    order: WorkOrderId,
    to: AgentId,
    ends_at: Instant,
}

impl Offers {
    /// How many orders other agents were told first.
    pub(super) fn to_others(&self, agent: AgentId, now: Instant) -> u32 {
        let offers = self.current(now);
        let others = offers.iter().filter(|offer| offer.to != agent).count();
        u32::try_from(others).unwrap_or(u32::MAX)
    }

    /// Cuts `orders` to `wanted`: first what others were told first, then the end. Notes what is left as the first.
    pub(super) fn offer(&self, agent: AgentId, orders: &mut Vec<QueuedOrder>, wanted: usize, now: Instant) {
        let mut offers = self.current(now);
        let mut spare = orders.len().saturating_sub(wanted);
        if spare > 0 {
            let elsewhere: HashMap<_, _> = offers.iter().map(|offer| (offer.order, offer.to)).collect();
            orders.retain(|order| {
                let leave = spare > 0 && elsewhere.get(&order.id()).is_some_and(|to| *to != agent);
                spare -= usize::from(leave);
                !leave
            });
        }
        orders.truncate(wanted);
        offers.retain(|offer| offer.to != agent);
        if let Some(first) = orders.first()
            && offers.len() < OFFERS_MAX
        {
            offers.push_back(Offer {
                order: first.id(),
                to: agent,
                ends_at: now + LASTS,
            });
        }
    }

    fn current(&self, now: Instant) -> MutexGuard<'_, VecDeque<Offer>> {
        let mut offers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while offers.front().is_some_and(|offer| offer.ends_at <= now) {
            offers.pop_front();
        }
        offers
    }
}
