//! What the work printed, in chunks that begin at an offset of their attempt's output.

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::time::Timestamp;

use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    /// Only the current attempt of an order that the agent holds may append. `WHERE` also keeps SQLite from reading
    /// `ON CONFLICT` as a part of the join.
    static APPEND = Sql::batch(
        "output.append",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO output_chunks (work_order_id, attempt, start_offset, byte_count, stream, at, data)
         SELECT input.work_order_id, input.attempt, input.start_offset, length(input.data), input.stream, input.at,
                input.data
           FROM input
           JOIN work_orders ON work_orders.id = input.work_order_id AND work_orders.attempt = input.attempt
          WHERE work_orders.status = 'CLAIMED'
            AND work_orders.claimed_by = input.agent_id
         ON CONFLICT (work_order_id, attempt, start_offset) DO NOTHING
         RETURNING work_order_id, attempt, start_offset",
        &[
            ("work_order_id", Kind::Uuid),
            ("attempt", Kind::BigInt),
            ("start_offset", Kind::BigInt),
            ("stream", Kind::Text),
            ("at", Kind::BigInt),
            ("data", Kind::Bytes),
            ("agent_id", Kind::Uuid),
        ],
    );

    static LENGTHS = Sql::batch(
        "output.lengths",
        "WITH input AS MATERIALIZED ({input})
         SELECT output_chunks.work_order_id, output_chunks.attempt,
                MAX(output_chunks.start_offset + output_chunks.byte_count) AS end_offset
           FROM input
           JOIN output_chunks ON output_chunks.work_order_id = input.work_order_id
                             AND output_chunks.attempt = input.attempt
          GROUP BY output_chunks.work_order_id, output_chunks.attempt",
        &[("work_order_id", Kind::Uuid), ("attempt", Kind::BigInt)],
    );

    /// Begins with the chunk in which the offset lies.
    static PAGE = Sql::shared(
        "output.page",
        "SELECT start_offset, stream, at, data
           FROM output_chunks
          WHERE work_order_id = $1
            AND attempt = $2
            AND start_offset >= COALESCE((SELECT MAX(earlier.start_offset)
                                            FROM output_chunks AS earlier
                                           WHERE earlier.work_order_id = $1
                                             AND earlier.attempt = $2
                                             AND earlier.start_offset <= $3), 0)
            AND start_offset + byte_count > $3
          ORDER BY start_offset
          LIMIT $4",
    );

    /// Backwards, from the chunk in which the byte before `$3` lies to the one in which `$4` lies.
    static BEFORE = Sql::shared(
        "output.before",
        "SELECT start_offset, stream, at, data
           FROM output_chunks
          WHERE work_order_id = $1
            AND attempt = $2
            AND start_offset < $3
            AND start_offset >= COALESCE((SELECT MAX(earlier.start_offset)
                                            FROM output_chunks AS earlier
                                           WHERE earlier.work_order_id = $1
                                             AND earlier.attempt = $2
                                             AND earlier.start_offset <= $4), 0)
          ORDER BY start_offset DESC
          LIMIT $5",
    );

    static LATEST_ATTEMPT = Sql::shared(
        "output.latest_attempt",
        "SELECT MAX(attempt) AS attempt FROM output_chunks WHERE work_order_id = $1",
    );

    static NEXT_ATTEMPT = Sql::shared(
        "output.next_attempt",
        "SELECT MIN(attempt) AS attempt FROM output_chunks WHERE work_order_id = $1 AND attempt > $2",
    );

    static DELETE = Sql::batch(
        "output.delete",
        "WITH input AS MATERIALIZED ({input})
         DELETE FROM output_chunks WHERE work_order_id IN (SELECT id FROM input)",
        &[("id", Kind::Uuid)],
    );
}

/// A piece of output that an agent sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChunk {
    /// The order.
    pub id: WorkOrderId,
    /// The attempt that printed it.
    pub attempt: Attempt,
    /// Bytes of the attempt's output before this piece.
    pub offset: u64,
    /// `stdout`, `stderr` or `system`.
    pub stream: String,
    /// When it was printed, by the agent's clock.
    pub at: Timestamp,
    /// The bytes. An empty piece is not stored: it would take the place of the one after it.
    pub data: Vec<u8>,
}

