//! Claims that wait for work, parked in memory by the routes on which their agents listen.
//!
//! Waiting costs no database work, and neither does a piece of work cost more the more claims wait: it looks at the first
//! waiter of each of its routes. When an order becomes claimable, one waiter that it suits is woken; it then claims like
//! anybody else, so a wake-up carries no authority and a lost race costs one query. A wake-up that its waiter could not use
//! (its caller hung up, or it had found work by itself) goes on to the next waiter. What no waiter takes is told to the
//! other brokers, unless it came from them.

mod parking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokkr_core::ids::AgentId;
use brokkr_core::names::WorkType;
use brokkr_core::routing::Route;
use tokio::sync::Notify;

use super::nudges::Outbox;
use parking::{Origin, Parking, Wake};

/// Everybody who waits for work at this broker. Cheap to clone; all clones share one list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiters {
    parking: Arc<Mutex<Parking>>,
    outbox: Outbox,
}

/// Work that can be claimed now: where it leads, and of which type it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Work {
    /// Its routes.
    pub(crate) routes: Vec<Route>,
    /// Its type; `None` when that was not looked at, so that it suits only who wants any.
    pub(crate) work_type: Option<WorkType>,
}

/// What somebody waits for: the routes of an agent, and the types that it wants (all without any).
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Who waits.
    pub(crate) agent: AgentId,
    /// On which it listens.
    pub(crate) routes: Vec<Route>,
    /// `None` for all types.
    pub(crate) work_types: Option<BTreeSet<WorkType>>,
}

/// A place in the parking. Leaving it, in whatever way, passes an unused wake-up on.
#[derive(Debug)]
pub(crate) struct Place {
    waiters: Waiters,
    ticket: u64,
    notify: Arc<Notify>,
}

impl Waiters {
    /// Nobody waits yet. What nobody takes goes to `outbox`.
    pub(crate) fn new(outbox: Outbox) -> Self {
        Self {
            parking: Arc::default(),
            outbox,
        }
    }

    /// Parks a claim of up to `max` orders: so many pieces of work wake it alone. Look for work after this and before waiting, or
    /// work that came in between is missed.
    pub(crate) fn park_for(&self, wanted: Wanted, max: u32) -> Place {
        let notify = Arc::new(Notify::new());
        let ticket = self.lock().park(wanted, max, Arc::clone(&notify));
        Place {
            waiters: self.clone(),
            ticket,
            notify,
        }
    }

    /// Wakes one waiter for each piece of work: the one that has waited longest among those that it suits.
    pub(crate) fn wake(&self, work: impl IntoIterator<Item = Work>) {
        let wakes = work.into_iter().map(Wake::here);
        self.wake_all(wakes);
    }

    /// The same for `count` pieces of work of which another broker told.
    pub(crate) fn wake_heard(&self, work: &Work, count: u32) {
        let mut parking = self.lock();
        for _ in 0..count {
            let wake = Wake {
                work: work.clone(),
                origin: Origin::Elsewhere,
            };
            if parking.wake_one(wake).is_some() {
                break;
            }
        }
    }

    /// Wakes every waiter of an agent, whose routes or status have changed, wherever it waits.
    pub(crate) fn wake_agent(&self, agent: AgentId) {
        self.wake_agent_heard(agent);
        self.outbox.add_agent(agent);
    }

    /// The same for an agent of which another broker told.
    pub(crate) fn wake_agent_heard(&self, agent: AgentId) {
        self.lock().wake_agent(agent);
    }

    /// The routes on which somebody waits, with the types that are wanted there (all without any).
    pub(crate) fn wanted(&self) -> BTreeMap<Route, Option<BTreeSet<WorkType>>> {
        self.lock().wanted()
    }

    /// How many claims wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn wake_all(&self, wakes: impl Iterator<Item = Wake>) {
        let mut parking = self.lock();
        if parking.nobody_waits() && !self.outbox.is_open() {
            return;
        }
        let left: Vec<Work> = wakes
            .filter_map(|wake| parking.wake_one(wake))
            .filter_map(Wake::untold)
            .collect();
        drop(parking);
        self.outbox.add_work(left);
    }

    fn lock(&self) -> MutexGuard<'_, Parking> {
        self.parking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits to be woken. A wake-up that came before the call counts, and none comes afterwards: what is new from then on
    /// is for those who do not look yet.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
        self.waiters.lock().unlist(self.ticket);
    }

    /// Leaves after looking for work. What was found answers the wake-up, even when that was nothing.
    pub(crate) fn leave_having_looked(self) {
        self.waiters.lock().answered(self.ticket);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let unused = self.waiters.lock().leave(self.ticket);
        if !unused.is_empty() {
            self.waiters.wake_all(unused.into_iter());
        }
    }
}

#[cfg(test)]
mod tests;
