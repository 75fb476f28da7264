//! A queue to play with: each act is a transaction of its own, after which the invariants of the queue must hold.

use std::collections::BTreeMap;

use brokkr_broker::dal::attempts::{self, EndedAttempt, Report};
use brokkr_broker::dal::claims::{self, ClaimNext};
use brokkr_broker::dal::endings::{self, EndingOrder, Retry, Return, Returned};
use brokkr_broker::dal::renewals::{self, Renewal};
use brokkr_broker::dal::work_orders::{self, NewOrder, OrderHead, QueuedOrder};
use brokkr_broker::dal::{Sql, Tx, agent_annotations, agent_labels, log, sweeps};
use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentAnnotationId, AgentId, AgentLabelId, WorkOrderId};
use brokkr_core::life::{AttemptEnding, Delivery, Ending, Event, IllegalEvent, Life, Policy, State};
use brokkr_core::limits::{ClaimMax, ClaimTimeoutSeconds, LeaseSeconds, Priority};
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label, WorkType};
use brokkr_core::retry::RetryOn;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;
use brokkr_testkit::{Backend, TestDb};
use uuid::Uuid;

use super::samples::{agent_id, at, create_agents};

/// The process of every agent.
pub(super) const INSTANCE: &str = "process-1";

/// The lease that agents ask for, in seconds.
pub(super) const LEASE: u64 = 30;

/// A database with agents 1 to 4. Agent 1 has the label `gpu` and the annotation `zone=eu`, agent 2 the label `gpu`.
pub(super) struct Queue {
    pub(super) db: TestDb,
}

/// What must never be: routes of an order that is not PENDING or not those of its targets, an order without targets, an
/// order in the queue and in the log.
static BROKEN: Sql = Sql::shared(
    "tests.broken",
    "SELECT COUNT(*) AS broken
       FROM (SELECT work_orders.id
               FROM work_orders
               JOIN work_order_targets ON work_order_targets.work_order_id = work_orders.id
               LEFT JOIN work_order_routes ON work_order_routes.work_order_id = work_orders.id
                                          AND work_order_routes.route = work_order_targets.route
              WHERE (work_orders.status = 'PENDING') <> (work_order_routes.route IS NOT NULL)
             UNION ALL
             SELECT work_order_routes.work_order_id
               FROM work_order_routes
               LEFT JOIN work_order_targets
                      ON work_order_targets.work_order_id = work_order_routes.work_order_id
                     AND work_order_targets.route = work_order_routes.route
              WHERE work_order_targets.route IS NULL
             UNION ALL
             SELECT work_orders.id
               FROM work_orders
               LEFT JOIN work_order_targets ON work_order_targets.work_order_id = work_orders.id
              WHERE work_order_targets.route IS NULL
             UNION ALL
             SELECT work_orders.id FROM work_orders JOIN work_order_log ON work_order_log.id = work_orders.id
            ) AS found",
);

impl Queue {
    pub(super) async fn start(backend: Backend) -> Self {
        let queue = Self {
            db: TestDb::start(backend).await,
        };
        queue
            .write(async |tx| {
                create_agents(tx, 4).await;
                for (number, agent) in [(1, 1), (2, 2)] {
                    let label = agent_labels::AgentLabel {
                        id: AgentLabelId::new(Uuid::from_u128(number)),
                        agent_id: agent_id(agent),
                        label: label("gpu"),
                    };
                    agent_labels::add(tx, &label).await.unwrap();
                }
                let (key, value) = annotation("zone", "eu");
                let annotation = agent_annotations::AgentAnnotation {
                    id: AgentAnnotationId::new(Uuid::from_u128(1)),
                    agent_id: agent_id(1),
                    key,
                    value,
                };
                agent_annotations::add(tx, &annotation).await.unwrap();
            })
            .await;
        queue
    }

    pub(super) async fn write<T>(&self, act: impl AsyncFnOnce(&mut Tx) -> T) -> T {
        let mut tx = self.db.begin().await.unwrap();
        let done = act(&mut tx).await;
        let broken: i64 = tx
            .fetch_one(&BROKEN, vec![])
            .await
            .unwrap()
            .get("broken")
            .unwrap();
        assert_eq!(broken, 0, "orders whose routes, targets or place are wrong");
        tx.commit().await.unwrap();
        done
    }

    pub(super) async fn read<T>(&self, act: impl AsyncFnOnce(&mut Tx) -> T) -> T {
        act(&mut self.db.read().await.unwrap()).await
    }

    pub(super) async fn add(&self, orders: impl IntoIterator<Item = NewOrder>) {
        let orders: Vec<_> = orders.into_iter().collect();
        self.write(async |tx| work_orders::insert_many(tx, &orders).await.unwrap())
            .await;
    }

