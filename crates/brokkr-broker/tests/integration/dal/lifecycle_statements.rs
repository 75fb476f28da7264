//! What a lifecycle costs: in statements, whatever the size of a batch, and in what it leaves behind in the queue's tables.

use brokkr_api::{BatchCreate, EndingItem, EndingsRequest};
use brokkr_broker::dal::{Db, Sql, Tx, renewals};
use brokkr_core::life::Ending;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::queue::{INSTANCE, Queue, agent, ending, lease, order, renewing};
use super::samples::at;

/// How many statements each step of a lifecycle sends.
#[derive(Debug, PartialEq, Eq)]
struct Steps {
    create: u64,
    claim: u64,
    end: u64,
}

/// Sends so many orders through the broker, one request for each step.
async fn lifecycle(broker: &TestBroker, orders: usize) -> Steps {
    let agent = broker.agent().await;
    // The first claim brings in the agent's process.
    agent.claim_next(1).await.unwrap();
    let batch = BatchCreate {
        work_orders: vec![broker.work_order().for_agent(&agent).request(); orders],
    };
    let create = sent(broker, async || {
        drop(broker.admin().create_work_orders(&batch, None).await.unwrap())
    })
    .await;
    let mut claims = Vec::new();
    let max = i64::try_from(orders).unwrap();
    let claim = sent(broker, async || claims = agent.claim_next(max).await.unwrap()).await;
    assert_eq!(claims.len(), orders);
    let endings = claims.iter().map(|claim| EndingItem {
        id: claim.work_order.id,
        attempt: claim.work_order.attempt,
        success: true,
        message: None,
        class: None,
        retryable: None,
        exit_code: None,
        result: None,
    });
    let endings = EndingsRequest {
        endings: endings.collect(),
    };
    let mut ended = Vec::new();
    let end = sent(broker, async || {
        ended = agent.client.end(agent.id, &endings).await.unwrap().items
    })
    .await;
    assert!(ended.len() == orders && ended.iter().all(|item| item.status == 200));
    Steps { create, claim, end }
}

async fn sent(broker: &TestBroker, act: impl AsyncFnOnce()) -> u64 {
    let before = broker.db().statements_sent();
    act().await;
    broker.db().statements_sent() - before
}

#[rstest]
#[tokio::test]
async fn a_batch_sends_as_many_statements_as_a_single_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;

    let one = lifecycle(&broker, 1).await;
    let hundred = lifecycle(&broker, 100).await;

    assert_eq!(one, hundred);
    // One for each of the tables that changes, with those that two texts can change at once on PostgreSQL; one that reads; the
    // audit; the events; and, at a PostgreSQL that several brokers share, the caller's key.
    let most = match backend {
        Backend::Postgres => Steps {
            create: 6,
            claim: 5,
            end: 5,
        },
        Backend::Sqlite => Steps {
            create: 5,
            claim: 5,
            end: 6,
        },
    };
    let within = one.create <= most.create && one.claim <= most.claim && one.end <= most.end;
    assert!(within, "{one:?}");
}

static UPDATED: Sql = Sql::shared(
    "tests.updated",
    "SELECT n_tup_upd AS rows, n_tup_hot_upd AS without_index
       FROM pg_stat_xact_user_tables
      WHERE relname = 'work_orders'",
);

/// How many rows of the queue this connection has changed, and how many of them without an index entry.
async fn updated(tx: &mut Tx) -> (i64, i64) {
    let row = tx.fetch_one(&UPDATED, vec![]).await.unwrap();
    (row.get("rows").unwrap(), row.get("without_index").unwrap())
}

#[tokio::test]
async fn renewals_write_no_index_entries() {
    let queue = Queue::start(Backend::Postgres).await;
    let claims = queue.claimed(100).await;
    let claims: Vec<_> = claims
        .iter()
        .map(|order| (order.id(), order.head.attempt()))
        .collect();
    let mut without_index = 0;
    for round in 1..=5 {
        // The server makes room in a page by itself, but not while it believes that other tests may still see what was there.
        vacuum(&queue.db).await;
        let mut tx = queue.db.begin().await.unwrap();
        let before = updated(&mut tx).await;
        let renewed = claims.iter().map(renewing(agent(), INSTANCE, lease()));
        renewals::renew_many(&mut tx, renewed, at(10 + round))
            .await
            .unwrap();
        let after = updated(&mut tx).await;
        tx.commit().await.unwrap();
        assert_eq!(after.0 - before.0, 100);
        without_index += after.1 - before.1;
    }
    assert!(without_index >= 450, "{without_index} of 500");
}

static VACUUM: Sql = Sql::per_dialect(
    "tests.vacuum",
    "VACUUM work_orders, work_order_routes",
    "SELECT 1",
);

/// The sizes of the queue's tables with their indexes, and the dead rows in them.
static LEFT_BEHIND: Sql = Sql::shared(
    "tests.left_behind",
    "SELECT CAST(SUM(pg_total_relation_size(relid)) AS BIGINT) AS bytes, CAST(SUM(n_dead_tup) AS BIGINT) AS dead
       FROM pg_stat_user_tables
      WHERE relname IN ('work_orders', 'work_order_routes')",
);

async fn vacuum(db: &Db) -> (i64, i64) {
    let mut tx = db.read().await.unwrap();
    tx.execute(&VACUUM, vec![]).await.unwrap();
    let row = tx.fetch_one(&LEFT_BEHIND, vec![]).await.unwrap();
    (row.get("bytes").unwrap(), row.get("dead").unwrap())
}

#[tokio::test]
async fn thousands_of_lifecycles_leave_the_tables_of_the_queue_as_small_as_the_first_ones() {
    let queue = Queue::start(Backend::Postgres).await;
    let mut left = Vec::new();
    for round in 0..40_u64 {
        let first = round * 100 + 1;
        queue.add((first..first + 100).map(order)).await;
        assert_eq!(queue.claim(1, 100, &[]).await.len(), 100);
        let endings: Vec<_> = (first..first + 100)
            .map(|number| ending(number, 1, Ending::Succeeded))
            .collect();
        queue.end(&endings).await;
        if round % 10 == 9 {
            left.push(vacuum(&queue.db).await);
        }
    }
    let (first, last) = (left[0], left[left.len() - 1]);
    assert!(
        last.0 <= first.0 * 2,
        "bytes and dead rows after each ten rounds: {left:?}"
    );
    assert!(
        left.iter().all(|(_, dead)| *dead <= 300),
        "bytes and dead rows after each ten rounds: {left:?}"
    );
}
