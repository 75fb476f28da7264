//! Who waits, by ticket, by agent, and by what would wake them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use brokkr_core::ids::AgentId;
use brokkr_core::names::WorkType;
use brokkr_core::routing::Route;
use tokio::sync::Notify;

use super::{Wanted, Work};

/// Everybody who waits. A smaller ticket has waited longer.
#[derive(Debug, Default)]
pub(super) struct Parking {
    next_ticket: u64,
    parked: HashMap<u64, Parked>,
    /// Those who may be woken for more work.
    listed: HashMap<Route, ByType>,
    by_agent: HashMap<AgentId, BTreeSet<u64>>,
}

/// Those who want orders of a type; under `None` those who want any.
type ByType = HashMap<Option<WorkType>, BTreeSet<u64>>;

#[derive(Debug)]
struct Parked {
    wanted: Wanted,
    /// How many pieces of work it is woken for at most.
    max: u32,
    notify: Arc<Notify>,
    listed: bool,
    /// What woke it, to be passed on if it cannot be used.
    woken_for: Vec<Wake>,
}

/// A piece of work that wakes somebody.
#[derive(Debug)]
pub(super) struct Wake {
    pub(super) work: Work,
    pub(super) origin: Origin,
}

/// Where work became claimable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// At this broker.
    Here,
    /// At another one, which has told all others.
    Elsewhere,
}

impl Wake {
    pub(super) const fn here(work: Work) -> Self {
        let origin = Origin::Here;
        Self { work, origin }
    }

    /// The work, if no other broker knows of it.
    pub(super) fn untold(self) -> Option<Work> {
        (self.origin == Origin::Here).then_some(self.work)
    }
}

impl Parked {
    /// What it is listed under.
    fn interests(&self) -> impl Iterator<Item = (&Route, Option<&WorkType>)> {
        let types: Vec<Option<&WorkType>> = match &self.wanted.work_types {
            None => vec![None],
            Some(types) => types.iter().map(Some).collect(),
        };
        let routes = self.wanted.routes.iter();
        routes.flat_map(move |route| types.clone().into_iter().map(move |work_type| (route, work_type)))
    }
}

impl Parking {
    pub(super) fn park(&mut self, wanted: Wanted, max: u32, notify: Arc<Notify>) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.by_agent.entry(wanted.agent).or_default().insert(ticket);
        let parked = Parked {
            wanted,
            max,
            notify,
            listed: true,
            woken_for: Vec::new(),
        };
        for (route, work_type) in parked.interests() {
            let by_type = self.listed.entry(route.clone()).or_default();
            by_type.entry(work_type.cloned()).or_default().insert(ticket);
        }
        self.parked.insert(ticket, parked);
        ticket
    }

    /// Wakes the waiter that has waited longest among those whom the work suits. Gives it back when there is none.
    pub(super) fn wake_one(&mut self, wake: Wake) -> Option<Wake> {
        let Some(ticket) = self.first_for(&wake.work) else {
            return Some(wake);
        };
        let Some(parked) = self.parked.get_mut(&ticket) else {
            return Some(wake);
        };
        parked.woken_for.push(wake);
        parked.notify.notify_one();
        if parked.woken_for.len() >= parked.max as usize {
            self.unlist(ticket);
        }
        None
    }

    fn first_for(&self, work: &Work) -> Option<u64> {
        let first_of = |route| {
            let by_type = self.listed.get(route)?;
            let first = |work_type| by_type.get(work_type)?.first().copied();
            first(&work.work_type).into_iter().chain(first(&None)).min()
        };
        work.routes.iter().filter_map(first_of).min()
    }

    pub(super) fn wake_agent(&self, agent: AgentId) {
        for ticket in self.by_agent.get(&agent).into_iter().flatten() {
            if let Some(parked) = self.parked.get(ticket) {
                parked.notify.notify_one();
            }
        }
    }

    /// From now on it is woken for nothing more.
    pub(super) fn unlist(&mut self, ticket: u64) {
        let Some(parked) = self.parked.get_mut(&ticket) else {
            return;
        };
        if !std::mem::take(&mut parked.listed) {
            return;
        }
        for (route, work_type) in parked.interests() {
            let Some(by_type) = self.listed.get_mut(route) else {
                continue;
            };
            let work_type = work_type.cloned();
            if let Some(tickets) = by_type.get_mut(&work_type) {
                tickets.remove(&ticket);
                if tickets.is_empty() {
                    by_type.remove(&work_type);
                }
            }
            if by_type.is_empty() {
                self.listed.remove(route);
            }
        }
    }

    /// What woke it has had its answer.
    pub(super) fn answered(&mut self, ticket: u64) {
        if let Some(parked) = self.parked.get_mut(&ticket) {
            parked.woken_for.clear();
        }
    }

    /// Removes it, and gives back what woke it and had no answer.
    pub(super) fn leave(&mut self, ticket: u64) -> Vec<Wake> {
        self.unlist(ticket);
        let Some(parked) = self.parked.remove(&ticket) else {
            return Vec::new();
        };
        let agent = parked.wanted.agent;
        if let Some(tickets) = self.by_agent.get_mut(&agent) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.by_agent.remove(&agent);
            }
        }
        parked.woken_for
    }

    /// The routes on which somebody may be woken, with the types that are wanted there (all without any).
    pub(super) fn wanted(&self) -> BTreeMap<Route, Option<BTreeSet<WorkType>>> {
        let types = |by_type: &ByType| by_type.keys().cloned().collect::<Option<BTreeSet<_>>>();
        self.listed
            .iter()
            .map(|(route, by_type)| (route.clone(), types(by_type)))
            .collect()
    }

    pub(super) fn nobody_waits(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.parked.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.parked.is_empty() && self.listed.is_empty() && self.by_agent.is_empty()
    }
}
