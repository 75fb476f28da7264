//! What claims and lists read does not depend on how much waits: it is shown by the databases' own plans, on a deep queue.

mod backlog;
mod explain;
mod log;

use brokkr_api::BatchCreate;
use brokkr_broker::dal::work_orders::{self, ListFilter};
use brokkr_broker::dal::{Db, Sql, Value};
use brokkr_core::ids::WorkOrderId;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use brokkr_testkit::{Answer, TestBroker};
use rstest::rstest;
use uuid::Uuid;

use self::backlog::{ANALYZE, ROUTES, Spread, backlog};
use self::explain::explain;
use super::samples::{agent_id, at};
use crate::api::call::get;

/// One order on one of the routes of an agent.
const TWENTY: Spread = Spread {
    labels: 20,
    routes: 1,
};
/// Every order on the same two.
const HOT: Spread = Spread { labels: 2, routes: 2 };
/// Every order on the same one.
const ONE: Spread = Spread { labels: 1, routes: 1 };
/// Ten orders on each.
const WIDE: Spread = Spread {
    labels: 10_000,
    routes: 1,
};

/// How many orders an agent asks for.
const N: u32 = 10;

fn text(text: impl Into<String>) -> Value {
    Value::Text(Some(text.into()))
}

fn now() -> Value {
    Value::from(at(10))
}

/// The routes of agent 1, each with `rest` behind it.
fn routes(rest: &str) -> Value {
    let labels = (0..ROUTES - 1).map(|number| format!("[\"label:l{number}\"{rest}]"));
    let own = format!("[\"agent:{}\"{rest}]", agent_id(1));
    text(format!("[{}]", labels.chain([own]).collect::<Vec<_>>().join(",")))
}

