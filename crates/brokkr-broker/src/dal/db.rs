//! A database: its pools, and how they are opened.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, PgPool, SqlSafeStr, SqlitePool};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::error::DalError;
use super::lent::{Lent, Trust, in_time};
use super::sql::{Dialect, Sql};
use super::tx::{Session, Tx};
use super::{params, statements};

statements! {
    static PING = Sql::shared("db.ping", "SELECT CAST(1 AS BIGINT) AS one");

    /// The databases read their clocks in different words. SQLite's has milliseconds.
    static NOW = Sql::per_dialect(
        "db.now",
        "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT AS now",
        "SELECT CAST(ROUND(unixepoch('subsec') * 1000000) AS INTEGER) AS now",
    );
}

/// How the pools behave.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// The most connections that write (PostgreSQL only: SQLite has one writer).
    pub connections_max: u32,
    /// The most connections that only read.
    pub read_connections_max: u32,
    /// How long a caller waits for a connection; then it is told that the database is not available.
    pub acquire_timeout: Duration,
    /// How long one statement may run (PostgreSQL). A server that says nothing for [`SILENCE_MAX`] longer is taken for gone.
    pub statement_timeout: Duration,
    /// How long a statement waits for another transaction's locks.
    pub lock_timeout: Duration,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            connections_max: 16,
            read_connections_max: 8,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
        }
    }
}

/// A database. Cheap to clone; all clones share the pools.
#[derive(Debug, Clone)]
pub struct Db {
    pools: Pools,
    statements: Arc<AtomicU64>,
    events: Arc<Notify>,
    #[cfg(feature = "simulation")]
    stage: Option<super::stage::Stage>,
}

#[derive(Debug, Clone)]
pub(super) enum Pools {
    Postgres {
        writers: PgPool,
        readers: PgPool,
        trust: Trust,
    },
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        /// None in memory.
        file: Option<PathBuf>,
    },
}

/// What a pool is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// `write` or `read`.
    pub pool: &'static str,
    /// Connections that are open.
    pub open: u32,
    /// Open connections that nobody uses.
    pub idle: u32,
    /// The most connections that may be open.
    pub max: u32,
}

impl Db {
    /// Opens the database at `sqlite:PATH`, `sqlite::memory:` or `postgres://...` and waits for the first connection. A
    /// missing SQLite file is created; its directory is not.
    ///
    /// # Errors
    /// [`DalError::Address`] for an address that is none of these, [`DalError::Unavailable`] when nothing answers within
    /// the time to acquire a connection.
    pub async fn connect(url: &str, options: &DbOptions) -> Result<Self, DalError> {
        let pools = match url.split_once(':') {
            Some(("sqlite", _)) => connect_sqlite(url, options).await?,
            Some(("postgres" | "postgresql", _)) => connect_postgres(url, options).await?,
            _ => return Err(DalError::Address("the scheme is not known".into())),
        };
        Ok(Self {
            pools,
            statements: Arc::default(),
            events: Arc::default(),
            #[cfg(feature = "simulation")]
            stage: None,
        })
    }

    /// Takes the connection of an in-memory database, for a [stage](super::stage::Stage).
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when there is none.
    #[cfg(feature = "simulation")]
    pub async fn detach(&self) -> Result<sqlx::SqliteConnection, DalError> {
        let connection = match &self.pools {
            Pools::Postgres { .. } => Err(sqlx::Error::PoolClosed),
            Pools::Sqlite { writer, .. } => writer.acquire().await,
        };
        connection
            .map(sqlx::pool::PoolConnection::detach)
            .map_err(|error| DalError::classify("detach", error))
    }

