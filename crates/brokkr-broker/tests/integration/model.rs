//! Random commands to whole brokers: after every one of them the pure model, the broker on SQLite and the broker on
//! PostgreSQL say the same of the order, whichever of two replicas is asked. (`dal/model.rs` does so for each statement; here it is what callers and time do.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brokkr_broker::app::App;
use brokkr_broker::app::attempts::{AttemptAt, Report};
use brokkr_broker::app::caller::{Caller, Role};
use brokkr_broker::app::claims::{ClaimRequest, InstanceId};
use brokkr_broker::app::endings::EndingReport;
use brokkr_broker::app::idempotency::Answer;
use brokkr_broker::app::renewals::RenewalRequest;
use brokkr_broker::app::work_orders::{ListFilter, Submission, WorkOrder};
use brokkr_core::attempt::{Attempt, Lease};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Delivery, Event, Life, Policy, State};
use brokkr_core::limits::{
    BackoffSeconds, ClaimMax, ClaimTimeoutSeconds, LeaseSeconds, MaxRetries, Priority, WaitSeconds,
};
use brokkr_core::names::WorkType;
use brokkr_core::pak::Pak;
use brokkr_core::retry::{FailureClass, RetryOn};
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;
use brokkr_testkit::{Backend, TestBroker};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

const CASES: u32 = 24;
const STEPS: usize = 30;
const CLAIM_TIMEOUT: i64 = 60;

/// Whoever holds the order: in the model there is one agent, and each broker knows it by another id.
const HOLDER: AgentId = AgentId::new(Uuid::nil());

#[derive(Debug, Clone, Copy)]
enum Act {
    Claim,
    ClaimNext,
    Renew,
    Release,
    Succeed,
    Fail { class: FailureClass, retryable: bool },
    Cancel,
    Delete,
    Retry,
    Pass { seconds: u64 },
}

/// What is done, whether by the current attempt or by the one before it, and at which of two brokers on one database.
#[derive(Debug, Clone, Copy)]
struct Step {
    act: Act,
    current: bool,
    at_replica: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![
        Just(FailureClass::Infrastructure),
        Just(FailureClass::Work),
        Just(FailureClass::Cancelled)
    ];
    let act = prop_oneof![
        4 => Just(Act::Claim),
        4 => Just(Act::ClaimNext),
        2 => Just(Act::Renew),
        2 => Just(Act::Release),
        1 => Just(Act::Succeed),
        4 => (class, any::<bool>()).prop_map(|(class, retryable)| Act::Fail { class, retryable }),
        1 => Just(Act::Cancel),
        2 => Just(Act::Retry),
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
struct Terms {
    delivery: Delivery,
    max_retries: u32,
    backoff_seconds: u32,
    run_at: Option<u64>,
    start_by: Option<u64>,
}

fn terms() -> impl Strategy<Value = Terms> {
    let delivery = prop_oneof![3 => Just(Delivery::AtLeastOnce), 1 => Just(Delivery::AtMostOnce)];
    let run_at = prop::option::weighted(0.3, 0..100_u64);
    let start_by = prop::option::weighted(0.3, 100..300_u64);
    (delivery, 0..4_u32, 0..40_u32, run_at, start_by).prop_map(
        |(delivery, max_retries, backoff_seconds, run_at, start_by)| Terms {
            delivery,
            max_retries,
            backoff_seconds,
            run_at,
            start_by,
        },
    )
}

struct Side {
    broker: TestBroker,
    replica: TestBroker,
    at_replica: AtomicBool,
    agent: AgentId,
    admin: Caller,
    holder: Caller,
}

/// One order at one broker.
struct Order<'a> {
    side: &'a Side,
    id: WorkOrderId,
}

impl Side {
    async fn start(backend: Backend) -> Self {
        let broker = TestBroker::start(backend).await;
        let agent = broker.agent().await;
        let short = |text: &str| Pak::parse(text).unwrap().short().clone();
        let admin = Caller::new(Role::Admin, short(broker.admin_pak().expose()));
        let holder = Caller::new(Role::Agent(AgentId::new(agent.id)), short(agent.pak.expose()));
        Self {
            agent: AgentId::new(agent.id),
            replica: broker.replica().await,
            at_replica: AtomicBool::new(false),
            broker,
            admin,
            holder,
        }
    }

    /// The broker that is asked now.
    fn app(&self) -> &App {
        match self.at_replica.load(Ordering::Relaxed) {
            true => self.replica.app(),
            false => self.broker.app(),
        }
    }

