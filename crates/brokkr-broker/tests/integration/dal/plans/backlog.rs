//! Many orders that wait, put there by one statement for each table.

use brokkr_broker::dal::{Sql, agent_labels};
use brokkr_core::ids::AgentLabelId;
use brokkr_core::names::Label;
use brokkr_testkit::{Backend, TestDb};
use uuid::Uuid;

use super::super::samples::{agent_id, create_agents};

/// How many orders wait.
pub(super) const ORDERS: i64 = 100_000;

/// How the orders lie on labels: each has `routes` of `labels`, the next order those that follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    pub(super) labels: i64,
    pub(super) routes: i64,
}

/// On how many routes agent 1 listens: its own, and the first labels.
pub(super) const ROUTES: u32 = 20;

/// One order in ten is a build. There are three priorities, which have nothing to do with age.
static ADD_ORDERS: Sql = Sql::shared(
    "tests.add_orders",
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
     INSERT INTO work_orders (id, created_at, updated_at, work_type, yaml_content, status, priority, delivery,
            claim_timeout_seconds, max_retries, retry_count, lost_count, backoff_seconds, attempt, retry_on, metadata,
            targeting, submitted_by)
     SELECT CAST('00000000-0000-7000-8000-' || substr(CAST(1000000000000 + n AS TEXT), 2) AS {uuid}), n, n,
            CASE n % 10 WHEN 0 THEN 'build' ELSE 'command' END, 'order', 'PENDING', n % 3, 'at_least_once',
            3600, 3, 0, 0, 60, 0, '[]', '{}', '{}', 'admin:abcdefgh'
       FROM numbers",
);

static ADD_ROUTES: Sql = Sql::shared(
    "tests.add_routes",
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1),
     of_each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM of_each WHERE n < $3)
     INSERT INTO work_order_routes (route, work_type, priority, work_order_id)
     SELECT 'label:l' || CAST((numbers.n + of_each.n) % $2 AS TEXT),
            CASE numbers.n % 10 WHEN 0 THEN 'build' ELSE 'command' END, numbers.n % 3,
            CAST('00000000-0000-7000-8000-' || substr(CAST(1000000000000 + numbers.n AS TEXT), 2) AS {uuid})
       FROM numbers
      CROSS JOIN of_each",
);

pub(super) static ANALYZE: Sql = Sql::shared("tests.analyze", "ANALYZE");

/// A database with agents 1 and 2, and a backlog. Agent 1 listens on [`ROUTES`] routes.
pub(super) async fn backlog(backend: Backend, spread: Spread) -> TestDb {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 2).await;
    for number in 0..ROUTES - 1 {
        let label = agent_labels::AgentLabel {
            id: AgentLabelId::new(Uuid::from_u128(number.into())),
            agent_id: agent_id(1),
            label: Label::parse(format!("l{number}")).unwrap(),
        };
        agent_labels::add(&mut tx, &label).await.unwrap();
    }
    tx.execute(&ADD_ORDERS, vec![ORDERS.into()]).await.unwrap();
    let Spread { labels, routes } = spread;
    tx.execute(&ADD_ROUTES, vec![ORDERS.into(), labels.into(), routes.into()])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    db
}