/// What an agent sends for its claims and its lists, of one type and of any.
fn reads() -> [(&'static str, Vec<Value>); 4] {
    let agent = || Value::from(agent_id(1));
    let first_page = || {
        vec![
            agent(),
            Value::Uuid(Some(Uuid::nil())),
            now(),
            i64::from(N).into(),
        ]
    };
    let of_type = [first_page(), vec![text("build")]].concat();
    [
        (
            "dispatch.find_any",
            vec![routes(&format!(",{N}")), now(), i64::from(N).into()],
        ),
        (
            "dispatch.find_of_type",
            vec![routes(&format!(",\"build\",{N}")), now(), i64::from(N).into()],
        ),
        ("pending.of_any_type", first_page()),
        ("pending.of_type", of_type),
    ]
}

/// What else is sent for every order or every second.
fn others(held: &str) -> [(&'static str, Vec<Value>); 9] {
    let mine = Value::from(agent_id(2));
    let ids = format!("[[{held}]]");
    [
        (
            "renewals.renew",
            vec![
                text(format!("[[{held},1,\"{}\",\"process\",30]]", agent_id(2))),
                now(),
            ],
        ),
        (
            "claims.held",
            vec![mine.clone(), Value::Uuid(Some(Uuid::nil())), i64::from(N).into()],
        ),
        ("claims.held_for_update", vec![mine, i64::from(N).into()]),
        ("work_orders.get_for_update", vec![text(ids)]),
        ("sweeps.expired_leases", vec![now(), i64::from(N).into()]),
        ("sweeps.due_retries", vec![now(), i64::from(N).into()]),
        ("sweeps.due_scheduled", vec![now(), i64::from(N).into()]),
        ("sweeps.next_due", vec![]),
        ("sweeps.next_lease", vec![]),
    ]
}

/// How many orders agent 2 holds.
const HELD: u32 = 1_000;

/// One order in a hundred; their leases have passed.
static HOLD: Sql = Sql::shared(
    "tests.hold",
    "UPDATE work_orders
        SET status = 'CLAIMED', attempt = 1, claimed_by = $1, claimed_at = 1, lease_expires_at = created_at
      WHERE created_at % 100 = 0",
);

/// Leases are not indexed, for the sake of renewals: they are looked for among all orders that are claimed, by index and by row.
fn rows_of(name: &str) -> u32 {
    match name {
        "sweeps.expired_leases" | "sweeps.next_lease" => 2 * HELD + 10,
        _ => 2 * N,
    }
}

static FIRST_HELD: Sql = Sql::shared(
    "tests.first_held",
    "SELECT id FROM work_orders WHERE claimed_by = $1 ORDER BY id LIMIT 1",
);

async fn claims_and_lists_read_little(db: &Db, what: &str) {
    let mut tx = db.begin().await.unwrap();
    for (name, values) in reads() {
        let plan = explain(&mut tx, db.dialect(), name, values).await;
        // There are three priorities, and each order is looked up by its id as well.
        plan.reads_at_most(ROUTES * N * 6, &format!("{name}, {what}"));
        plan.sorts_nothing_on_sqlite(&format!("{name}, {what}"));
    }
}

#[rstest]
#[tokio::test]
async fn claims_and_lists_read_a_few_rows_for_each_route_of_a_hundred_thousand_orders(
    #[values(Postgres, Sqlite)] backend: Backend,
    #[values(TWENTY, HOT, ONE, WIDE)] spread: Spread,
) {
    let db = backlog(backend, spread).await;
    claims_and_lists_read_little(&db, "never analyzed").await;
    run(&db, &ANALYZE, vec![]).await;
    claims_and_lists_read_little(&db, "analyzed").await;
}

#[rstest]
#[tokio::test]
async fn what_is_sent_for_every_order_and_every_second_finds_its_rows_by_index(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let db = backlog(backend, WIDE).await;
    run(&db, &HOLD, vec![agent_id(2).into()]).await;
    for analyzed in [false, true] {
        if analyzed {
            run(&db, &ANALYZE, vec![]).await;
        }
        let mut tx = db.begin().await.unwrap();
        let first = tx.fetch_one(&FIRST_HELD, vec![agent_id(2).into()]).await.unwrap();
        let held: WorkOrderId = first.get("id").unwrap();
        for (name, values) in others(&format!("\"{held}\"")) {
            let plan = explain(&mut tx, db.dialect(), name, values).await;
            plan.reads_at_most(rows_of(name), &format!("{name}, analyzed: {analyzed}"));
        }
    }
}

/// How many orders a search looks at here.
const SIFTED: u32 = 5_000;

/// The first page of a search that finds nothing: the state, the label and the text, and down to which order it looks.
fn sought(status: Option<&str>, label: Option<&str>, sought: Option<&str>, until: Uuid) -> Vec<Value> {
    let maybe = |word: Option<&str>| Value::Text(word.map(str::to_owned));
    vec![
        Value::Uuid(Some(Uuid::max())),
        i64::from(N).into(),
        maybe(status),
        maybe(None),
        Value::Uuid(None),
        maybe(label),
        maybe(None),
        maybe(sought),
        Value::Uuid(Some(until)),
    ]
}

#[rstest]
#[tokio::test]
async fn a_search_that_finds_nothing_looks_at_no_more_orders_than_it_may(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let db = backlog(backend, WIDE).await;
    let begin = || Value::Uuid(Some(Uuid::max()));
    for analyzed in [false, true] {
        if analyzed {
            run(&db, &ANALYZE, vec![]).await;
        }
        let mut tx = db.begin().await.unwrap();
        let horizon = work_orders::horizon(&mut tx, &ListFilter::default(), None, SIFTED).await;
        let until = horizon.unwrap().expect("there are more").as_uuid();
        for (name, values) in [
            ("work_orders.sift", sought(None, Some("gpu"), None, until)),
            ("work_orders.sift", sought(None, None, Some("%nothing%"), until)),
            (
                "work_orders.sift_of_status",
                sought(Some("PENDING"), Some("gpu"), None, until),
            ),
            ("work_orders.horizon", vec![begin(), i64::from(SIFTED - 1).into()]),
            (
                "work_orders.horizon_of_status",
                vec![begin(), i64::from(SIFTED - 1).into(), text("PENDING")],
            ),
        ] {
            let plan = explain(&mut tx, db.dialect(), name, values).await;
            let what = format!("{name}, analyzed: {analyzed}");
            // By index, and by row.
            plan.reads_at_most(2 * SIFTED + N, &what);
            plan.sorts_nothing_on_sqlite(&what);
        }
        for (name, values) in [
            ("work_orders.list", vec![begin(), i64::from(N).into()]),
            (
                "work_orders.list_of_status",
                vec![begin(), i64::from(N).into(), text("PENDING")],
            ),
        ] {
            let plan = explain(&mut tx, db.dialect(), name, values).await;
            plan.reads_at_most(2 * N, &format!("{name}, analyzed: {analyzed}"));
        }
    }
}

async fn run(db: &Db, sql: &'static Sql, values: Vec<Value>) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(sql, values).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_pending_list_is_a_small_page_unless_a_larger_one_is_asked_for() {
    let broker = TestBroker::start(Sqlite).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .yaml(&format!("a: {}", "b".repeat(297)));
    let batch = BatchCreate {
        work_orders: vec![order.request(); 600],
    };
    broker.admin().create_work_orders(&batch, None).await.unwrap();

    let list = format!("/api/v1/agents/{}/work-orders/pending", agent.id);
    let page = get(&broker, broker.admin_pak(), &list).await;
    let large = get(&broker, broker.admin_pak(), &format!("{list}?limit=600")).await;

    let rows = |page: &Answer| page.json().as_array().map(Vec::len);
    assert_eq!((rows(&page), rows(&large)), (Some(100), Some(600)));
    assert!(page.text.len() < 200_000, "{} bytes", page.text.len());
    assert!(page.header("link").contains("rel=\"next\""));
    assert_eq!(large.header("link"), "");
}
