//! Random lives: the pure model, SQLite and PostgreSQL agree after every step, also about what cannot happen.

use brokkr_broker::dal::attempts::Report;
use brokkr_broker::dal::endings::{self, EndingOrder, Retry, Return, Returned};
use brokkr_broker::dal::renewals;
use brokkr_broker::dal::work_orders::{NewOrder, QueueStatus};
use brokkr_broker::dal::{Tx, claims, sweeps};
use brokkr_core::attempt::{Attempt, Epoch};
use brokkr_core::life::{AttemptEnding, Delivery, Ending, Event, Life, Policy};
use brokkr_core::retry::{Budget, FailureClass};
use brokkr_core::time::Timestamp;
use brokkr_testkit::Backend;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::queue::{INSTANCE, LEASE, Queue, agent, id, lease, order, renewing};
use super::samples::at;

const CASES: u32 = 48;

/// How long a claim by id holds, in seconds.
const CLAIM_TIMEOUT: u64 = 3_600;

#[derive(Debug, Clone, Copy)]
enum Act {
    Claim,
    Renew,
    Release,
    Succeed,
    Fail {
        cancelled: bool,
        retry: Option<Budget>,
        random: u64,
    },
    LeasePassed,
    HolderRemoved,
    Restored,
    Cancel,
    StartByPassed,
    Due,
    Delete,
}

/// What happens, how many seconds after the step before, and whether by the current attempt or by one that is not.
#[derive(Debug, Clone, Copy)]
struct Step {
    act: Act,
    after: u64,
    current: bool,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Claim),
        2 => Just(Act::Renew),
        2 => Just(Act::Release),
        1 => Just(Act::Succeed),
        6 => (any::<bool>(), retry(), any::<u64>())
            .prop_map(|(cancelled, retry, random)| Act::Fail { cancelled, retry, random }),
        3 => Just(Act::LeasePassed),
        1 => Just(Act::HolderRemoved),
        1 => Just(Act::Restored),
        1 => Just(Act::Cancel),
        1 => Just(Act::StartByPassed),
        4 => Just(Act::Due),
        1 => prop_oneof![9 => Just(Act::Renew), 1 => Just(Act::Delete)],
    ]
}

