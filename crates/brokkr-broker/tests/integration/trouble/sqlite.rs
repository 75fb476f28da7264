//! A SQLite file that cannot grow, or that another process has.

use brokkr_broker::dal::{Db, Sql};
use brokkr_testkit::db::test_options;
use brokkr_testkit::{Answer, Backend, TestBroker, TestDb};
use reqwest::Method;
use serde_json::json;

use super::scene::Scene;

async fn submit(broker: &TestBroker, key: &str) -> Answer {
    // More than the free space of any page, so that the file has to grow.
    let order = json!({"work_type": "command", "yaml_content": format!("a: {}", "x".repeat(100_000)), "targeting": {"labels": ["any"]}});
    let request = broker.http(Method::POST, "/api/v1/work-orders");
    let request = request
        .bearer_auth(broker.admin_pak().expose())
        .header("Idempotency-Key", key);
    Answer::of(request.json(&order)).await
}

/// Sets something for the broker's one connection that writes.
async fn set(broker: &TestBroker, pragma: &'static Sql) {
    let mut tx = broker.db().begin().await.unwrap();
    tx.fetch_all(pragma, vec![]).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_and_is_used_again_when_there_is_room() {
    static FULL: Sql = Sql::shared("tests.full", "PRAGMA max_page_count = 1");
    static ROOM: Sql = Sql::shared("tests.room", "PRAGMA max_page_count = 4294967294");
    static ORDERS: Sql = Sql::shared("tests.orders", "SELECT COUNT(*) AS orders FROM work_orders");
    let broker = TestBroker::start(Backend::Sqlite).await;
    assert_eq!(submit(&broker, "before").await.status, 201);

    // SQLite never sets it below what the file has.
    set(&broker, &FULL).await;
    for attempt in 0..3 {
        let refused = submit(&broker, "during").await;
        assert_eq!(
            (
                refused.status,
                refused.code().as_str(),
                refused.header("retry-after")
            ),
            (503, "database_unavailable", "1"),
            "attempt {attempt}: {refused:?}"
        );
        let mut tx = broker.db().read().await.unwrap();
        let row = tx.fetch_one(&ORDERS, vec![]).await.unwrap();
        assert_eq!(row.get::<i64>("orders").unwrap(), 1, "nothing is half-written");
    }

    set(&broker, &ROOM).await;
    let again = submit(&broker, "during").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, ""));
    assert_eq!(submit(&broker, "after").await.status, 201);
}

#[tokio::test]
async fn a_file_that_became_read_only_refuses_what_would_change_it() {
    // SQLite answers with the code that it has for a file system that takes no more.
    static READ_ONLY: Sql = Sql::shared("tests.read_only", "PRAGMA query_only = ON");
    let broker = TestBroker::start(Backend::Sqlite).await;
    set(&broker, &READ_ONLY).await;

    let refused = submit(&broker, "key").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "database_unavailable"),
        "{refused:?}"
    );
    let waiting = broker.http(Method::GET, "/api/v1/work-orders");
    let waiting = Answer::of(waiting.bearer_auth(broker.admin_pak().expose())).await;
    assert_eq!((waiting.status, waiting.text.as_str()), (200, "[]"));
}

#[tokio::test]
async fn a_file_that_another_process_writes_to_for_long_refuses_until_it_is_done() {
    let db = TestDb::empty(Backend::Sqlite).await;
    let mut scene = Scene::start(db.url()).await;
    scene.accepted().await;

    let backup = Db::connect(db.url(), &test_options()).await.unwrap();
    let writing = backup.begin().await.unwrap();
    scene.refused_fast().await;
    scene.refused_fast().await;
    assert_eq!(scene.status_of("/api/v1/work-orders").await, 200);

    drop(writing);
    scene.recovers().await;
    scene.nothing_is_lost_or_half_written(db.url()).await;
    scene.stop().await;
}