    /// The same database, whose transactions all take place on this stage.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn on_stage(&self, stage: super::stage::Stage) -> Self {
        Self {
            stage: Some(stage),
            ..self.clone()
        }
    }

    /// Begins a transaction that may write. On SQLite it waits for its turn as the one writer.
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when there is no connection in time.
    pub async fn begin(&self) -> Result<Tx, DalError> {
        #[cfg(feature = "simulation")]
        if let Some(stage) = &self.stage {
            let scene = stage.begin(Some("BEGIN IMMEDIATE")).await;
            return self.tx("begin", scene.map(Session::Staged));
        }
        let session = match &self.pools {
            Pools::Postgres { writers, trust, .. } => {
                Lent::begin(writers, trust).await.map(Session::Postgres)
            }
            // IMMEDIATE takes the write lock at once: a transaction that read first could find it taken half-way.
            Pools::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Session::Sqlite),
        };
        self.tx("begin", session)
    }

    /// Begins to read. Never waits for writers, except in an in-memory database, which has one connection.
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when there is no connection in time.
    pub async fn read(&self) -> Result<Tx, DalError> {
        #[cfg(feature = "simulation")]
        if let Some(stage) = &self.stage {
            return self.tx("read", stage.begin(None).await.map(Session::Staged));
        }
        let session = match &self.pools {
            Pools::Postgres { readers, trust, .. } => Lent::read(readers, trust).await.map(Session::Postgres),
            Pools::Sqlite { readers, .. } => readers.acquire().await.map(Session::SqliteRead),
        };
        self.tx("read", session)
    }

    fn tx(&self, operation: &'static str, session: Result<Session, sqlx::Error>) -> Result<Tx, DalError> {
        session
            .map(|session| Tx::new(session, Arc::clone(&self.statements), Arc::clone(&self.events)))
            .map_err(|error| DalError::classify(operation, error))
    }

    /// Waits until this process has committed events, from the call on.
    pub(crate) fn events_written(&self) -> OwnedNotified {
        Arc::clone(&self.events).notified_owned()
    }

    /// Asks the database for an answer.
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when there is none.
    pub async fn ping(&self) -> Result<(), DalError> {
        self.read().await?.fetch_one(&PING, params![]).await?;
        Ok(())
    }

    /// The database's clock, in microseconds since the epoch.
    ///
    /// # Errors
    /// [`DalError::Unavailable`] when the database does not answer.
    pub async fn now_micros(&self) -> Result<i64, DalError> {
        let row = self.read().await?.fetch_one(&NOW, params![]).await?;
        row.get("now")
    }

    /// Asks the database whether it understands a statement, without running it.
    ///
    /// # Errors
    /// [`DalError::Query`] when it does not.
    pub async fn prepare_check(&self, sql: &'static Sql) -> Result<(), DalError> {
        for text in sql.texts(self.dialect()) {
            let text = text.as_str().into_sql_str();
            match &self.pools {
                Pools::Postgres { writers, .. } => writers.prepare(text).await.map(drop),
                Pools::Sqlite { writer, .. } => writer.prepare(text).await.map(drop),
            }
            .map_err(|error| DalError::classify(sql.name(), error))?;
        }
        Ok(())
    }

    /// How many statements have been sent through this database's transactions so far.
    #[must_use]
    pub fn statements_sent(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Which database this is, for diagnostics. Nothing decides by it outside of the statements.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self.pools {
            Pools::Postgres { .. } => Dialect::Postgres,
            Pools::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// What the pools are doing: writers first.
    #[must_use]
    pub fn pool_use(&self) -> [PoolUse; 2] {
        fn of<DB: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<DB>) -> PoolUse {
            PoolUse {
                pool: name,
                open: pool.size(),
                idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
                max: pool.options().get_max_connections(),
            }
        }
        match &self.pools {
            Pools::Postgres { writers, readers, .. } => [of("write", writers), of("read", readers)],
            Pools::Sqlite { writer, readers, .. } => [of("write", writer), of("read", readers)],
        }
    }

    /// Closes all connections, after those in use have come back. Nothing can be done with any clone afterwards.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres { writers, readers, .. } => {
                readers.close().await;
                writers.close().await;
            }
            Pools::Sqlite { writer, readers, .. } => {
                readers.close().await;
                // The last connection to close folds the write-ahead log into the file.
                writer.close().await;
            }
        }
    }

    pub(super) fn statement_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.statements)
    }

    pub(super) const fn pools(&self) -> &Pools {
        &self.pools
    }
}

/// Long enough for the server to say itself that a statement took too long.
pub const SILENCE_MAX: Duration = Duration::from_secs(2);

/// More than there are statements, so that each is prepared once per connection.
const STATEMENT_CACHE: usize = 1_000;

