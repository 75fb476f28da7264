//! PostgreSQL that crashes, changes its role, refuses, waits or falls silent.

use std::time::Duration;

use brokkr_broker::dal::{Db, DbOptions, Sql};
use brokkr_testkit::db::test_options;
use brokkr_testkit::{Backend, Cluster, Durability, TestDb};
use reqwest::Url;
use rstest::rstest;

use super::proxy::Proxy;
use super::scene::Scene;

static TERMINATE: Sql = Sql::shared(
    "tests.terminate",
    "SELECT COUNT(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'brokkr%' AND pid <> pg_backend_pid()",
);

async fn execute(db: &Db, sql: &'static Sql) {
    // Each statement by itself: some are refused within a transaction.
    db.read().await.unwrap().execute(sql, vec![]).await.unwrap();
}

/// A connection that is not the broker's.
async fn apart(url: &str) -> Db {
    let options = DbOptions {
        connections_max: 1,
        read_connections_max: 1,
        ..test_options()
    };
    Db::connect(url, &options).await.unwrap()
}

#[tokio::test]
async fn a_server_that_crashes_and_comes_back_is_used_again_without_a_restart_of_the_broker() {
    // One that forgets commits when it crashes would forget the broker's key.
    let cluster = Cluster::start_with(Durability::ServerDefault).unwrap();
    let mut scene = Scene::start(cluster.url()).await;
    scene.accepted().await;

    cluster.crash().unwrap();
    scene.refused_fast().await;
    scene.refused_fast().await;
    assert_eq!(
        (
            scene.status_of("/healthz").await,
            scene.status_of("/readyz").await
        ),
        (200, 503)
    );

    cluster.start_again().unwrap();
    scene.recovers().await;
    scene.is_ready_again().await;
    scene.nothing_is_lost_or_half_written(cluster.url()).await;
    scene.stop().await;
}

#[tokio::test]
async fn a_standby_at_the_address_refuses_until_it_is_promoted() {
    let cluster = Cluster::start_with(Durability::ServerDefault).unwrap();
    let mut scene = Scene::start(cluster.url()).await;
    scene.accepted().await;

    cluster.crash().unwrap();
    cluster.demote().unwrap();
    cluster.start_again().unwrap();
    scene.refused_fast().await;
    scene.refused_fast().await;
    // What is only read still works.
    assert_eq!(scene.status_of("/api/v1/work-orders").await, 200);

    cluster.promote().unwrap();
    scene.recovers().await;
    scene.nothing_is_lost_or_half_written(cluster.url()).await;
    scene.stop().await;
}

#[tokio::test]
async fn connections_to_a_server_that_refuses_writes_are_given_up() {
    static REFUSE: Sql = Sql::shared(
        "tests.refuse",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    );
    static WRITE: Sql = Sql::shared("tests.write", "SET TRANSACTION READ WRITE");
    static TAKE: Sql = Sql::shared(
        "tests.take",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$",
    );
    let db = TestDb::empty(Backend::Postgres).await;
    let mut scene = Scene::start(db.url()).await;
    scene.accepted().await;
    let apart = apart(db.url()).await;

    let mut tx = apart.begin().await.unwrap();
    tx.execute(&REFUSE, vec![]).await.unwrap();
    tx.commit().await.unwrap();
    execute(&db, &TERMINATE).await;
    scene.submit().await;
    scene.refused_fast().await;

    // The broker's sessions stay read-only for as long as they last.
    let mut tx = self::apart(db.url()).await.begin().await.unwrap();
    tx.execute(&WRITE, vec![]).await.unwrap();
    tx.execute(&TAKE, vec![]).await.unwrap();
    tx.commit().await.unwrap();
    scene.recovers().await;
    scene.nothing_is_lost_or_half_written(db.url()).await;
    scene.stop().await;
}

#[tokio::test]
async fn sessions_that_the_server_ended_are_replaced() {
    let db = TestDb::empty(Backend::Postgres).await;
    let mut scene = Scene::start(db.url()).await;
    scene.accepted().await;
    let apart = apart(db.url()).await;

    execute(&apart, &TERMINATE).await;
    let answer = scene.submit().await;
    assert!([201, 503].contains(&answer.status), "{answer:?}");

    scene.recovers().await;
    scene.accepted().await;
    scene.nothing_is_lost_or_half_written(db.url()).await;
    scene.stop().await;
}