    async fn submit(&self, terms: Terms) -> Order<'_> {
        let now = self.broker.now();
        let submission = Submission {
            work_type: WorkType::parse("command").unwrap(),
            yaml_content: "a: 1".to_owned(),
            targeting: Targeting::new(vec![self.agent], vec![], vec![], 9).unwrap(),
            max_retries: MaxRetries::new(terms.max_retries.into()).unwrap(),
            backoff_seconds: BackoffSeconds::new(terms.backoff_seconds.into()).unwrap(),
            claim_timeout_seconds: ClaimTimeoutSeconds::new(CLAIM_TIMEOUT).unwrap(),
            priority: Priority::default(),
            deadline_seconds: None,
            start_by: terms.start_by.map(|seconds| now.plus_seconds(seconds)),
            run_at: terms.run_at.map(|seconds| now.plus_seconds(seconds)),
            delivery: terms.delivery,
            retry_on: RetryOn::default(),
            metadata: Default::default(),
        };
        let mut id = None;
        let answer = |order: &brokkr_broker::app::work_orders::QueuedOrder| {
            id = Some(order.id());
            Answer {
                status: 201,
                body: String::new(),
                replayed: false,
            }
        };
        self.app()
            .create_work_order(&self.admin, submission, None, answer)
            .await
            .unwrap();
        Order {
            side: self,
            id: id.unwrap(),
        }
    }
}

impl Order<'_> {
    /// Does it, and answers whether the broker did.
    async fn act(&mut self, act: Act, attempt: Attempt) -> bool {
        let (app, id, agent) = (self.side.app(), self.id, self.side.agent);
        let instance_id = InstanceId::parse("process".to_owned()).unwrap();
        let lease_seconds = LeaseSeconds::new(CLAIM_TIMEOUT).unwrap();
        let report = |success, class, retryable| EndingReport {
            id,
            attempt: Some(attempt),
            success,
            retryable,
            report: Report {
                class,
                ..Report::default()
            },
        };
        match act {
            Act::Claim => app.claim_work_order(agent, id).await.is_ok(),
            Act::ClaimNext => {
                let request = ClaimRequest {
                    max: ClaimMax::default(),
                    work_types: Vec::new(),
                    lease_seconds,
                    wait_seconds: WaitSeconds::default(),
                    instance_id,
                };
                let claimed = app.claim_work_orders(agent, &request).await.unwrap();
                claimed.iter().any(|held| held.order.id() == id)
            }
            Act::Renew => {
                let request = RenewalRequest {
                    instance_id,
                    lease_seconds,
                    claims: vec![(id, attempt)],
                    state: None,
                };
                app.renew(agent, request).await.unwrap().renewed.len() == 1
            }
            Act::Release => app
                .release_work_order(&self.side.holder, agent, id, attempt, None)
                .await
                .is_ok(),
            Act::Succeed => app
                .complete_work_order(&self.side.holder, report(true, None, None))
                .await
                .is_ok(),
            Act::Fail { class, retryable } => app
                .complete_work_order(&self.side.holder, report(false, Some(class), Some(retryable)))
                .await
                .is_ok(),
            Act::Cancel => app.cancel_work_order(&self.side.admin, id, None).await.is_ok(),
            Act::Delete => app.delete_work_order(&self.side.admin, id).await.is_ok(),
            Act::Retry => {
                let entry = app.log_entry(id).await.ok();
                let Ok(order) = app.retry_work_order(&self.side.admin, id).await else {
                    return false;
                };
                assert_eq!(app.log_entry(id).await.ok(), entry, "a log entry never changes");
                self.id = order.id();
                true
            }
            Act::Pass { seconds } => {
                self.side.broker.advance(Duration::from_secs(seconds)).await;
                true
            }
        }
    }

    /// What the broker says of the order, in the model's words.
    async fn life(&self, policy: Policy) -> Life {
        let app = self.side.app();
        let logged = app.log_entry(self.id).await.ok();
        let Ok(order) = app.work_order(self.id).await else {
            return Life {
                state: State::Deleted,
                ..Life::begin(policy, self.side.broker.now(), None)
            };
        };
        match order {
            WorkOrder::Queued(order) => {
                assert_eq!(logged, None, "an order is in the queue or in the log");
                let life = order.life();
                assert_eq!(life.policy, policy);
                match life.state {
                    State::Claimed(lease) => {
                        assert_eq!(lease.agent, self.side.agent);
                        Life {
                            state: State::Claimed(Lease {
                                agent: HOLDER,
                                ..lease
                            }),
                            ..life
                        }
                    }
                    _ => life,
                }
            }
            WorkOrder::Ended(entry) => Life {
                policy,
                attempt: entry.attempt,
                retry_count: entry.retries_attempted,
                lost_count: entry.lost_count,
                state: State::Ended(entry.ending),
            },
        }
    }

    /// What must hold besides: every attempt is known, and an order can be found exactly while it can be claimed.
    async fn check(&self, life: Life) {
        let app = self.side.app();
        let attempts = app.list_attempts(self.id, Attempt::NONE, 100).await.unwrap();
        let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number().number()).collect();
        assert_eq!(numbers, (1..=life.attempt.number()).collect::<Vec<_>>());
        let current = attempts
            .iter()
            .filter(|attempt| matches!(attempt, AttemptAt::Current(..)))
            .count();
        assert_eq!(current == 1, matches!(life.state, State::Claimed(_)));
        let pending = app
            .pending_work_orders(self.side.agent, None, None, 100)
            .await
            .unwrap();
        let found = pending.iter().any(|order| order.id() == self.id);
        assert_eq!(found, life.state == State::Pending);
    }
}