    /// Adds the orders 1 to `count` for agent 1, and lets it claim them.
    pub(super) async fn claimed(&self, count: u64) -> Vec<QueuedOrder> {
        self.add((1..=count).map(order)).await;
        let claimed = self.claim(1, 100, &[]).await;
        assert_eq!(claimed.len() as u64, count);
        claimed
    }

    /// Claims at the time 10.
    pub(super) async fn claim(&self, agent: u128, max: i64, work_types: &[&str]) -> Vec<QueuedOrder> {
        let work_types: Vec<_> = work_types.iter().map(|word| work_type(word)).collect();
        let claim = ClaimNext {
            agent: agent_id(agent),
            instance_id: INSTANCE,
            work_types: &work_types,
            max: ClaimMax::new(max).unwrap(),
            lease_seconds: lease(),
            now: at(10),
        };
        self.write(async |tx| claims::claim_next(tx, claim).await.unwrap())
            .await
    }

    pub(super) async fn claim_by_id(&self, agent: u128, order: u64) -> Option<QueuedOrder> {
        self.write(async |tx| {
            claims::claim_by_id(tx, id(order), agent_id(agent), at(10))
                .await
                .unwrap()
        })
        .await
    }

    pub(super) async fn get(&self, order: u64) -> Option<QueuedOrder> {
        self.read(async |tx| work_orders::get(tx, id(order)).await.unwrap())
            .await
    }

    pub(super) async fn life(&self, order: u64) -> Life {
        self.get(order).await.unwrap().life()
    }

    pub(super) async fn ended(&self, order: u64) -> Option<log::LogEntry> {
        self.read(async |tx| log::get(tx, id(order)).await.unwrap()).await
    }

    pub(super) async fn attempts(&self, order: u64) -> Vec<EndedAttempt> {
        self.read(async |tx| attempts::list(tx, id(order), Attempt::NONE, 100).await.unwrap())
            .await
    }

    /// Lets `event` happen to an order, as the broker does: it asks the pure model and then the store. What the store made
    /// of it must be what the model said.
    pub(super) async fn apply(&self, order: u64, event: Event) -> Result<Life, IllegalEvent> {
        let (expected, stored) = self
            .write(async |tx| {
                let head = work_orders::get_for_update(tx, &[id(order)])
                    .await
                    .unwrap()
                    .pop()
                    .unwrap();
                let expected = head.life().apply(event)?;
                store(tx, &head, event, expected).await;
                Ok((expected, work_orders::get(tx, head.id).await.unwrap()))
            })
            .await?;
        match expected.state {
            State::Ended(ending) => {
                assert_eq!(stored, None);
                assert_eq!(self.ended(order).await.map(|entry| entry.ending), Some(ending));
            }
            State::Deleted => assert_eq!(stored, None),
            _ => assert_eq!(stored.map(|stored| stored.life()), Some(expected)),
        }
        Ok(expected)
    }
}

/// The time at which `event` happens; 20 for those that carry none.
fn time(event: Event) -> Timestamp {
    match event {
        Event::Claim { now, .. }
        | Event::Fail { now, .. }
        | Event::LeasePassed { now }
        | Event::StartByPassed { now }
        | Event::Due { now } => now,
        _ => at(20),
    }
}

async fn store(tx: &mut Tx, head: &OrderHead, event: Event, next: Life) {
    let now = time(event);
    let (id, attempt) = (head.id, head.attempt());
    match (event, next.state) {
        (_, State::Deleted) => assert!(work_orders::delete(tx, id).await.unwrap()),
        (Event::Cancel, State::Claimed(_)) => {
            work_orders::request_cancel(tx, id, now, Some("enough"))
                .await
                .unwrap();
        }
        (Event::Claim { agent, now, .. }, _) => {
            assert!(claims::claim_by_id(tx, id, agent, now).await.unwrap().is_some());
        }
        (Event::Renew { lease_expires_at, .. }, State::Claimed(lease)) => {
            let renewal = Renewal {
                agent: lease.agent,
                instance_id: INSTANCE,
                lease_seconds: lease_seconds(LEASE),
                now: lease_expires_at.minus(std::time::Duration::from_secs(LEASE)),
            };
            assert_eq!(
                renewals::renew_many(tx, renewal, &[(id, attempt)])
                    .await
                    .unwrap()
                    .len(),
                1
            );
        }
        (Event::Due { .. }, _) => {
            assert_eq!(sweeps::promote_many(tx, [id], now).await.unwrap().ids.len(), 1);
        }
        (_, State::Ended(ending)) => {
            let order = EndingOrder {
                id,
                status: head.status(),
                attempt,
                ending,
                report: report(event, ending),
            };
            assert_eq!(
                endings::move_to_log_many(tx, &[order], now).await.unwrap().len(),
                1
            );
        }
        (_, State::RetryPending { not_before }) => {
            let retry = Retry {
                id,
                attempt,
                not_before,
                last_error: "it broke".to_owned(),
            };
            assert_eq!(
                endings::schedule_retry_many(tx, &[retry], now)
                    .await
                    .unwrap()
                    .len(),
                1
            );
        }
        (_, State::Pending) => {
            let lost = next.lost_count > head.life().lost_count;
            let reason = if lost { Returned::Lost } else { Returned::Released };
            let back = Return { id, attempt, reason };
            assert_eq!(
                endings::return_to_pending_many(tx, &[back], now)
                    .await
                    .unwrap()
                    .ids
                    .len(),
                1
            );
        }
        (_, State::Scheduled { .. } | State::Claimed(_)) => unreachable!("no other event leads there"),
    }
    let still_held = matches!(next.state, State::Claimed(_));
    if let (Some(claim), false) = (&head.claim, still_held || next.state == State::Deleted) {
        let ended = EndedAttempt {
            id,
            attempt,
            agent: claim.agent,
            instance_id: claim.instance_id.clone(),
            started_at: claim.claimed_at,
            ended_at: now,
            ending: attempt_ending(event, next.state),
            report: Report::default(),
            outcome_hash: None,
        };
        attempts::insert_many(tx, &[ended]).await.unwrap();
    }
}