/// A connection that was idle for longer is asked for a sign of life before it is used.
const IDLE_TRUSTED: Duration = Duration::from_secs(5);

/// How long it may take to give one. Another connection is made then, in what is left of the time to acquire one.
const SIGN_OF_LIFE_LIMIT: Duration = Duration::from_secs(1);

/// Every statement finds its rows by an index. The planner is told so, since it goes by the sizes of the queue's tables when they
/// were last looked at: one that was empty then is read from end to end for each order of a batch, dead rows included.
const PLANS: [(&str, &str); 5] = [
    // No plan depends on a value. By the values the planner guesses at the sizes of lists and limits, and for some statements it
    // would plan anew at each call, which takes longer than to run them.
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    // Every statement runs for less time than it takes to compile it.
    ("jit", "off"),
];

async fn connect_postgres(url: &str, options: &DbOptions) -> Result<Pools, DalError> {
    let connect = PgConnectOptions::from_str(url)
        .map_err(|error| DalError::Address(error.into()))?
        .application_name("brokkr")
        .statement_cache_capacity(STATEMENT_CACHE)
        .options(PLANS)
        .options([
            ("statement_timeout", options.statement_timeout.as_millis()),
            ("lock_timeout", options.lock_timeout.as_millis()),
            // A broker that hangs within a transaction must not hold its locks for ever.
            (
                "idle_in_transaction_session_timeout",
                options.statement_timeout.as_millis(),
            ),
        ])
        .disable_statement_logging();
    let trust = Trust::new(options.statement_timeout + SILENCE_MAX);
    let trusted = trust.clone();
    let pool = PgPoolOptions::new()
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let admitted = trusted.admits(meta.age);
            Box::pin(async move {
                if admitted && meta.idle_for > IDLE_TRUSTED {
                    in_time(SIGN_OF_LIFE_LIMIT, connection.ping()).await?;
                }
                Ok(admitted)
            })
        });
    let writers = pool
        .clone()
        .max_connections(options.connections_max)
        .connect_with(connect.clone())
        .await
        .map_err(|error| DalError::classify("connect", error))?;
    let readers = pool
        .max_connections(options.read_connections_max)
        .connect_lazy_with(connect.options([("default_transaction_read_only", "on")]));
    Ok(Pools::Postgres {
        writers,
        readers,
        trust,
    })
}

async fn connect_sqlite(url: &str, options: &DbOptions) -> Result<Pools, DalError> {
    let connect = SqliteConnectOptions::from_str(url)
        .map_err(|error| DalError::Address(error.into()))?
        .foreign_keys(true)
        .busy_timeout(options.lock_timeout)
        .statement_cache_capacity(STATEMENT_CACHE)
        .disable_statement_logging();
    // A connection that is closed for its age would take an in-memory database with it.
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    let file = (!in_memory).then(|| connect.get_filename().to_owned());
    let writer_connect = if in_memory {
        connect.clone()
    } else {
        make_private(connect.get_filename())?;
        connect
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer is sent after the commit, so the commit must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", "67108864")
            .optimize_on_close(true, None)
    };
    let mut writer = pool.clone();
    if !in_memory {
        writer = writer.after_release(|connection, _| {
            Box::pin(async move {
                // Waits for a rollback that is under way.
                connection.ping().await?;
                // SQLite ends a transaction by itself when the disk is full or fails. The driver does not notice, and would
                // never again begin one on this connection.
                Ok(!connection.is_in_transaction())
            })
        });
    }
    let writer = writer
        .max_connections(1)
        .connect_with(writer_connect)
        .await
        .map_err(|error| DalError::classify("connect", error))?;
    let readers = if in_memory {
        writer.clone()
    } else {
        pool.max_connections(options.read_connections_max)
            .connect_lazy_with(connect.pragma("query_only", "ON"))
    };
    Ok(Pools::Sqlite {
        writer,
        readers,
        file,
    })
}

/// Makes a missing database file readable for its owner only: it will hold the hashes of keys. SQLite gives the files
/// beside it the same mode.
fn make_private(path: &Path) -> Result<(), DalError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| DalError::classify("connect", sqlx::Error::Io(error)))
}
