//! Who gets what of the orders that wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use brokkr_core::ids::WorkOrderId;
use brokkr_core::limits::Priority;
use brokkr_core::names::WorkType;
use brokkr_core::routing::Route;

use super::Wish;
use crate::dal::routes::Routed;

/// An order that waits, and the route on which it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) on: Route,
    pub(super) order: Routed,
}

/// How orders are claimed: higher priorities first, then older ones.
type Place = (Reverse<Priority>, WorkOrderId);

/// The orders that nobody has chosen yet.
pub(super) struct Choice<'w> {
    by_route: HashMap<&'w Route, BTreeMap<Place, &'w Routed>>,
    taken: HashSet<WorkOrderId>,
}

impl<'w> Choice<'w> {
    pub(super) fn among(waiting: &'w [Waiting]) -> Self {
        let mut by_route: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        for Waiting { on, order } in waiting {
            by_route
                .entry(on)
                .or_default()
                .insert((Reverse(order.priority), order.id), order);
        }
        Self {
            by_route,
            taken: HashSet::new(),
        }
    }

    /// Chooses the next orders for a wish, and takes them out of what the next one chooses from.
    pub(super) fn choose(&mut self, wish: &Wish<'_>) -> Vec<&'w Routed> {
        let max = wish.max.get() as usize;
        // Of several types each has its own turn; who takes every type has none to be fair to.
        let several = wish.work_types.len() > 1;
        let mut by_type: BTreeMap<Option<&WorkType>, BTreeMap<Place, &'w Routed>> = BTreeMap::new();
        for route in wish.routes {
            let mut found: HashMap<&WorkType, usize> = HashMap::new();
            for (place, order) in self.by_route.get(route).into_iter().flatten() {
                let suits = wish.work_types.is_empty() || wish.work_types.contains(&order.work_type);
                let count = found.entry(&order.work_type).or_default();
                if suits && *count < max && !self.taken.contains(&order.id) {
                    *count += 1;
                    let turn = several.then_some(&order.work_type);
                    by_type.entry(turn).or_default().insert(*place, order);
                }
            }
        }
        let mut ranked: Vec<_> = by_type.into_values().flat_map(with_turns).collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        let chosen: Vec<_> = ranked.into_iter().take(max).map(|(_, order)| order).collect();
        self.taken.extend(chosen.iter().map(|order| order.id));
        chosen
    }
}

/// Numbers the orders of one type within each priority.
fn with_turns(
    orders: BTreeMap<Place, &Routed>,
) -> impl Iterator<Item = ((Reverse<Priority>, usize, WorkOrderId), &Routed)> {
    let mut turn = (None, 0);
    orders.into_iter().map(move |((priority, id), order)| {
        turn = if turn.0 == Some(priority) {
            (turn.0, turn.1 + 1)
        } else {
            (Some(priority), 0)
        };
        ((priority, turn.1, id), order)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use brokkr_core::ids::AgentId;
    use brokkr_core::limits::{ClaimMax, LeaseSeconds};
    use uuid::Uuid;

    use super::*;

    fn waiting(id: u128, priority: i64, route: &str, work_type: &str) -> Waiting {
        let on = Route::stored(route.to_owned());
        Waiting {
            on: on.clone(),
            order: Routed {
                id: WorkOrderId::new(Uuid::from_u128(id)),
                work_type: WorkType::parse(work_type).unwrap(),
                priority: Priority::new(priority).unwrap(),
                routes: BTreeSet::from([on]),
            },
        }
    }

    fn chosen(choice: &mut Choice<'_>, routes: &[&str], types: &[&str], max: i64) -> Vec<u128> {
        let routes: Vec<_> = routes
            .iter()
            .map(|route| Route::stored((*route).to_owned()))
            .collect();
        let work_types: Vec<_> = types.iter().map(|name| WorkType::parse(*name).unwrap()).collect();
        let wish = Wish {
            agent: AgentId::new(Uuid::nil()),
            routes: &routes,
            instance_id: "process",
            work_types: &work_types,
            max: ClaimMax::new(max).unwrap(),
            lease_seconds: LeaseSeconds::default(),
        };
        let orders = choice.choose(&wish);
        orders
            .into_iter()
            .map(|order| order.id.as_uuid().as_u128())
            .collect()
    }

    #[test]
    fn higher_priorities_come_first_then_older_ones_and_none_twice() {
        let found = [
            waiting(1, 0, "label:a", "command"),
            waiting(2, 9, "label:b", "command"),
            waiting(3, 0, "label:b", "command"),
            waiting(1, 0, "label:b", "command"),
        ];
        let mut choice = Choice::among(&found);
        assert_eq!(chosen(&mut choice, &["label:a", "label:b"], &[], 2), [2, 1]);
        assert_eq!(chosen(&mut choice, &["label:a", "label:b"], &[], 2), [3]);
    }

    #[test]
    fn nobody_gets_what_is_not_on_its_routes_or_not_of_its_types() {
        let found = [
            waiting(1, 0, "label:a", "command"),
            waiting(2, 0, "label:b", "build"),
        ];
        let mut choice = Choice::among(&found);
        assert_eq!(chosen(&mut choice, &["label:a"], &["build"], 9), [] as [u128; 0]);
        assert_eq!(chosen(&mut choice, &["label:b"], &["build"], 9), [2]);
    }

    #[test]
    fn no_type_starves_another_one_of_the_same_priority() {
        let mut found: Vec<_> = (1..=5).map(|id| waiting(id, 0, "label:a", "command")).collect();
        found.push(waiting(9, 0, "label:a", "build"));
        found.push(waiting(10, 5, "label:a", "command"));
        let mut choice = Choice::among(&found);
        assert_eq!(
            chosen(&mut choice, &["label:a"], &["build", "command"], 4),
            [10, 1, 9, 2]
        );
    }
}
