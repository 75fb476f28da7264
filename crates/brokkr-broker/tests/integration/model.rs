//! Random commands to whole brokers: after every one of them the pure model, the broker on SQLite and the broker on
//! PostgreSQL say the same of the order, whichever of two replicas is asked. (`dal/model.rs` does so for each statement; here it is what callers and time do.)

mod steps;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brokkr_broker::app::App;
use brokkr_broker::app::attempts::{AttemptAt, Report};
use brokkr_broker::app::caller::{Caller, Role};
use brokkr_broker::app::claims::{ClaimRequest, InstanceId};
use brokkr_broker::app::endings::EndingReport;
use brokkr_broker::app::events::EventFilter;
use brokkr_broker::app::idempotency::Answer;
use brokkr_broker::app::renewals::RenewalRequest;
use brokkr_broker::app::work_orders::{ListFilter, StartBy, Submission, WorkOrder};
use brokkr_core::attempt::{Attempt, Epoch, Lease};
use brokkr_core::events::state_word;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Event, Life, Policy, State};
use brokkr_core::limits::{
    BackoffSeconds, ClaimMax, ClaimTimeoutSeconds, InfrastructureRetriesMax, LeaseSeconds, MaxRetries,
    Priority, WaitSeconds,
};
use brokkr_core::names::WorkType;
use brokkr_core::pak::Pak;
use brokkr_core::retry::RetryOn;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;
use brokkr_testkit::{Backend, TestBroker};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use self::steps::{Act, Step, Terms, step, terms};

const CASES: u32 = 24;
const STEPS: usize = 30;
const CLAIM_TIMEOUT: i64 = 60;

