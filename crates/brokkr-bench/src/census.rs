//! What is in the database, counted without the broker: results must add up.

use std::str::FromStr as _;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::BenchError;
use crate::server::{self, Database};

const COUNTS: &str = "SELECT (SELECT count(*) FROM work_orders), (SELECT count(*) FROM work_order_log), \
     (SELECT count(*) FROM work_order_routes)";

/// Sizes and dead rows of the tables that every order passes through.
const POSTGRES_SIZES: &str = "SELECT relname::text, pg_total_relation_size(relid), n_live_tup, n_dead_tup \
     FROM pg_stat_user_tables \
     WHERE relname IN ('work_orders', 'work_order_routes', 'work_order_targets', 'work_order_log', 'work_order_attempts', 'audit') \
     ORDER BY relname";

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// How many orders there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Census {
    /// Orders that have not ended.
    pub(crate) queue: u64,
    /// Orders that have ended.
    pub(crate) log: u64,
    /// Routes of orders that wait.
    pub(crate) routes: u64,
}

pub(crate) async fn count(database: &Database) -> Result<Census, BenchError> {
    let counted: Result<(i64, i64, i64), sqlx::Error> = async {
        if database.is_sqlite() {
            let mut connection = open(database).await?;
            let row = sqlx::query_as(COUNTS).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(row)
        } else {
            let mut connection = server::connect(&database.url).await?;
            let row = sqlx::query_as(COUNTS).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(row)
        }
    }
    .await;
    let (queue, log, routes) = counted.map_err(|error| BenchError::Database("count the orders", error))?;
    Ok(Census {
        queue: queue.unsigned_abs(),
        log: log.unsigned_abs(),
        routes: routes.unsigned_abs(),
    })
}

async fn open(database: &Database) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::from_str(&database.url)?
        .disable_statement_logging()
        .connect()
        .await
}

/// Name and size of what grows, for people.
pub(crate) async fn sizes(database: &Database) -> Result<Vec<(String, String)>, BenchError> {
    let sizes = if database.is_sqlite() {
        sqlite_sizes(database).await
    } else {
        postgres_sizes(database).await
    };
    sizes.map_err(|error| BenchError::Database("measure the tables", error))
}

async fn postgres_sizes(database: &Database) -> Result<Vec<(String, String)>, sqlx::Error> {
    let mut connection = server::connect(&database.url).await?;
    let rows: Vec<(String, i64, i64, i64)> =
        sqlx::query_as(POSTGRES_SIZES).fetch_all(&mut connection).await?;
    connection.close().await?;
    let told = rows.into_iter().map(|(name, bytes, live, dead)| {
        (
            name,
            format!("{:.1} MiB, {live} rows, {dead} dead", bytes as f64 / MEBIBYTE),
        )
    });
    Ok(told.collect())
}

async fn sqlite_sizes(database: &Database) -> Result<Vec<(String, String)>, sqlx::Error> {
    let mut connection = open(database).await?;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&mut connection)
        .await?;
    let free: i64 = sqlx::query_scalar("PRAGMA freelist_count")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    let log = database.file().map(|file| file.with_extension("db-wal"));
    let log_bytes = log
        .and_then(|log| std::fs::metadata(log).ok())
        .map_or(0, |log| log.len());
    Ok(vec![
        ("file".to_owned(), format!("{pages} pages, {free} free")),
        (
            "write-ahead log".to_owned(),
            format!("{:.1} MiB", log_bytes as f64 / MEBIBYTE),
        ),
    ])
}
