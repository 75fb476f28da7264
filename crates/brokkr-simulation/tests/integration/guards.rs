//! A simulation that sees nothing proves nothing: without one of its guards the broker breaks promises, and that is noticed.

use rstest::rstest;

use crate::many;

/// Far more than it takes.
const SEEDS_MAX: u64 = 400;

#[rstest]
#[case::a_stale_attempt_may_end_the_order("attempt-of-ending")]
#[case::an_order_that_waits_may_be_ended("status-of-ending")]
#[case::attempts_are_lost_before_their_lease_has_passed("lease-of-sweep")]
#[case::attempts_after_a_restoration_have_numbers_from_before_it("epoch-of-restore")]
#[case::an_order_leaves_the_queue_after_it_came_into_the_log("one-transaction")]
fn a_missing_guard_is_noticed(#[case] guard: &str) {
    let summary = many(SEEDS_MAX, Some(guard))
        .run(|_| {})
        .expect("the simulations work");
    let Some(outcome) = summary.failed else {
        panic!("without {guard}, {} seeds broke no promise", summary.seeds);
    };
    println!(
        "without {guard}, seed {} is the first to break a promise: {}",
        outcome.seed,
        outcome.violations.join("; ")
    );
}