/// Whoever holds the order: in the model there is one agent, and each broker knows it by another id.
const HOLDER: AgentId = AgentId::new(Uuid::nil());

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
            infrastructure_retries_max: InfrastructureRetriesMax::new(
                terms.infrastructure_retries_max.into(),
            )
            .unwrap(),
            backoff_seconds: terms
                .backoff_seconds
                .map(|seconds| BackoffSeconds::new(seconds.into()).unwrap()),
            claim_timeout_seconds: ClaimTimeoutSeconds::new(CLAIM_TIMEOUT).unwrap(),
            priority: Priority::default(),
            deadline_seconds: None,
            start_by: terms
                .start_by
                .map(|seconds| StartBy::At(now.plus_seconds(seconds))),
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
                    report: None,
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
                .complete_work_order(&self.side.holder, report(false, Some(class), retryable))
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
            Act::Restore => app.restored().await.is_ok(),
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
                infrastructure_retry_count: entry.infrastructure_retries_attempted,
                lost_count: entry.lost_count,
                state: State::Ended(entry.ending),
            },
        }
    }

    /// No change goes without its event: those of the order lead from nothing to where it is, without a gap.
    async fn check_events(&self, life: Life) {
        let filter = EventFilter {
            work_order: Some(self.id),
            ..EventFilter::default()
        };
        let page = self.side.app().list_events(&filter, None, 1_000).await.unwrap();
        let mut state = None;
        for event in &page.events {
            assert_eq!(event.before, state, "{:#?}", page.events);
            assert!(!event.kind.ends_order() || event == page.events.last().unwrap());
            state = event.after.clone();
        }
        assert_eq!(
            state.as_deref(),
            Some(state_word(life.state)),
            "{:#?}",
            page.events
        );
        let attempt = page.events.last().and_then(|event| event.attempt);
        assert_eq!(attempt.unwrap_or(Attempt::NONE), life.attempt);
    }

    /// What must hold besides: every attempt is known, and an order can be found exactly while it can be claimed.
    async fn check(&self, life: Life) {
        let app = self.side.app();
        let attempts = app.list_attempts(self.id, Attempt::NONE, 100).await.unwrap();
        let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number().number()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next));
        assert_eq!(numbers.last().copied().unwrap_or(0), life.attempt.number());
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
fn model(life: Life, act: Act, attempt: Attempt, epoch: Epoch, now: Timestamp) -> Option<Life> {
    let lease_expires_at = now.plus_seconds(CLAIM_TIMEOUT.unsigned_abs());
    let event = match act {
        Act::Claim | Act::ClaimNext => Event::Claim {
            agent: HOLDER,
            now,
            lease_expires_at,
            epoch,
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
            retry: RetryOn::default().budget(retryable, Some(class)),
            now,
            random: 0,
        },
        Act::Cancel => Event::Cancel,
        // What nobody held waits on.
        Act::Restore => return Some(life.apply(Event::Restored).unwrap_or(life)),
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
async fn begin(sides: &[Side; 2]) -> (Timestamp, Epoch) {
    // Later than every epoch so far, so that both begin the same one.
    let now = sides[0].broker.now().max(sides[1].broker.now()).plus_seconds(1);
    let mut epochs = Vec::new();
    for side in sides {
        side.broker.clock().advance(now.since(side.broker.now()));
        let app = side.app();
        for order in app
            .find_work_orders(ListFilter::default(), None, 100)
            .await
            .unwrap()
            .rows
        {
            app.delete_work_order(&side.admin, order.id()).await.unwrap();
        }
        epochs.push(app.restored().await.unwrap().epoch);
    }
    assert_eq!(epochs[0], epochs[1]);
    (now, epochs[0])
}

async fn live(sides: &[Side; 2], terms: Terms, steps: &[Step]) {
    let (now, mut epoch) = begin(sides).await;
    let policy = Policy {
        delivery: terms.delivery,
        max_retries: terms.max_retries,
        infrastructure_retries_max: terms.infrastructure_retries_max,
        backoff_seconds: terms.backoff_seconds.unwrap_or(60),
        backoff_jitter: terms.backoff_seconds.is_none(),
        start_by: terms.start_by.map(|seconds| now.plus_seconds(seconds)),
    };
    let life = Life::begin(policy, now, terms.run_at.map(|seconds| now.plus_seconds(seconds)));
    // One for each side: each draws its own random numbers, so they may wait for different times.
    let mut lives = [
        (sides[0].submit(terms).await, life),
        (sides[1].submit(terms).await, life),
    ];
    for step in steps {
        for side in sides {
            side.at_replica.store(step.at_replica, Ordering::Relaxed);
        }
        let time = if let Act::Pass { seconds } = step.act {
            seconds
        } else {
            0
        };
        let now = sides[0].broker.now().plus_seconds(time);
        if let Act::Restore = step.act {
            epoch = epoch.raised(now);
        }
        for (order, life) in &mut lives {
            take(order, life, *step, epoch, now).await;
        }
        if lives.iter().any(|(_, life)| life.state == State::Deleted) {
            return;
        }
    }
}

/// Takes one step with one side, and compares.
async fn take(order: &mut Order<'_>, life: &mut Life, step: Step, epoch: Epoch, now: Timestamp) {
    let latest = life.attempt.number();
    let attempt = Attempt::new(if step.current { latest } else { (latest - 1).max(0) });
    let expected = model(*life, step.act, attempt, epoch, now);
    let done = order.act(step.act, attempt).await;
    // The report of an attempt that has ended is answered once more, and changes nothing.
    let repeated = matches!(step.act, Act::Succeed | Act::Fail { .. });
    assert!(
        done == expected.is_some() || (done && repeated),
        "{step:?} of {life:?}: {done}"
    );
    let mut after = expected.unwrap_or(*life);
    let found = order.life(after.policy).await;
    order.check_events(after).await;
    if after.state == State::Deleted {
        assert_eq!(found.state, State::Deleted);
    } else {
        if *life != after {
            drawn(&mut after, found, now);
        }
        assert_eq!(found, after, "after {step:?} of {life:?}");
        order.check(after).await;
    }
    *life = after;
}

/// Takes over a waiting time that the broker has drawn, where it may: from half of the longest to all of it. The model has drawn
/// the shortest.
fn drawn(expected: &mut Life, found: Life, now: Timestamp) {
    if let (true, State::RetryPending { not_before: earliest }, State::RetryPending { not_before }) =
        (expected.policy.backoff_jitter, expected.state, found.state)
    {
        assert!(earliest <= not_before && not_before <= earliest.plus(earliest.since(now)));
        expected.state = found.state;
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
