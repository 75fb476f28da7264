//! How brokers on one PostgreSQL tell each other things: NOTIFY and LISTEN on one channel.
//!
//! What is told reaches whoever listens at that moment, the teller included, and nobody afterwards.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Acquire as _, Connection as _, PgPool};

use super::db::Pools;
use super::{DalError, Db, Dialect, Sql, Tx, params, presence, statements};

/// The channel. It is one per database, as PostgreSQL has it.
const CHANNEL: &str = "brokkr_nudges";

statements! {
    /// SQLite has one broker, which has nobody to tell.
    static TELL = Sql::per_dialect(
        "nudges.tell",
        "SELECT pg_notify('brokkr_nudges', $1) IS NULL AS told",
        "SELECT $1 IS NULL AS told",
    );

    static WORK_WAITS = Sql::shared(
        "nudges.work_waits",
        "SELECT EXISTS (SELECT 1 FROM work_order_routes) AS present",
    );
}

/// Whether other brokers may work on the same database.
#[must_use]
pub const fn others_possible(db: &Db) -> bool {
    matches!(db.pools(), Pools::Postgres { .. })
}

/// Tells all brokers once the transaction is committed, and nobody when it is not. `payload` has fewer than 8,000 bytes.
///
/// PostgreSQL lets transactions that tell something commit one at a time, so this is for rare ones.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn tell(tx: &mut Tx, payload: &str) -> Result<(), DalError> {
    tx.fetch_one(&TELL, params![payload]).await.map(drop)
}

/// Whether any order at all can be claimed now.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn work_waits(tx: &mut Tx) -> Result<bool, DalError> {
    tx.fetch_one(&WORK_WAITS, params![]).await?.get("present")
}

/// A connection of its own on which a broker hears and tells.
#[derive(Debug)]
pub struct Channel {
    pool: PgPool,
    listener: PgListener,
    dialect: Dialect,
    statements: Arc<AtomicU64>,
}

impl Channel {
    /// Connects, and hears everything that is told from then on. The connection also tells that a broker serves the database
    /// ([`presence`]). `None` where there are no others.
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when there is no connection in time.
    pub async fn open(db: &Db) -> Result<Option<Self>, DalError> {
        let Pools::Postgres { writers, .. } = db.pools() else {
            return Ok(None);
        };
        let connect = writers.connect_options().as_ref().clone();
        let opened = async {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(writers.options().get_acquire_timeout())
                .connect_with(connect.application_name("brokkr nudges"))
                .await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            // Who reconnects has to know that something may have been missed.
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            presence::announce_on(&mut listener, db).await?;
            Ok((pool, listener))
        };
        let (pool, listener) = opened
            .await
            .map_err(|error| DalError::classify("nudges.listen", error))?;
        Ok(Some(Self {
            pool,
            listener,
            dialect: db.dialect(),
            statements: db.statement_counter(),
        }))
    }

    /// Waits for what is told next. May be dropped at any time without missing anything.
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when the connection was lost: open another one.
    pub async fn hear(&mut self) -> Result<String, DalError> {
        let heard = match self.listener.try_recv().await {
            Ok(Some(notification)) => Ok(notification.payload().to_owned()),
            Ok(None) => Err(sqlx::Error::Io(io::ErrorKind::ConnectionAborted.into())),
            Err(error) => Err(error),
        };
        heard.map_err(|error| DalError::classify("nudges.hear", error))
    }

    /// Tells all brokers, outside of any transaction. `payload` has fewer than 8,000 bytes.
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when the connection was lost.
    pub async fn tell(&mut self, payload: &str) -> Result<(), DalError> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        sqlx::query(TELL.texts(self.dialect)[0].as_str())
            .bind(payload)
            .execute(&mut self.listener)
            .await
            .map(drop)
            .map_err(|error| DalError::classify(TELL.name(), error))
    }

    /// Asks for a sign of life. It is no statement.
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when there is none.
    pub async fn ping(&mut self) -> Result<(), DalError> {
        let ping = async { self.listener.acquire().await?.ping().await };
        ping.await
            .map_err(|error| DalError::classify("nudges.ping", error))
    }

    /// Closes the connection.
    pub async fn close(self) {
        drop(self.listener);
        self.pool.close().await;
    }
}
