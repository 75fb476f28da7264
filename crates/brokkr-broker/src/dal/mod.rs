//! SQL words: one module per noun, each with its statements and with functions `verb(tx, ...)`.
//!
//! Times, ids and JSON are parameters; nothing here reads a clock or a random source. A function never opens a transaction:
//! that is for `app/`, so that a use case is one transaction. Functions that take many rows send one statement. Lists are
//! paged by keyset: a page begins after the last row of the one before it.

pub mod agent_annotations;
pub mod agent_labels;
pub mod agents;
pub mod attempts;
pub mod audit;
pub mod cancellations;
pub mod claims;
pub mod console_sessions;
pub mod credentials;
mod db;
pub mod dispatch;
pub mod endings;
mod error;
pub mod events;
pub mod fleet;
pub mod generators;
pub mod idempotency_keys;
mod lent;
pub mod log;
pub mod migrate;
pub mod nudges;
pub mod output;
pub mod pending;
pub mod presence;
pub mod queue_depth;
pub mod recent_endings;
pub mod renewals;
pub mod restores;
pub mod retries;
pub mod routes;
mod row;
mod sql;
#[cfg(feature = "simulation")]
pub mod stage;
pub mod sweeps;
pub mod terms;
mod tx;
pub mod vacuum;
mod value;
pub mod webhook_deliveries;
pub mod webhooks;
pub mod work_orders;

pub use self::db::{Db, DbOptions, PoolUse, SILENCE_MAX};
pub use self::error::{BoxError, ConstraintKind, DalError};
pub use self::row::{Cell, FromColumn, Row};
pub(crate) use self::sql::statements;
pub use self::sql::{Dialect, Sql};
pub use self::tx::Tx;
pub(crate) use self::value::params;
pub use self::value::{Kind, Rows, Value};

/// Every statement of the broker, for the test that prepares each of them on both databases.
#[must_use]
pub fn all_statements() -> Vec<&'static Sql> {
    [
        agent_annotations::STATEMENTS,
        agent_labels::STATEMENTS,
        agents::STATEMENTS,
        agents::heartbeats::STATEMENTS,
        agents::instances::STATEMENTS,
        attempts::STATEMENTS,
        audit::STATEMENTS,
        cancellations::STATEMENTS,
        claims::STATEMENTS,
        console_sessions::STATEMENTS,
        credentials::STATEMENTS,
        db::STATEMENTS,
        dispatch::STATEMENTS,
        endings::STATEMENTS,
        events::STATEMENTS,
        fleet::STATEMENTS,
        generators::STATEMENTS,
        idempotency_keys::STATEMENTS,
        log::STATEMENTS,
        log::list::STATEMENTS,
        migrate::STATEMENTS,
        nudges::STATEMENTS,
        output::STATEMENTS,
        pending::STATEMENTS,
        presence::STATEMENTS,
        queue_depth::STATEMENTS,
        recent_endings::STATEMENTS,
        renewals::STATEMENTS,
        restores::STATEMENTS,
        retries::STATEMENTS,
        routes::STATEMENTS,
        sweeps::STATEMENTS,
        vacuum::STATEMENTS,
        webhook_deliveries::STATEMENTS,
        webhooks::STATEMENTS,
        work_orders::STATEMENTS,
        work_orders::list::STATEMENTS,
    ]
    .concat()
}
