use futures_util::FutureExt as _;
use uuid::Uuid;

use super::*;

impl Waiters {
    /// Parks a claim of one order.
    fn park(&self, wanted: Wanted) -> Place {
        self.park_for(wanted, 1)
    }
}

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
    assert!(waiters.lock().is_empty());
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

#[test]
fn a_claim_of_many_is_woken_alone_for_as_many_orders_as_it_can_take() {
    let waiters = Waiters::default();
    let wide = waiters.park_for(wanted(&["a"], None), 3);
    let narrow = waiters.park(wanted(&["a"], None));
    waiters.wake((0..3).map(|_| work("a", "command")));
    assert!(is_woken(&wide) && !is_woken(&narrow));
    waiters.wake([work("a", "command")]);
    assert!(is_woken(&narrow));
}

#[test]
fn a_hundred_orders_wake_as_many_as_have_room() {
    let waiters = Waiters::default();
    let places: Vec<Place> = (0..10)
        .map(|_| waiters.park_for(wanted(&["a"], None), 25))
        .collect();
    waiters.wake((0..100).map(|_| work("a", "command")));
    assert_eq!(places.iter().filter(|place| is_woken(place)).count(), 4);
}

#[test]
fn a_waiter_that_looks_already_is_woken_for_nothing_more() {
    let waiters = Waiters::default();
    let looking = waiters.park_for(wanted(&["a"], None), 9);
    let next = waiters.park(wanted(&["a"], None));
    waiters.wake([work("a", "command")]);
    assert!(is_woken(&looking));
    waiters.wake([work("a", "command")]);
    assert!(is_woken(&next));
    looking.leave_having_looked();
    assert_eq!(waiters.len(), 1);
}

#[test]
fn all_wake_ups_of_a_waiter_that_hung_up_go_on() {
    let waiters = Waiters::default();
    let gone = waiters.park_for(wanted(&["a"], None), 2);
    let (next, after) = (
        waiters.park(wanted(&["a"], None)),
        waiters.park(wanted(&["a"], None)),
    );
    waiters.wake([work("a", "command"), work("a", "command")]);
    drop(gone);
    assert!(is_woken(&next) && is_woken(&after));
}

#[test]
fn of_those_who_want_a_type_and_those_who_want_any_the_first_is_woken() {
    let waiters = Waiters::default();
    let typed = waiters.park(wanted(&["a"], Some(&["build", "command"])));
    let any = waiters.park(wanted(&["a"], None));
    waiters.wake([work("a", "build")]);
    assert!(is_woken(&typed) && !is_woken(&any));
    waiters.wake([work("a", "build")]);
    assert!(is_woken(&any));
}

#[test]
fn all_waiters_of_an_agent_are_woken_and_nobody_elses() {
    let waiters = Waiters::default();
    let own = waiters.park(wanted(&["a"], None));
    let other = waiters.park(Wanted {
        agent: AgentId::new(Uuid::from_u128(1)),
        ..wanted(&["a"], None)
    });
    waiters.wake_agent(AgentId::new(Uuid::nil()));
    assert!(is_woken(&own) && !is_woken(&other));
}

#[test]
fn only_work_that_nobody_here_took_is_for_the_other_brokers() {
    let outbox = Outbox::default();
    outbox.open();
    let waiters = Waiters::new(outbox.clone());
    let place = waiters.park(wanted(&["a"], None));
    waiters.wake([work("a", "command")]);
    assert!(outbox.is_empty());
    drop(place);
    assert!(!outbox.is_empty());
}

#[test]
fn what_another_broker_told_is_told_to_nobody() {
    let outbox = Outbox::default();
    outbox.open();
    let waiters = Waiters::new(outbox.clone());
    let places: Vec<Place> = (0..2).map(|_| waiters.park(wanted(&["a"], None))).collect();
    waiters.wake_heard(&work("a", "command"), 3);
    assert!(places.iter().all(is_woken));
    drop(places);
    waiters.wake_agent_heard(AgentId::new(Uuid::nil()));
    assert!(outbox.is_empty());
}
