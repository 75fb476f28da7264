//! The statements on PostgreSQL.

use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

const ROUTE: &str = "label:raw";
/// Microseconds; nothing compares with them.
const AT: i64 = 1_000_000;

const TABLES: &str = "
    CREATE TABLE raw_queue (
        id UUID NOT NULL PRIMARY KEY,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        work_type TEXT NOT NULL,
        route TEXT NOT NULL,
        yaml_content TEXT NOT NULL,
        status TEXT NOT NULL,
        priority BIGINT NOT NULL,
        attempt BIGINT NOT NULL,
        claimed_by UUID,
        lease_expires_at BIGINT
    );
    CREATE INDEX raw_queue_claim ON raw_queue (route, priority DESC, id) WHERE status = 'PENDING';
    CREATE TABLE raw_log (
        id UUID NOT NULL PRIMARY KEY,
        created_at BIGINT NOT NULL,
        completed_at BIGINT NOT NULL,
        work_type TEXT NOT NULL,
        yaml_content TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        claimed_by UUID,
        success BOOLEAN NOT NULL
    );
    CREATE INDEX raw_log_completed ON raw_log (completed_at, id);
";

const CREATE: &str = "
    INSERT INTO raw_queue (id, created_at, updated_at, work_type, route, yaml_content, status, priority, attempt)
    VALUES ($1, $2, $2, 'command', $3, $4, 'PENDING', 0, 0)";

const CREATE_MANY: &str = "
    INSERT INTO raw_queue (id, created_at, updated_at, work_type, route, yaml_content, status, priority, attempt)
    SELECT id, $2, $2, 'command', $3, yaml_content, 'PENDING', 0, 0
      FROM unnest($1::uuid[], $4::text[]) AS given (id, yaml_content)";

const CLAIM: &str = "
    WITH next AS (
        SELECT id FROM raw_queue
         WHERE route = $1 AND status = 'PENDING'
         ORDER BY priority DESC, id
         LIMIT $2
           FOR UPDATE SKIP LOCKED
    )
    UPDATE raw_queue
       SET status = 'CLAIMED', attempt = attempt + 1, claimed_by = $3, lease_expires_at = $4, updated_at = $4
      FROM next
     WHERE raw_queue.id = next.id
    RETURNING raw_queue.id, raw_queue.yaml_content";

const END: &str = "
    WITH ended AS (
        DELETE FROM raw_queue
         WHERE id = ANY($1) AND status = 'CLAIMED'
        RETURNING id, created_at, work_type, yaml_content, attempt, claimed_by
    )
    INSERT INTO raw_log (id, created_at, completed_at, work_type, yaml_content, attempt, claimed_by, success)
    SELECT id, created_at, $2, work_type, yaml_content, attempt, claimed_by, TRUE FROM ended";

const COUNT: &str = "
    SELECT (SELECT count(*) FROM raw_queue), (SELECT count(*) FROM raw_queue WHERE status = 'CLAIMED'), (SELECT count(*) FROM raw_log)";

pub(super) async fn prepare(url: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(TABLES).execute(&mut connection).await?;
    connection.close().await
}

/// A plan that is made while the tables are still small, and kept, must not read them from end to end when they have grown.
pub(super) async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql("SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

pub(super) async fn create(
    connection: &mut PgConnection,
    ids: &[Uuid],
    payload: &str,
) -> Result<(), sqlx::Error> {
    let query = match ids {
        [id] => sqlx::query(CREATE).bind(*id).bind(AT).bind(ROUTE).bind(payload),
        _ => {
            let payloads = vec![payload; ids.len()];
            sqlx::query(CREATE_MANY)
                .bind(ids)
                .bind(AT)
                .bind(ROUTE)
                .bind(payloads)
        }
    };
    query.execute(connection).await.map(drop)
}

pub(super) async fn claim(
    connection: &mut PgConnection,
    max: u32,
) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    let query = sqlx::query(CLAIM)
        .bind(ROUTE)
        .bind(i64::from(max))
        .bind(Uuid::nil())
        .bind(AT);
    let rows = query.fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

pub(super) async fn end(connection: &mut PgConnection, ids: &[Uuid]) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(END)
        .bind(ids)
        .bind(AT)
        .execute(connection)
        .await?
        .rows_affected())
}

pub(super) async fn count(connection: &mut PgConnection) -> Result<(i64, i64, i64), sqlx::Error> {
    sqlx::query_as(COUNT).fetch_one(connection).await
}

pub(super) async fn clear(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("TRUNCATE raw_queue, raw_log")
        .execute(connection)
        .await
        .map(drop)
}
