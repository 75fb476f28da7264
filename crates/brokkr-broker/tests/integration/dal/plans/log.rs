//! Lists of a long log.

use brokkr_broker::dal::log::{self, LogFilter, LogPosition};
use brokkr_broker::dal::{Sql, Value};
use brokkr_core::ids::WorkOrderId;
use brokkr_core::time::Timestamp;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use brokkr_testkit::TestDb;
use rstest::rstest;
use uuid::Uuid;

use super::super::samples::agent_id;
use super::backlog::ANALYZE;
use super::explain::explain;
use super::{N, SIFTED, run, text};

/// How many orders ended, one each microsecond.
const ENTRIES: i64 = 100_000;

/// PostgreSQL with statistics may find those that are one in so many by reading all of them, the latest first.
const ONE_IN: u32 = 10;

/// One in ten is a build, failed, and was held by agent 2; one in a thousand lost an attempt.
static ADD_ENTRIES: Sql = Sql::shared(
    "tests.add_entries",
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
     INSERT INTO work_order_log (id, created_at, completed_at, work_type, yaml_content, priority, delivery,
            claim_timeout_seconds, max_retries, retries_attempted, lost_count, backoff_seconds, attempt, claimed_by,
            claimed_at, ending, success, retry_on, metadata, targeting, submitted_by)
     SELECT CAST('00000000-0000-7000-8000-' || substr(CAST(1000000000000 + n AS TEXT), 2) AS {uuid}), n, n,
            CASE n % 10 WHEN 0 THEN 'build' ELSE 'command' END, 'order', 0, 'at_least_once', 3600, 3, 0,
            CASE n % 1000 WHEN 0 THEN 1 ELSE 0 END, 60, 1,
            CASE n % 10 WHEN 0 THEN CAST($2 AS {uuid}) ELSE CAST($3 AS {uuid}) END, n,
            CASE n % 10 WHEN 0 THEN 'failed' ELSE 'succeeded' END, n % 10 <> 0, '[]', '{}', '{}', 'admin:abcdefgh'
       FROM numbers",
);

/// What each list is read by.
fn indexes() -> [(&'static str, Vec<Value>); 5] {
    [
        ("completed", vec![]),
        ("agent", vec![agent_id(2).into()]),
        ("work_type", vec![text("build")]),
        ("success", vec![false.into()]),
        ("lost_attempts", vec![]),
    ]
}

fn begin() -> Vec<Value> {
    vec![i64::MAX.into(), Uuid::max().into()]
}

/// Down to where a list looks.
fn down_to(last: LogPosition) -> Vec<Value> {
    vec![last.completed_at.into(), last.id.into()]
}

/// What a search seeks that finds nothing.
fn sought(index: &str) -> Vec<Value> {
    let none = || Value::Text(None);
    vec![
        if index == "work_type" {
            text("build")
        } else {
            none()
        },
        Value::Uuid((index == "agent").then(|| agent_id(2).as_uuid())),
        none(),
        none(),
        text("%nothing%"),
        Value::Bool((index == "success").then_some(false)),
        none(),
        Value::Bool((index == "lost_attempts").then_some(true)),
    ]
}

#[rstest]
#[tokio::test]
async fn a_page_of_a_long_log_reads_no_more_entries_than_it_shows_or_may_look_at(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let agents = vec![ENTRIES.into(), agent_id(2).into(), agent_id(1).into()];
    run(&db, &ADD_ENTRIES, agents).await;
    let of_time = |micros| LogPosition {
        completed_at: Timestamp::from_micros(micros),
        id: WorkOrderId::new(Uuid::nil()),
    };
    for analyzed in [false, true] {
        if analyzed {
            run(&db, &ANALYZE, vec![]).await;
        }
        let mut tx = db.begin().await.unwrap();
        let horizon = log::horizon(&mut tx, &LogFilter::default(), None, SIFTED).await;
        let until = horizon.unwrap().expect("there are more");
        for (index, value) in indexes() {
            let told = |name: &str| format!("log.{name}_by_{index}, analyzed: {analyzed}");
            for since in [0, ENTRIES / 2] {
                let values = [begin(), vec![N.into()], down_to(of_time(since)), value.clone()].concat();
                let plan = explain(&mut tx, db.dialect(), &format!("log.list_by_{index}"), values).await;
                plan.reads_at_most(ONE_IN * 2 * N, &told("list"));
                plan.sorts_nothing_on_sqlite(&told("list"));
            }
            let values = [begin(), vec![N.into()], sought(index), down_to(until)].concat();
            let plan = explain(&mut tx, db.dialect(), &format!("log.sift_by_{index}"), values).await;
            plan.reads_at_most(2 * SIFTED + N, &told("sift"));
            plan.sorts_nothing_on_sqlite(&told("sift"));

            let values = [begin(), vec![(SIFTED - 1).into()], value].concat();
            let plan = explain(&mut tx, db.dialect(), &format!("log.horizon_by_{index}"), values).await;
            plan.reads_at_most(ONE_IN * SIFTED, &told("horizon"));
            plan.sorts_nothing_on_sqlite(&told("horizon"));
        }
    }
}
