//! Many claimers at once, on PostgreSQL: SQLite has one writer.

use std::collections::BTreeMap;
use std::time::Duration;

use brokkr_broker::dal::claims::{self, ClaimNext};
use brokkr_broker::dal::work_orders::{self, NewOrder, QueuedOrder};
use brokkr_broker::dal::{Db, DbOptions};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::ClaimMax;
use brokkr_testkit::Backend;
use brokkr_testkit::db::test_options;
use tokio::task::JoinSet;

use super::queue::{INSTANCE, Queue, for_agents, for_label, id, lease, order};
use super::samples::{agent_id, at};

async fn claim_next(db: &Db, agent: AgentId, max: i64) -> Vec<QueuedOrder> {
    let claim = ClaimNext {
        agent,
        instance_id: INSTANCE,
        work_types: &[],
        max: ClaimMax::new(max).unwrap(),
        lease_seconds: lease(),
        now: at(10),
    };
    let mut tx = db.begin().await.unwrap();
    let claimed = claims::claim_next(&mut tx, claim).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

async fn pending(db: &Db) -> u64 {
    let depths = work_orders::depths(&mut db.read().await.unwrap()).await.unwrap();
    let pending = depths
        .iter()
        .find(|depth| depth.status == work_orders::QueueStatus::Pending);
    pending.map_or(0, |depth| depth.orders)
}

async fn crowded(connections_max: u32) -> (Queue, Db) {
    let queue = Queue::start(Backend::Postgres).await;
    let options = DbOptions {
        connections_max,
        acquire_timeout: Duration::from_secs(60),
        ..test_options()
    };
    let db = queue.db.connect(&options).await;
    (queue, db)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_claimers_of_one_order_one_wins() {
    let (queue, db) = crowded(25).await;
    queue
        .add([NewOrder {
            targeting: for_agents(&[1, 2, 3, 4]),
            ..order(1)
        }])
        .await;

    let mut claimers = JoinSet::new();
    for number in 0..50_u128 {
        let db = db.clone();
        claimers.spawn(async move {
            let agent = agent_id(number % 4 + 1);
            // Half of them know the order by its id, as the contract has it.
            if number % 8 < 4 {
                return claim_next(&db, agent, 1).await.len();
            }
            let mut tx = db.begin().await.unwrap();
            let claimed = claims::claim_by_id(&mut tx, id(1), agent, at(10)).await.unwrap();
            tx.commit().await.unwrap();
            usize::from(claimed.is_some())
        });
    }

    assert_eq!(claimers.join_all().await.into_iter().sum::<usize>(), 1);
    assert_eq!(queue.get(1).await.unwrap().head.attempt().number(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_claimers_take_two_thousand_orders_with_two_routes_each_once() {
    const ORDERS: u64 = 2_000;
    let (queue, db) = crowded(32).await;
    let agents_and_label = [
        for_agents(&[1, 2]),
        for_agents(&[3, 4]),
        for_agents(&[2, 3]),
        for_label("gpu"),
    ];
    let targeting = |number: u64| agents_and_label[usize::try_from(number % 4).unwrap()].clone();
    queue
        .add((1..=ORDERS).map(|number| NewOrder {
            targeting: targeting(number),
            ..order(number)
        }))
        .await;

    let mut claimers = JoinSet::new();
    for number in 0..32_u128 {
        let db = db.clone();
        claimers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = claim_next(&db, agent_id(number % 4 + 1), 7).await;
                // A claim may find nothing while others hold what is left, and leave some of it.
                if claimed.is_empty() && pending(&db).await == 0 {
                    return mine;
                }
                mine.extend(claimed.iter().map(QueuedOrder::id));
            }
        });
    }
    let mut taken: BTreeMap<WorkOrderId, u32> = BTreeMap::new();
    for order in claimers.join_all().await.into_iter().flatten() {
        *taken.entry(order).or_default() += 1;
    }

    assert_eq!(taken.len() as u64, ORDERS);
    assert!(taken.values().all(|times| *times == 1));
}
