//! Claims that wait for work, parked in memory by the routes on which their agents listen.
//!
//! Waiting costs no database work. When an order becomes claimable, one waiter that it suits is woken; it then claims like
//! anybody else, so a wake-up carries no authority and a lost race costs one query. A wake-up that its waiter could not use
//! (its caller hung up, or it had found work by itself) goes on to the next waiter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokkr_core::ids::AgentId;
use brokkr_core::names::WorkType;
use brokkr_core::routing::Route;
use tokio::sync::Notify;

/// Everybody who waits for work at this broker. Cheap to clone; all clones share one list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiters(Arc<Mutex<Parking>>);

#[derive(Debug, Default)]
struct Parking {
    next_ticket: u64,
    parked: BTreeMap<u64, Parked>,
    by_route: HashMap<Route, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Parked {
    agent: AgentId,
    routes: Vec<Route>,
    work_types: Option<BTreeSet<WorkType>>,
    notify: Arc<Notify>,
    /// What woke it, to be passed on if it cannot be used.
    woken_for: Option<Work>,
}

/// Work that can be claimed now: where it leads, and of which type it is.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Parks a claim. Look for work after this and before waiting, or work that came in between is missed.
    pub(crate) fn park(&self, wanted: Wanted) -> Place {
        let notify = Arc::new(Notify::new());
        let mut parking = self.lock();
        let ticket = parking.next_ticket;
        parking.next_ticket += 1;
        for route in &wanted.routes {
            parking.by_route.entry(route.clone()).or_default().insert(ticket);
        }
        let Wanted {
            agent,
            routes,
            work_types,
        } = wanted;
        let parked = Parked {
            agent,
            routes,
            work_types,
            notify: Arc::clone(&notify),
            woken_for: None,
        };
        parking.parked.insert(ticket, parked);
        Place {
            waiters: self.clone(),
            ticket,
            notify,
        }
    }

    /// Wakes one waiter for each piece of work: the one that has waited longest among those that it suits.
    pub(crate) fn wake(&self, work: impl IntoIterator<Item = Work>) {
        let mut parking = self.lock();
        if parking.parked.is_empty() {
            return;
        }
        for work in work {
            parking.wake_one(work);
        }
    }

    /// Wakes every waiter of an agent, whose routes or status have changed.
    pub(crate) fn wake_agent(&self, agent: AgentId) {
        let parking = self.lock();
        for parked in parking.parked.values().filter(|parked| parked.agent == agent) {
            parked.notify.notify_one();
        }
    }

    /// The routes on which somebody waits, with the types that are wanted there (all without any).
    pub(crate) fn wanted(&self) -> BTreeMap<Route, Option<BTreeSet<WorkType>>> {
        let parking = self.lock();
        let mut wanted: BTreeMap<Route, Option<BTreeSet<WorkType>>> = BTreeMap::new();
        for parked in parking
            .parked
            .values()
            .filter(|parked| parked.woken_for.is_none())
        {
            for route in &parked.routes {
                let types = wanted
                    .entry(route.clone())
                    .or_insert_with(|| Some(BTreeSet::new()));
                match (types.as_mut(), &parked.work_types) {
                    (Some(types), Some(more)) => types.extend(more.iter().cloned()),
                    _ => *types = None,
                }
            }
        }
        wanted
    }

    /// How many claims wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().parked.len()
    }

    fn lock(&self) -> MutexGuard<'_, Parking> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parking {
    fn wake_one(&mut self, work: Work) {
        let suits = |ticket: &u64| {
            let types = self
                .parked
                .get(ticket)
                .and_then(|parked| parked.work_types.as_ref());
            types.is_none_or(|types| work.work_type.as_ref().is_some_and(|found| types.contains(found)))
        };
        let first_of = |route| self.by_route.get(route)?.iter().copied().find(&suits);
        let Some(ticket) = work.routes.iter().filter_map(first_of).min() else {
            return;
        };
        self.unlist(ticket);
        if let Some(parked) = self.parked.get_mut(&ticket) {
            parked.woken_for = Some(work);
            parked.notify.notify_one();
        }
    }

    /// Whoever was woken is woken for nothing else.
    fn unlist(&mut self, ticket: u64) {
        let Some(parked) = self.parked.get(&ticket) else {
            return;
        };
        for route in &parked.routes {
            if let Some(tickets) = self.by_route.get_mut(route) {
                tickets.remove(&ticket);
                if tickets.is_empty() {
                    self.by_route.remove(route);
                }
            }
        }
    }
}