fn attempt_ending(event: Event, next: State) -> AttemptEnding {
    match (event, next) {
        (Event::Succeed { .. }, _) => AttemptEnding::Succeeded,
        (Event::Release { .. }, _) => AttemptEnding::Released,
        (Event::Fail { .. }, State::Ended(Ending::Cancelled)) => AttemptEnding::Cancelled,
        (Event::Fail { .. }, _) => AttemptEnding::Failed,
        _ => AttemptEnding::Lost,
    }
}

fn report(event: Event, ending: Ending) -> Report {
    let class = match event {
        Event::Fail { class, .. } => class,
        _ => None,
    };
    Report {
        message: Some(ending.to_string()),
        class,
        exit_code: None,
        result: None,
    }
}

/// Names an order by its number. The order of numbers is the order of age.
pub(super) fn id(order: u64) -> WorkOrderId {
    WorkOrderId::new(Uuid::from_u128(u128::from(order)))
}

/// An order of type `command` for agent 1, with three retries.
pub(super) fn order(number: u64) -> NewOrder {
    NewOrder {
        id: id(number),
        created_at: at(number),
        work_type: work_type("command"),
        yaml_content: format!("order: {number}"),
        priority: Priority::default(),
        policy: Policy {
            delivery: Delivery::AtLeastOnce,
            max_retries: 3,
            backoff_seconds: 60,
            start_by: None,
        },
        claim_timeout_seconds: ClaimTimeoutSeconds::default(),
        deadline_seconds: None,
        run_at: None,
        retry_on: RetryOn::default(),
        metadata: BTreeMap::new(),
        targeting: for_agents(&[1]),
        retry_of: None,
        submitted_by: "admin:abcdefgh".to_owned(),
        traceparent: None,
    }
}

pub(super) fn for_agents(agents: &[u128]) -> Targeting {
    Targeting::new(
        agents.iter().map(|number| agent_id(*number)).collect(),
        vec![],
        vec![],
        9,
    )
    .unwrap()
}

pub(super) fn for_label(word: &str) -> Targeting {
    Targeting::new(vec![], vec![label(word)], vec![], 9).unwrap()
}

pub(super) fn for_annotation(key: &str, value: &str) -> Targeting {
    Targeting::new(vec![], vec![], vec![annotation(key, value)], 9).unwrap()
}

pub(super) fn work_type(word: &str) -> WorkType {
    WorkType::parse(word).unwrap()
}

pub(super) fn lease() -> LeaseSeconds {
    lease_seconds(LEASE)
}

pub(super) fn lease_seconds(seconds: u64) -> LeaseSeconds {
    LeaseSeconds::new(i64::try_from(seconds).unwrap()).unwrap()
}

/// The numbers of orders, in their order.
pub(super) fn numbers<'a>(orders: impl IntoIterator<Item = &'a QueuedOrder>) -> Vec<u128> {
    orders
        .into_iter()
        .map(|order| order.id().as_uuid().as_u128())
        .collect()
}

/// The agent 1 claims at the time 10, for [`LEASE`].
pub(super) fn agent() -> AgentId {
    agent_id(1)
}

fn label(word: &str) -> Label {
    Label::parse(word).unwrap()
}

fn annotation(key: &str, value: &str) -> (AnnotationKey, AnnotationValue) {
    (
        AnnotationKey::parse(key).unwrap(),
        AnnotationValue::parse(value).unwrap(),
    )
}
