//! Restorations of the database from a backup. Claims read the latest one's epoch, and number attempts above it.

use brokkr_core::attempt::Epoch;
use brokkr_core::time::Timestamp;

use super::{DalError, Sql, Tx, params, statements};

statements! {
    static EPOCH = Sql::shared(
        "restores.epoch",
        "SELECT COALESCE(MAX(epoch), 0) AS epoch FROM restores",
    );

    static INSERT = Sql::shared(
        "restores.insert",
        "INSERT INTO restores (epoch, restored_at) VALUES ($1, $2)",
    );

    static WAITING_AT_MOST_ONCE = Sql::shared(
        "restores.waiting_at_most_once",
        "SELECT COUNT(*) AS orders FROM work_orders WHERE status <> 'CLAIMED' AND delivery = 'at_most_once'",
    );
}

/// The epoch of the attempts that are made now.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn epoch(tx: &mut Tx) -> Result<Epoch, DalError> {
    Ok(Epoch::new(tx.fetch_one(&EPOCH, params![]).await?.get("epoch")?))
}

/// Begins an epoch, which is above the present one.
///
/// # Errors
/// A unique constraint when that epoch has begun before.
pub async fn insert(tx: &mut Tx, epoch: Epoch, now: Timestamp) -> Result<(), DalError> {
    tx.execute(&INSERT, params![epoch.number(), now]).await?;
    Ok(())
}

/// How many orders wait that must not run twice.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn waiting_at_most_once(tx: &mut Tx) -> Result<u64, DalError> {
    tx.fetch_one(&WAITING_AT_MOST_ONCE, params![])
        .await?
        .get("orders")
}
