//! The invariants of an order's life, over random sequences of events.

use brokkr_core::attempt::{Attempt, Epoch};
use brokkr_core::ids::AgentId;
use brokkr_core::life::{Delivery, Event, Life, Policy, State};
use brokkr_core::retry::{Budget, FailureClass, backoff_seconds};
use brokkr_core::time::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

fn time() -> impl Strategy<Value = Timestamp> {
    (0..2_000_i64).prop_map(|seconds| Timestamp::from_micros(seconds * 1_000_000))
}

fn attempt() -> impl Strategy<Value = Attempt> {
    prop_oneof![0..8_i64, 1_000..1_008_i64].prop_map(Attempt::new)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    prop_oneof![3 => Just(Epoch::FIRST), 1 => Just(Epoch::new(1_000))]
}

fn event() -> impl Strategy<Value = Event> {
    let class = proptest::option::of(proptest::sample::select(FailureClass::ALL.to_vec()));
    let budgets = vec![Budget::Retries, Budget::Infrastructure];
    let retry = proptest::option::of(proptest::sample::select(budgets));
    prop_oneof![
        4 => (0..3_u128, time(), time(), epoch()).prop_map(|(agent, now, lease_expires_at, epoch)| Event::Claim {
            agent: AgentId::new(Uuid::from_u128(agent)),
            now,
            lease_expires_at,
            epoch,
        }),
        2 => (attempt(), time()).prop_map(|(attempt, lease_expires_at)| Event::Renew { attempt, lease_expires_at }),
        2 => attempt().prop_map(|attempt| Event::Release { attempt }),
        1 => attempt().prop_map(|attempt| Event::Succeed { attempt }),
        4 => (attempt(), class, retry, time(), any::<u64>())
            .prop_map(|(attempt, class, retry, now, random)| Event::Fail { attempt, class, retry, now, random }),
        3 => time().prop_map(|now| Event::LeasePassed { now }),
        1 => Just(Event::HolderRemoved),
        1 => (time(), time(), any::<bool>())
            .prop_map(|(now, deadline, retry)| Event::DeadlinePassed { now, deadline, retry }),
        1 => Just(Event::Restored),
        1 => Just(Event::Cancel),
        1 => time().prop_map(|now| Event::StartByPassed { now }),
        3 => time().prop_map(|now| Event::Due { now }),
        1 => Just(Event::Delete),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        any::<bool>(),
        0..5_u32,
        0..4_u32,
        (0..100_u32, any::<bool>()),
        proptest::option::of(time()),
    )
        .prop_map(
            |(
                at_least_once,
                max_retries,
                infrastructure_retries_max,
                (backoff_seconds, backoff_jitter),
                start_by,
            )| Policy {
                delivery: if at_least_once {
                    Delivery::AtLeastOnce
                } else {
                    Delivery::AtMostOnce
                },
                max_retries,
                infrastructure_retries_max,
                backoff_seconds,
                backoff_jitter,
                start_by,
            },
        )
}

fn attempt_of(event: Event) -> Option<Attempt> {
    match event {
        Event::Renew { attempt, .. }
        | Event::Release { attempt }
        | Event::Succeed { attempt }
        | Event::Fail { attempt, .. } => Some(attempt),
        _ => None,
    }
}

/// Applies the events that are legal and hands each legal step to `step`.
fn live(
    policy: Policy,
    run_at: Option<Timestamp>,
    events: Vec<Event>,
    mut step: impl FnMut(Life, Event, Life),
) {
    let mut life = Life::begin(policy, Timestamp::from_micros(0), run_at);
    for event in events {
        if let Ok(after) = life.apply(event) {
            step(life, event, after);
            life = after;
        }
    }
}