fn retry() -> impl Strategy<Value = Option<Budget>> {
    prop_oneof![
        Just(None),
        Just(Some(Budget::Retries)),
        Just(Some(Budget::Infrastructure))
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let after = prop_oneof![3 => 0..40_u64, 1 => 0..4_000_u64];
    (act(), after, prop::bool::weighted(0.9)).prop_map(|(act, after, current)| Step { act, after, current })
}

fn policy() -> impl Strategy<Value = Policy> {
    let delivery = prop_oneof![3 => Just(Delivery::AtLeastOnce), 1 => Just(Delivery::AtMostOnce)];
    let start_by = prop::option::weighted(0.3, 0..300_u64);
    let backoff = (0..100_u32, any::<bool>());
    (delivery, 0..4_u32, 0..3_u32, backoff, start_by).prop_map(
        |(delivery, max_retries, infrastructure_retries_max, (backoff_seconds, backoff_jitter), start_by)| {
            Policy {
                delivery,
                max_retries,
                infrastructure_retries_max,
                backoff_seconds,
                backoff_jitter,
                start_by: start_by.map(at),
            }
        },
    )
}

fn event(step: Step, life: Life, epoch: Epoch, now: Timestamp) -> Event {
    let attempt = if step.current {
        life.attempt
    } else {
        life.attempt.next_in(epoch)
    };
    match step.act {
        Act::Claim => Event::Claim {
            agent: agent(),
            now,
            lease_expires_at: now.plus_seconds(CLAIM_TIMEOUT),
            epoch,
        },
        Act::Renew => Event::Renew {
            attempt,
            lease_expires_at: now.plus_seconds(LEASE),
        },
        Act::Release => Event::Release { attempt },
        Act::Succeed => Event::Succeed { attempt },
        Act::Fail {
            cancelled,
            retry,
            random,
        } => {
            let class = if cancelled {
                FailureClass::Cancelled
            } else {
                FailureClass::Infrastructure
            };
            Event::Fail {
                attempt,
                class: Some(class),
                retry,
                now,
                random,
            }
        }
        Act::LeasePassed => Event::LeasePassed { now },
        Act::HolderRemoved => Event::HolderRemoved,
        Act::Restored => Event::Restored,
        Act::Cancel => Event::Cancel,
        Act::StartByPassed => Event::StartByPassed { now },
        Act::Due => Event::Due { now },
        Act::Delete => Event::Delete,
    }
}

/// Tries in the store what the model refused, as a broker would that did not ask. Nothing may come of it.
async fn try_refused(tx: &mut Tx, number: u64, event: Event, now: Timestamp) {
    let id = id(number);
    match event {
        Event::Claim { agent, now, .. } => {
            assert_eq!(claims::claim_by_id(tx, id, agent, now).await.unwrap(), None);
        }
        Event::Renew { attempt, .. } => {
            let renewal = renewing(agent(), INSTANCE, lease());
            assert_eq!(
                renewals::renew_many(tx, [(id, attempt)].iter().map(renewal), now)
                    .await
                    .unwrap(),
                []
            );
        }
        Event::Release { attempt } => {
            let back = Return {
                id,
                attempt,
                reason: Returned::Released,
            };
            assert!(
                endings::return_to_pending_many(tx, &[back], now)
                    .await
                    .unwrap()
                    .is_empty()
            );
        }
        Event::Succeed { attempt } => log_nothing(tx, number, QueueStatus::Claimed, attempt, now).await,
        Event::Fail { attempt, retry, .. } => {
            let retry = Retry {
                id,
                attempt,
                budget: retry.unwrap_or(Budget::Retries),
                not_before: now,
                last_error: String::new(),
            };
            assert!(
                endings::schedule_retry_many(tx, &[retry], now)
                    .await
                    .unwrap()
                    .is_empty()
            );
            log_nothing(tx, number, QueueStatus::Claimed, attempt, now).await;
        }
        Event::LeasePassed { now } => {
            let found = sweeps::expired_leases(tx, now, 1_000).await.unwrap();
            assert!(found.iter().all(|head| head.id != id));
        }
        Event::DeadlinePassed { .. } => {
            let found = sweeps::overdue_attempts(tx, at(4_000_000), 1_000).await.unwrap();
            assert!(found.iter().all(|head| head.id != id), "it has no deadline");
        }
        Event::StartByPassed { now } => {
            let found = sweeps::start_by_passed(tx, now, 1_000).await.unwrap();
            assert!(found.iter().all(|head| head.id != id));
        }
        Event::Due { now } => {
            assert!(sweeps::promote_many(tx, [id], now).await.unwrap().is_empty());
        }
        Event::HolderRemoved | Event::Restored => {
            let held = claims::held_for_update(tx, agent(), 1_000).await.unwrap();
            assert!(held.iter().all(|head| head.id != id));
        }
        Event::Cancel | Event::Delete => unreachable!("these happen to every order of the queue"),
    }
}

async fn log_nothing(tx: &mut Tx, number: u64, status: QueueStatus, attempt: Attempt, now: Timestamp) {
    let ending = Ending::Succeeded;
    let order = EndingOrder {
        id: id(number),
        status,
        attempt,
        ending,
        report: Report::default(),
        attempt_ending: Some((AttemptEnding::Succeeded, None)),
    };
    assert_eq!(endings::move_to_log_many(tx, &[order], now).await.unwrap(), []);
}

/// The epoch of both databases. A life that failed may have left them in two.
async fn common_epoch(queues: &[Queue; 2]) -> Epoch {
    let epochs = [queues[0].epoch().await, queues[1].epoch().await];
    if epochs[0] == epochs[1] {
        return epochs[0];
    }
    let epoch = epochs[0].max(epochs[1]).raised(at(0));
    for queue in queues {
        queue.restored(epoch, at(0)).await;
    }
    epoch
}

/// Lives one life on both databases.
async fn live(queues: &[Queue; 2], new: NewOrder, number: u64, steps: &[Step]) {
    let mut life = Life::begin(new.policy, new.created_at, new.run_at);
    let mut now = new.created_at;
    let mut epoch = common_epoch(queues).await;
    for queue in queues {
        queue.add([new.clone()]).await;
    }
    for step in steps {
        now = now.plus_seconds(step.after);
        if let Act::Restored = step.act {
            epoch = epoch.raised(now);
            for queue in queues {
                queue.restored(epoch, now).await;
            }
        }
        let event = event(*step, life, epoch, now);
        let expected = life.apply(event);
        for queue in queues {
            match &expected {
                Ok(next) => assert_eq!(queue.apply(number, event).await.as_ref(), Ok(next)),
                Err(_) => {
                    queue
                        .write(async |tx| try_refused(tx, number, event, now).await)
                        .await;
                    assert_eq!(queue.life(number).await, life, "after {event:?}");
                }
            }
        }
        life = expected.unwrap_or(life);
        if !life.state.queued() {
            return;
        }
    }
}

#[test]
fn the_model_and_both_stores_agree_after_every_step_of_a_random_life() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let queues = runtime.block_on(async {
        [
            Queue::start(Backend::Sqlite).await,
            Queue::start(Backend::Postgres).await,
        ]
    });
    // Lives that failed before are told by the failure's message; a file would only be valid for one schema.
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let numbers = std::cell::Cell::new(0);
    let run_at = prop::option::weighted(0.2, 0..200_u64);

    let outcome = runner.run(
        &(policy(), run_at, prop::collection::vec(step(), 1..25)),
        |(policy, run_at, steps)| {
            // Each life is that of a new order, so that all share two databases.
            let number = numbers.replace(numbers.get() + 1) + 1;
            let new = NewOrder {
                policy,
                created_at: at(100),
                run_at: run_at.map(at),
                ..order(number)
            };
            runtime.block_on(live(&queues, new, number, &steps));
            Ok(())
        },
    );

    // Their pools are closed where they were opened.
    runtime.block_on(async { drop(queues) });
    outcome.unwrap();
}
