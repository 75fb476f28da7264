//! Sweeping out what claims have left in the index that they read.
//!
//! On PostgreSQL the entry of an order that was claimed stays in the index until the table is vacuumed, and every claim passes all of
//! them on its way to the first order that waits. The server's own vacuum comes once a minute, which at thousands of orders a second is
//! late.

use super::{DalError, Db, Sql, params, statements};

statements! {
    /// As far as the server has counted; that is a second behind. SQLite removes rows at once.
    static DEAD_ROUTES = Sql::per_dialect(
        "vacuum.dead_routes",
        "SELECT n_dead_tup AS dead FROM pg_stat_user_tables WHERE relid = 'work_order_routes'::regclass",
        "SELECT 0 AS dead",
    );

    /// Another broker that does it at this moment is not waited for. SQLite has nothing to do.
    static ROUTES = Sql::per_dialect(
        "vacuum.routes",
        "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) work_order_routes",
        "SELECT 0 AS dead",
    );
}

/// Sweeps the routes of orders that were claimed out of the index, when there are at least `dead_min` of them, and tells whether it
/// did. A hundred thousand of them take some tens of milliseconds, and the indexes are read whole; claims go on meanwhile.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn routes(db: &Db, dead_min: u32) -> Result<bool, DalError> {
    // Not a transaction: PostgreSQL does not vacuum within one.
    let mut tx = db.read().await?;
    let dead: i64 = tx.fetch_one(&DEAD_ROUTES, params![]).await?.get("dead")?;
    if dead == 0 || dead < dead_min.into() {
        return Ok(false);
    }
    tx.execute(&ROUTES, params![]).await?;
    Ok(true)
}