proptest! {
    #[test]
    fn attempt_numbers_only_grow_and_only_by_claims(
        policy in policy(), run_at in proptest::option::of(time()), events in prop::collection::vec(event(), 0..80),
    ) {
        live(policy, run_at, events, |before, event, after| {
            if let Event::Claim { epoch, .. } = event {
                assert!(before.attempt < after.attempt && epoch.number() < after.attempt.number());
            } else {
                assert_eq!(after.attempt, before.attempt);
            }
        });
    }

    #[test]
    fn only_the_current_attempt_of_a_claimed_order_changes_it(
        policy in policy(), events in prop::collection::vec(event(), 0..80),
    ) {
        live(policy, None, events, |before, event, _| {
            if let Some(attempt) = attempt_of(event) {
                assert_eq!(attempt, before.attempt);
                assert!(matches!(before.state, State::Claimed(_)));
            }
        });
    }

    #[test]
    fn no_order_is_sent_back_more_often_than_its_retries_allow(
        policy in policy(), events in prop::collection::vec(event(), 0..80),
    ) {
        let mut sent_back = 0;
        live(policy, None, events, |_, event, after| {
            assert!(after.retry_count + after.lost_count <= policy.max_retries);
            assert!(after.infrastructure_retry_count <= policy.infrastructure_retries_max);
            let given_back = matches!(event, Event::Release { .. });
            let waits = matches!(after.state, State::Pending | State::RetryPending { .. });
            if waits && !given_back && !matches!(event, Event::Due { .. }) {
                sent_back += 1;
            }
        });
        assert!(sent_back <= policy.max_retries + policy.infrastructure_retries_max, "no order cycles for ever");
    }

    #[test]
    fn a_retry_is_paid_for_by_one_budget_and_leaves_the_other_as_it_was(
        policy in policy(), events in prop::collection::vec(event(), 0..80),
    ) {
        live(policy, None, events, |before, event, after| {
            let counts = |life: Life| (life.retry_count, life.infrastructure_retry_count);
            let (retries, infrastructure) = counts(before);
            let expected = match (event, after.state) {
                (Event::Fail { retry: Some(Budget::Retries), .. }, State::RetryPending { .. }) => (retries + 1, infrastructure),
                (Event::Fail { retry: Some(Budget::Infrastructure), .. }, State::RetryPending { .. }) => (retries, infrastructure + 1),
                _ => counts(before),
            };
            assert_eq!(counts(after), expected);
        });
    }

    #[test]
    fn a_retry_waits_as_long_as_the_contract_says_or_with_jitter_at_least_half_of_it(
        policy in policy(), events in prop::collection::vec(event(), 0..80),
    ) {
        live(policy, None, events, |before, event, after| {
            let (Event::Fail { now, .. }, State::RetryPending { not_before }) = (event, after.state) else { return };
            let count = if after.retry_count > before.retry_count {
                after.retry_count
            } else {
                after.infrastructure_retry_count
            };
            let wait = backoff_seconds(policy.backoff_seconds, count);
            let latest = now.plus_seconds(wait);
            let earliest = if policy.backoff_jitter { now.plus_seconds(wait / 2) } else { latest };
            assert!((earliest..=latest).contains(&not_before));
        });
    }

    #[test]
    fn what_has_ended_never_changes(policy in policy(), events in prop::collection::vec(event(), 0..80)) {
        live(policy, None, events, |before, _, _| assert!(before.state.queued()));
    }

    #[test]
    fn a_lease_never_becomes_shorter(policy in policy(), events in prop::collection::vec(event(), 0..80)) {
        live(policy, None, events, |before, _, after| {
            if let (State::Claimed(before), State::Claimed(after)) = (before.state, after.state) {
                assert!(before.expires_at <= after.expires_at && before.agent == after.agent);
            }
        });
    }

    #[test]
    fn an_order_delivered_at_most_once_never_comes_back_from_a_lost_attempt(
        policy in policy(), events in prop::collection::vec(event(), 0..80),
    ) {
        let policy = Policy { delivery: Delivery::AtMostOnce, ..policy };
        live(policy, None, events, |_, _, after| assert_eq!(after.lost_count, 0));
    }

    #[test]
    fn an_order_delivered_at_most_once_never_comes_back_from_a_failure_around_its_work(
        policy in policy(), events in prop::collection::vec(event(), 0..80),
    ) {
        let policy = Policy { delivery: Delivery::AtMostOnce, ..policy };
        live(policy, None, events, |_, event, after| {
            if let Event::Fail { class: Some(FailureClass::Infrastructure), .. } = event {
                assert!(!after.state.queued(), "{after:?}");
            }
        });
    }

    #[test]
    fn a_cancel_request_is_never_forgotten(policy in policy(), events in prop::collection::vec(event(), 0..80)) {
        live(policy, None, events, |before, _, after| {
            if let State::Claimed(lease) = before.state
                && lease.cancel_requested
            {
                let still = matches!(after.state, State::Claimed(lease) if lease.cancel_requested);
                assert!(still || !after.state.queued(), "{after:?}");
            }
        });
    }
}
