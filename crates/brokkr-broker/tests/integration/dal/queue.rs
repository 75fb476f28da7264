//! A queue to play with: each act is a transaction of its own, after which the invariants of the queue must hold.

mod acts;
mod orders;

use brokkr_broker::dal::attempts::{self, EndedAttempt};
use brokkr_broker::dal::claims::{self, ClaimNext};
use brokkr_broker::dal::work_orders::{self, NewOrder, QueuedOrder};
use brokkr_broker::dal::{Sql, Tx, agent_annotations, agent_labels, log};
use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentAnnotationId, AgentLabelId};
use brokkr_core::life::Life;
use brokkr_core::limits::ClaimMax;
use brokkr_testkit::{Backend, TestDb};
use uuid::Uuid;

pub(super) use self::orders::{
    agent, ending, for_agents, for_annotation, for_label, id, lease, lease_seconds, numbers, order, renewing,
    run_at, start_by, with_retries, work_type,
};
use self::orders::{annotation, label};
use super::samples::{agent_id, at, create_agents};

/// The process of every agent.
pub(super) const INSTANCE: &str = "process-1";

/// The lease that agents ask for, in seconds.
pub(super) const LEASE: u64 = 30;

/// A database with agents 1 to 4. Agent 1 has the label `gpu` and the annotation `zone=eu`, agent 2 the label `gpu`.
pub(super) struct Queue {
    pub(super) db: TestDb,
}

/// What must never be: a PENDING order without routes, routes of an order that is not PENDING or that is not as they say, an
/// order in the queue and in the log.
static BROKEN: Sql = Sql::shared(
    "tests.broken",
    "SELECT COUNT(*) AS broken
       FROM (SELECT work_orders.id
               FROM work_orders
               LEFT JOIN work_order_routes ON work_order_routes.work_order_id = work_orders.id
              WHERE (work_orders.status = 'PENDING') <> (work_order_routes.route IS NOT NULL)
             UNION ALL
             SELECT work_order_routes.work_order_id
               FROM work_order_routes
               LEFT JOIN work_orders ON work_orders.id = work_order_routes.work_order_id
                                    AND work_orders.work_type = work_order_routes.work_type
                                    AND work_orders.priority = work_order_routes.priority
              WHERE work_orders.id IS NULL
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
}