#[tokio::test]
async fn a_server_without_a_free_connection_refuses_until_there_is_one() {
    static SESSIONS: Sql = Sql::shared(
        "tests.sessions",
        "SELECT COUNT(*) AS sessions FROM pg_stat_activity
          WHERE application_name LIKE 'brokkr%' AND pid <> pg_backend_pid()
            AND state IS NOT NULL AND query NOT LIKE 'SELECT 1 AS held%'",
    );
    static HOLD: Sql = Sql::shared("tests.hold", "SELECT 1 AS held");
    static END: Sql = Sql::shared(
        "tests.end",
        "SELECT COUNT(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity
          WHERE application_name LIKE 'brokkr%' AND pid <> pg_backend_pid()
            AND state IS NOT NULL AND query NOT LIKE 'SELECT 1 AS held%'",
    );
    let cluster = Cluster::start().unwrap();
    cluster.crash().unwrap();
    // Enough for the broker, the watcher and whoever counts in the end, each with all that they may open.
    cluster.set("max_connections = 12").unwrap();
    cluster.start_again().unwrap();
    let mut scene = Scene::start(cluster.url()).await;
    scene.accepted().await;
    let watcher = apart(cluster.url()).await;
    execute(&watcher, &HOLD).await;
    let options = DbOptions {
        connections_max: 1,
        read_connections_max: 1,
        acquire_timeout: Duration::from_secs(1),
        ..test_options()
    };

    let mut held = Vec::new();
    for _ in 0..100 {
        let mut tx = watcher.read().await.unwrap();
        let row = tx.fetch_one(&SESSIONS, vec![]).await.unwrap();
        if row.get::<i64>("sessions").unwrap() == 0 && !held.is_empty() {
            break;
        }
        tx.fetch_one(&END, vec![]).await.unwrap();
        while let Ok(db) = Db::connect(cluster.url(), &options).await {
            let mut tx = db.begin().await.unwrap();
            tx.fetch_one(&HOLD, vec![]).await.unwrap();
            held.push((db, tx));
        }
    }
    scene.refused_fast().await;

    drop(held);
    scene.recovers().await;
    scene.nothing_is_lost_or_half_written(cluster.url()).await;
    scene.stop().await;
}

#[rstest]
#[case::by_the_limit_for_locks(2, 60)]
#[case::by_the_limit_for_statements(60, 2)]
#[tokio::test]
async fn a_statement_that_waits_for_too_long_is_given_up(
    #[case] lock_seconds: u64,
    #[case] statement_seconds: u64,
) {
    static LOCK: Sql = Sql::shared(
        "tests.lock",
        "LOCK TABLE work_order_routes IN ACCESS EXCLUSIVE MODE",
    );
    let db = TestDb::empty(Backend::Postgres).await;
    let mut scene = Scene::start_with(db.url(), |config| {
        config.database.lock_seconds_max = lock_seconds;
        config.database.statement_seconds_max = statement_seconds;
    })
    .await;
    scene.accepted().await;
    let apart = apart(db.url()).await;

    let mut locked = apart.begin().await.unwrap();
    locked.execute(&LOCK, vec![]).await.unwrap();
    scene.refused_fast().await;
    scene.refused_fast().await;

    drop(locked);
    scene.recovers().await;
    scene.nothing_is_lost_or_half_written(db.url()).await;
    scene.stop().await;
}

#[tokio::test]
async fn a_link_that_stalls_is_given_up_and_a_new_one_is_used() {
    let db = TestDb::empty(Backend::Postgres).await;
    let mut url = Url::parse(db.url()).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let proxy = Proxy::to(server).await;
    url.set_host(Some(&proxy.address().ip().to_string())).unwrap();
    url.set_port(Some(proxy.address().port())).unwrap();
    let mut scene = Scene::start(url.as_str()).await;
    scene.accepted().await;

    proxy.stall();
    scene.refused_fast().await;
    scene.refused_fast().await;
    assert_eq!(scene.status_of("/readyz").await, 503);

    proxy.let_new_ones_pass();
    scene.recovers().await;
    scene.nothing_is_lost_or_half_written(db.url()).await;
    scene.stop().await;
}
