//! The statements on SQLite: the tables are those of PostgreSQL, and all callers share the one connection that writes.

use std::str::FromStr as _;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

const ROUTE: &str = "label:raw";
/// Microseconds; nothing compares with them.
const AT: i64 = 1_000_000;

const TABLES: &str = "
    CREATE TABLE raw_queue (
        id BLOB NOT NULL PRIMARY KEY,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        work_type TEXT NOT NULL,
        route TEXT NOT NULL,
        yaml_content TEXT NOT NULL,
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        claimed_by BLOB,
        lease_expires_at INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX raw_queue_claim ON raw_queue (route, priority DESC, id) WHERE status = 'PENDING';
    CREATE TABLE raw_log (
        id BLOB NOT NULL PRIMARY KEY,
        created_at INTEGER NOT NULL,
        completed_at INTEGER NOT NULL,
        work_type TEXT NOT NULL,
        yaml_content TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        claimed_by BLOB,
        success INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX raw_log_completed ON raw_log (completed_at, id);
";

const CREATE: &str = "INSERT INTO raw_queue \
    (id, created_at, updated_at, work_type, route, yaml_content, status, priority, attempt) VALUES ";
const ROW: &str = "(?, ?, ?, 'command', ?, ?, 'PENDING', 0, 0)";

const CLAIM: &str = "
    UPDATE raw_queue
       SET status = 'CLAIMED', attempt = attempt + 1, claimed_by = ?3, lease_expires_at = ?4, updated_at = ?4
     WHERE id IN (
         SELECT id FROM raw_queue
          WHERE route = ?1 AND status = 'PENDING'
          ORDER BY priority DESC, id
          LIMIT ?2)
    RETURNING id, yaml_content";

const LOG: &str = "INSERT INTO raw_log (id, created_at, completed_at, work_type, yaml_content, attempt, claimed_by, success) \
    SELECT id, created_at, ?, work_type, yaml_content, attempt, claimed_by, 1 FROM raw_queue WHERE status = 'CLAIMED' AND id IN ";
const DELETE: &str = "DELETE FROM raw_queue WHERE id IN ";

const COUNT: &str = "
    SELECT (SELECT count(*) FROM raw_queue), (SELECT count(*) FROM raw_queue WHERE status = 'CLAIMED'), (SELECT count(*) FROM raw_log)";

pub(super) type Shared = Arc<Mutex<SqliteConnection>>;

/// With the settings that the broker gives its own connections.
pub(super) async fn prepare(url: &str) -> Result<Shared, sqlx::Error> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(TABLES).execute(&mut connection).await?;
    Ok(Arc::new(Mutex::new(connection)))
}

pub(super) async fn create(shared: &Shared, ids: &[Uuid], payload: &str) -> Result<(), sqlx::Error> {
    let statement = format!("{CREATE}{}", vec![ROW; ids.len()].join(", "));
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for id in ids {
        query = query.bind(*id).bind(AT).bind(AT).bind(ROUTE).bind(payload);
    }
    query.execute(&mut *shared.lock().await).await.map(drop)
}

pub(super) async fn claim(shared: &Shared, max: u32) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    let query = sqlx::query(CLAIM)
        .bind(ROUTE)
        .bind(i64::from(max))
        .bind(Uuid::nil())
        .bind(AT);
    let rows = query.fetch_all(&mut *shared.lock().await).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

pub(super) async fn end(shared: &Shared, ids: &[Uuid]) -> Result<u64, sqlx::Error> {
    let list = format!("({})", vec!["?"; ids.len()].join(", "));
    let mut log = sqlx::query(AssertSqlSafe(format!("{LOG}{list}"))).bind(AT);
    let mut delete = sqlx::query(AssertSqlSafe(format!("{DELETE}{list}")));
    for id in ids {
        (log, delete) = (log.bind(*id), delete.bind(*id));
    }
    let mut connection = shared.lock().await;
    let mut transaction = connection.begin().await?;
    let ended = log.execute(&mut *transaction).await?.rows_affected();
    delete.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(ended)
}

pub(super) async fn count(shared: &Shared) -> Result<(i64, i64, i64), sqlx::Error> {
    sqlx::query_as(COUNT).fetch_one(&mut *shared.lock().await).await
}

pub(super) async fn clear(shared: &Shared) -> Result<(), sqlx::Error> {
    let mut connection = shared.lock().await;
    sqlx::raw_sql("DELETE FROM raw_queue; DELETE FROM raw_log")
        .execute(&mut *connection)
        .await
        .map(drop)
}