impl Place {
    /// Waits to be woken. A wake-up that came before the call counts.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// Leaves after looking for work. What was found answers the wake-up, even when that was nothing.
    pub(crate) fn leave_having_looked(self) {
        if let Some(parked) = self.waiters.lock().parked.get_mut(&self.ticket) {
            parked.woken_for = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut parking = self.waiters.lock();
        parking.unlist(self.ticket);
        let left = parking.parked.remove(&self.ticket);
        if let Some(work) = left.and_then(|parked| parked.woken_for) {
            parking.wake_one(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn route(name: &str) -> Route {
        Route::stored(format!("label:{name}"))
    }

    fn wanted(routes: &[&str], types: Option<&[&str]>) -> Wanted {
        Wanted {
            agent: AgentId::new(Uuid::nil()),
            routes: routes.iter().copied().map(route).collect(),
            work_types: types.map(|types| types.iter().map(|name| WorkType::parse(*name).unwrap()).collect()),
        }
    }

    fn work(name: &str, work_type: &str) -> Work {
        Work {
            routes: vec![route(name)],
            work_type: Some(WorkType::parse(work_type).unwrap()),
        }
    }

    fn is_woken(place: &Place) -> bool {
        place.woken().now_or_never().is_some()
    }

    #[test]
    fn one_order_wakes_one_waiter_and_the_one_that_waited_longest() {
        let waiters = Waiters::default();
        let first = waiters.park(wanted(&["a", "b"], None));
        let second = waiters.park(wanted(&["b"], None));

        waiters.wake([work("b", "command")]);
        assert!(is_woken(&first) && !is_woken(&second));

        waiters.wake([work("b", "command")]);
        assert!(!is_woken(&first) && is_woken(&second));
    }

    #[test]
    fn work_that_suits_nobody_wakes_nobody() {
        let waiters = Waiters::default();
        let place = waiters.park(wanted(&["a"], Some(&["build"])));
        waiters.wake([work("a", "command"), work("b", "build")]);
        assert!(!is_woken(&place));
        waiters.wake([work("a", "build")]);
        assert!(is_woken(&place));
    }

    #[test]
    fn a_wake_up_that_was_not_used_goes_on_to_the_next() {
        let waiters = Waiters::default();
        let gone = waiters.park(wanted(&["a"], None));
        let next = waiters.park(wanted(&["a"], None));
        waiters.wake([work("a", "command")]);
        drop(gone);
        assert!(is_woken(&next));
    }

    #[test]
    fn a_wake_up_that_was_used_ends_there() {
        let waiters = Waiters::default();
        let used = waiters.park(wanted(&["a"], None));
        let next = waiters.park(wanted(&["a"], None));
        waiters.wake([work("a", "command")]);
        used.leave_having_looked();
        assert!(!is_woken(&next));
        drop(next);
        assert_eq!(waiters.len(), 0);
        assert!(waiters.lock().by_route.is_empty());
    }

    #[test]
    fn what_is_wanted_on_a_route_is_what_any_of_its_waiters_wants() {
        let waiters = Waiters::default();
        let _narrow = waiters.park(wanted(&["a", "b"], Some(&["build"])));
        let _wide = waiters.park(wanted(&["b"], None));
        let found = waiters.wanted();
        assert_eq!(found[&route("a")].as_ref().map(BTreeSet::len), Some(1));
        assert_eq!(found[&route("b")], None);
    }
}
