//! How the orders of the last hours ended, in numbers: for people who look at them.

use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;

use super::{DalError, Sql, Tx, params, statements};

/// The latest endings since a time. There is a bound, so that a busy day costs no more than a quiet one.
macro_rules! of_recent {
    ($select:literal, $group:literal) => {
        concat!(
            $select,
            " FROM (SELECT completed_at, claimed_at, ending, work_type, lost_count
                      FROM work_order_log
                     WHERE completed_at >= $1
                     ORDER BY completed_at DESC, id DESC
                     LIMIT $2) AS recent ",
            $group
        )
    };
}

statements! {
    static BY_TIME = Sql::shared(
        "recent_endings.by_time",
        of_recent!(
            "SELECT (completed_at - $1) / $3 AS bucket,
                    ending,
                    COUNT(*) AS orders,
                    CAST(SUM(lost_count) AS BIGINT) AS losses,
                    MIN(completed_at) AS earliest",
            "GROUP BY (completed_at - $1) / $3, ending ORDER BY 1, 2"
        ),
    );

    static BY_WORK_TYPE = Sql::shared(
        "recent_endings.by_work_type",
        of_recent!(
            "SELECT work_type,
                    COUNT(*) AS orders,
                    CAST(AVG(completed_at - claimed_at) AS BIGINT) AS mean,
                    MAX(completed_at - claimed_at) AS longest",
            "WHERE claimed_at IS NOT NULL GROUP BY work_type ORDER BY 3 DESC, 1 LIMIT $3"
        ),
    );
}

/// Orders that ended the same way within the same span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Which span, counted from the time that was asked for.
    pub bucket: u32,
    /// How they ended.
    pub ending: Ending,
    /// How many.
    pub orders: u64,
    /// How many of their attempts were lost and tried again.
    pub losses: u64,
    /// When the first of them ended.
    pub earliest: Timestamp,
}

/// How long the last attempts took that ended orders of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slowness {
    /// The type of work.
    pub work_type: String,
    /// How many orders.
    pub orders: u64,
    /// How long they took on average, in microseconds.
    pub mean_micros: u64,
    /// How long the longest took, in microseconds.
    pub longest_micros: u64,
}

/// How many orders ended since `since`, by spans of `bucket_micros`: at most the `rows` latest.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn by_time(
    tx: &mut Tx,
    since: Timestamp,
    bucket_micros: i64,
    rows: u32,
) -> Result<Vec<Count>, DalError> {
    let found = tx
        .fetch_all(&BY_TIME, params![since, rows, bucket_micros])
        .await?;
    found
        .iter()
        .map(|row| {
            Ok(Count {
                bucket: row.get("bucket")?,
                ending: row.get("ending")?,
                orders: row.get("orders")?,
                losses: row.get("losses")?,
                earliest: row.get("earliest")?,
            })
        })
        .collect()
}

/// The `types` slowest types among the `rows` latest orders that ended since `since`, the slowest first.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn by_work_type(
    tx: &mut Tx,
    since: Timestamp,
    types: u32,
    rows: u32,
) -> Result<Vec<Slowness>, DalError> {
    let found = tx.fetch_all(&BY_WORK_TYPE, params![since, rows, types]).await?;
    found
        .iter()
        .map(|row| {
            Ok(Slowness {
                work_type: row.get("work_type")?,
                orders: row.get("orders")?,
                mean_micros: row.get("mean")?,
                longest_micros: row.get("longest")?,
            })
        })
        .collect()
}
