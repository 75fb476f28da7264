//! What is done with an order, at random.

use brokkr_core::life::Delivery;
use brokkr_core::retry::FailureClass;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Claim,
    ClaimNext,
    Renew,
    Release,
    Succeed,
    /// Whether it may be retried is said, or left to the class.
    Fail {
        class: FailureClass,
        retryable: Option<bool>,
    },
    Cancel,
    Delete,
    Retry,
    /// The database is what a backup knew, and is told so.
    Restore,
    Pass {
        seconds: u64,
    },
}

/// What is done, whether by the current attempt or by the one before it, and at which of two brokers on one database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) act: Act,
    pub(super) current: bool,
    pub(super) at_replica: bool,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![
        Just(FailureClass::Infrastructure),
        Just(FailureClass::Infrastructure),
        Just(FailureClass::Work),
        Just(FailureClass::Refused),
        Just(FailureClass::Cancelled)
    ];
    let act = prop_oneof![
        4 => Just(Act::Claim),
        4 => Just(Act::ClaimNext),
        2 => Just(Act::Renew),
        2 => Just(Act::Release),
        1 => Just(Act::Succeed),
        6 => (class, any::<Option<bool>>()).prop_map(|(class, retryable)| Act::Fail { class, retryable }),
        1 => Just(Act::Cancel),
        2 => Just(Act::Retry),
        1 => Just(Act::Restore),
        1 => prop_oneof![4 => Just(Act::Renew), 1 => Just(Act::Delete)],
        5 => prop_oneof![0..70_u64, 0..10_000_u64].prop_map(|seconds| Act::Pass { seconds }),
    ];
    (act, prop::bool::weighted(0.85), any::<bool>()).prop_map(|(act, current, at_replica)| Step {
        act,
        current,
        at_replica,
    })
}

/// What is said of an order when it is submitted; times in seconds from then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) delivery: Delivery,
    pub(super) max_retries: u32,
    pub(super) infrastructure_retries_max: u32,
    /// None leaves the choice, and so the jitter, to the broker.
    pub(super) backoff_seconds: Option<u32>,
    pub(super) run_at: Option<u64>,
    pub(super) start_by: Option<u64>,
}

pub(super) fn terms() -> impl Strategy<Value = Terms> {
    let delivery = prop_oneof![3 => Just(Delivery::AtLeastOnce), 1 => Just(Delivery::AtMostOnce)];
    let run_at = prop::option::weighted(0.3, 0..100_u64);
    let start_by = prop::option::weighted(0.3, 100..300_u64);
    let backoff_seconds = prop::option::weighted(0.7, 0..40_u32);
    (delivery, 0..4_u32, 0..3_u32, backoff_seconds, run_at, start_by).prop_map(
        |(delivery, max_retries, infrastructure_retries_max, backoff_seconds, run_at, start_by)| Terms {
            delivery,
            max_retries,
            infrastructure_retries_max,
            backoff_seconds,
            run_at,
            start_by,
        },
    )
}