/// What the model makes of an act. `None` when it refuses.
fn model(life: Life, act: Act, attempt: Attempt, now: Timestamp) -> Option<Life> {
    let lease_expires_at = now.plus_seconds(CLAIM_TIMEOUT.unsigned_abs());
    let event = match act {
        Act::Claim | Act::ClaimNext => Event::Claim {
            agent: HOLDER,
            now,
            lease_expires_at,
        },
        Act::Renew => Event::Renew {
            attempt,
            lease_expires_at,
        },
        Act::Release => Event::Release { attempt },
        Act::Succeed => Event::Succeed { attempt },
        Act::Fail { class, retryable } => Event::Fail {
            attempt,
            class: Some(class),
            retryable,
            now,
        },
        Act::Cancel => Event::Cancel,
        Act::Delete => Event::Delete,
        // Another order, with the same terms but for its times.
        Act::Retry => {
            let policy = Policy {
                start_by: None,
                ..life.policy
            };
            return matches!(life.state, State::Ended(_)).then(|| Life::begin(policy, now, None));
        }
        // In the order of the sweeps, each of which may find nothing to do.
        Act::Pass { .. } => {
            let time = [
                Event::LeasePassed { now },
                Event::Due { now },
                Event::StartByPassed { now },
            ];
            return Some(
                time.into_iter()
                    .fold(life, |life, event| life.apply(event).unwrap_or(life)),
            );
        }
    };
    life.apply(event).ok()
}

/// Lets both clocks stand at the same time and leaves nothing of a life before, which may have failed in the middle.
async fn begin(sides: &[Side; 2]) -> Timestamp {
    let now = sides[0].broker.now().max(sides[1].broker.now());
    for side in sides {
        side.broker.clock().advance(now.since(side.broker.now()));
        let app = side.app();
        for order in app
            .list_work_orders(&ListFilter::default(), None, 100)
            .await
            .unwrap()
        {
            app.delete_work_order(&side.admin, order.id()).await.unwrap();
        }
    }
    now
}

async fn live(sides: &[Side; 2], terms: Terms, steps: &[Step]) {
    let now = begin(sides).await;
    let policy = Policy {
        delivery: terms.delivery,
        max_retries: terms.max_retries,
        backoff_seconds: terms.backoff_seconds,
        start_by: terms.start_by.map(|seconds| now.plus_seconds(seconds)),
    };
    let mut life = Life::begin(policy, now, terms.run_at.map(|seconds| now.plus_seconds(seconds)));
    let mut orders = [sides[0].submit(terms).await, sides[1].submit(terms).await];
    for step in steps {
        for side in sides {
            side.at_replica.store(step.at_replica, Ordering::Relaxed);
        }
        let latest = life.attempt.number();
        let attempt = Attempt::new(if step.current {
            latest
        } else {
            latest.saturating_sub(1)
        });
        let time = if let Act::Pass { seconds } = step.act {
            seconds
        } else {
            0
        };
        let expected = model(life, step.act, attempt, sides[0].broker.now().plus_seconds(time));
        for order in &mut orders {
            let done = order.act(step.act, attempt).await;
            // The report of an attempt that has ended is answered once more, and changes nothing.
            let repeated = matches!(step.act, Act::Succeed | Act::Fail { .. });
            assert!(
                done == expected.is_some() || (done && repeated),
                "{step:?} of {life:?}: {done}"
            );
            let after = expected.unwrap_or(life);
            if after.state == State::Deleted {
                assert_eq!(order.life(after.policy).await.state, State::Deleted);
            } else {
                assert_eq!(
                    order.life(after.policy).await,
                    after,
                    "after {step:?} of {life:?}"
                );
                order.check(after).await;
            }
        }
        life = expected.unwrap_or(life);
        if life.state == State::Deleted {
            return;
        }
    }
}

#[test]
fn the_model_and_the_brokers_on_both_databases_agree_after_every_command() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sides = runtime.block_on(async {
        [
            Side::start(Backend::Sqlite).await,
            Side::start(Backend::Postgres).await,
        ]
    });
    // Commands that failed before are told by the failure's message; a file would only be valid for one schema.
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(
        &(terms(), prop::collection::vec(step(), 1..STEPS)),
        |(terms, steps)| {
            runtime.block_on(live(&sides, terms, &steps));
            Ok(())
        },
    );
    // Their pools are closed where they were opened.
    runtime.block_on(async { drop(sides) });
    outcome.unwrap();
}