/// Names a chunk: the order, the attempt, and the bytes before it.
pub type ChunkKey = (WorkOrderId, Attempt, u64);

/// Appends output to attempts that agents hold. Answers the chunks that are new; one that is not in the answer was stored
/// before, is empty, or is not of a current attempt of its agent.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn append_many<'c>(
    tx: &mut Tx,
    chunks: impl IntoIterator<Item = (AgentId, &'c NewChunk)>,
) -> Result<Vec<ChunkKey>, DalError> {
    let input: Rows = chunks
        .into_iter()
        .filter(|(_, chunk)| !chunk.data.is_empty())
        .map(|(agent, chunk)| append_row(agent, chunk))
        .collect();
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&APPEND, params![input]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.get("work_order_id")?,
                row.get("attempt")?,
                row.get("start_offset")?,
            ))
        })
        .collect()
}

fn append_row(agent: AgentId, chunk: &NewChunk) -> Vec<super::Value> {
    // An offset that no column can hold is none that any output has.
    let offset = i64::try_from(chunk.offset).unwrap_or(i64::MAX);
    params![
        chunk.id,
        chunk.attempt,
        offset,
        &chunk.stream,
        chunk.at,
        &chunk.data[..],
        agent
    ]
}

/// How many bytes of output each of the attempts has; an attempt without output is left out.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn lengths(
    tx: &mut Tx,
    attempts: impl IntoIterator<Item = (WorkOrderId, Attempt)>,
) -> Result<Vec<(WorkOrderId, Attempt, u64)>, DalError> {
    let input: Rows = attempts
        .into_iter()
        .map(|(id, attempt)| params![id, attempt])
        .collect();
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&LENGTHS, params![input]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.get("work_order_id")?,
                row.get("attempt")?,
                row.get("end_offset")?,
            ))
        })
        .collect()
}

/// A stored piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes of the attempt's output before this piece.
    pub offset: u64,
    /// `stdout`, `stderr` or `system`.
    pub stream: String,
    /// When it was printed, by the agent's clock.
    pub at: Timestamp,
    /// The bytes.
    pub data: Vec<u8>,
}

/// A page of an attempt's output: at most `limit` chunks that end after the offset `after`. The first may begin before it.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn page(
    tx: &mut Tx,
    id: WorkOrderId,
    attempt: Attempt,
    after: u64,
    limit: u32,
) -> Result<Vec<Chunk>, DalError> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = tx.fetch_all(&PAGE, params![id, attempt, after, limit]).await?;
    rows.iter().map(read).collect()
}

/// The chunks of an attempt's output that end where the offset `before` is, in the order in which they were printed: as many as have
/// `bytes` bytes together, and at most `limit`. The first may begin earlier, the last may end later.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn before(
    tx: &mut Tx,
    id: WorkOrderId,
    attempt: Attempt,
    before: u64,
    bytes: u64,
    limit: u32,
) -> Result<Vec<Chunk>, DalError> {
    let [before, from] =
        [before, before.saturating_sub(bytes)].map(|offset| i64::try_from(offset).unwrap_or(i64::MAX));
    let rows = tx
        .fetch_all(&BEFORE, params![id, attempt, before, from, limit])
        .await?;
    rows.iter().rev().map(read).collect()
}

fn read(row: &Row) -> Result<Chunk, DalError> {
    Ok(Chunk {
        offset: row.get("start_offset")?,
        stream: row.get("stream")?,
        at: row.get("at")?,
        data: row.get("data")?,
    })
}

/// The latest attempt of an order that printed anything.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn latest_attempt(tx: &mut Tx, id: WorkOrderId) -> Result<Option<Attempt>, DalError> {
    tx.fetch_one(&LATEST_ATTEMPT, params![id]).await?.get("attempt")
}

/// The first attempt of an order after this one that printed anything.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn next_attempt(tx: &mut Tx, id: WorkOrderId, after: Attempt) -> Result<Option<Attempt>, DalError> {
    tx.fetch_one(&NEXT_ATTEMPT, params![id, after])
        .await?
        .get("attempt")
}

/// Removes the output of orders that are gone.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn delete_many(tx: &mut Tx, ids: &[WorkOrderId]) -> Result<u64, DalError> {
    if ids.is_empty() {
        return Ok(0);
    }
    tx.execute(&DELETE, params![Rows::of(ids.iter().copied())]).await
}
