//! The database server of a run, and the databases on it.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};

use brokkr_testkit_postgres::{Cluster, Durability};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};
use tempfile::TempDir;
use url::Url;

use crate::process::{self, Memory};
use crate::{BenchError, DatabaseChoice};

/// What is told of a PostgreSQL server, as it decides about durability, memory and parallelism.
const SETTINGS: [&str; 11] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "work_mem",
    "max_wal_size",
    "checkpoint_timeout",
    "autovacuum",
    "max_connections",
    "wal_sync_method",
];

/// The database server of a run. What it made is removed with this value.
pub(crate) struct Server {
    kind: Kind,
    count: AtomicU32,
}

enum Kind {
    Sqlite(TempDir),
    Cluster(Cluster),
    Given(String),
}

/// An empty database on the server.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
}

impl Database {
    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// The file, on SQLite.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite:").map(PathBuf::from)
    }
}

impl Server {
    pub(crate) async fn start(choice: &DatabaseChoice) -> Result<Server, BenchError> {
        let kind = match choice {
            DatabaseChoice::Server(url) => Kind::Given(url.clone()),
            DatabaseChoice::Sqlite => Kind::Sqlite(
                tempfile::tempdir().map_err(|error| BenchError::System("make a directory", error))?,
            ),
            DatabaseChoice::Postgres => Kind::Cluster(
                tokio::task::spawn_blocking(|| Cluster::start_with(Durability::ServerDefault)).await??,
            ),
        };
        Ok(Server {
            kind,
            count: AtomicU32::new(0),
        })
    }

    /// Makes an empty database.
    pub(crate) async fn database(&self) -> Result<Database, BenchError> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("brokkr_bench_{}_{number}", std::process::id());
        let url = match &self.kind {
            Kind::Sqlite(directory) => {
                format!(
                    "sqlite:{}",
                    directory.path().join(&name).with_extension("db").display()
                )
            }
            Kind::Cluster(cluster) => create(cluster.url(), &name).await?,
            Kind::Given(url) => create(url, &name).await?,
        };
        Ok(Database { url, name })
    }

    /// Removes a database, whoever is connected to it.
    pub(crate) async fn remove(&self, database: &Database) -> Result<(), BenchError> {
        let url = match &self.kind {
            Kind::Sqlite(_) => {
                for suffix in ["", "-wal", "-shm"] {
                    // The write-ahead log is gone already when the broker stopped in peace.
                    let _ = std::fs::remove_file(format!("{}{suffix}", &database.url["sqlite:".len()..]));
                }
                return Ok(());
            }
            Kind::Cluster(cluster) => cluster.url(),
            Kind::Given(url) => url,
        };
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name);
        administer(url, statement, "remove a database").await
    }

    /// CPU seconds of the server's processes, those that have ended included.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let Some(postmaster) = self.postmaster() else {
            return 0.0;
        };
        let children = process::children(postmaster);
        let living: f64 = children
            .into_iter()
            .map(|child| process::cpu(child).own_seconds)
            .sum();
        let postmaster = process::cpu(postmaster);
        postmaster.own_seconds + postmaster.ended_children_seconds + living
    }

    /// Memory of the server's processes now, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let Some(postmaster) = self.postmaster() else {
            return 0;
        };
        let processes = process::children(postmaster).into_iter().chain([postmaster]);
        let memories: Vec<Memory> = processes.map(process::memory).collect();
        let shared = memories.iter().map(|memory| memory.shared).max().unwrap_or(0);
        memories.iter().map(|memory| memory.anonymous).sum::<u64>() + shared
    }

    /// The version, and the settings that matter.
    pub(crate) async fn facts(&self) -> Result<(String, Vec<(String, String)>), BenchError> {
        match &self.kind {
            Kind::Sqlite(_) => sqlite_facts().await,
            Kind::Cluster(cluster) => postgres_facts(cluster.url()).await,
            Kind::Given(url) => postgres_facts(url).await,
        }
        .map_err(|error| BenchError::Database("ask for the database's settings", error))
    }

    fn postmaster(&self) -> Option<u32> {
        match &self.kind {
            Kind::Cluster(cluster) => cluster.postmaster(),
            Kind::Sqlite(_) | Kind::Given(_) => None,
        }
    }
}

/// A statement that takes long is expected here, and not worth a line in a log.
pub(crate) async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::from_str(url)?
        .disable_statement_logging()
        .connect()
        .await
}

async fn create(url: &str, name: &str) -> Result<String, BenchError> {
    administer(url, format!("CREATE DATABASE {name}"), "make a database").await?;
    let mut url = Url::parse(url)?;
    url.set_path(name);
    Ok(url.into())
}

async fn administer(url: &str, statement: String, what: &'static str) -> Result<(), BenchError> {
    let work = async {
        let mut connection = connect(url).await?;
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
        connection.close().await
    };
    work.await.map_err(|error| BenchError::Database(what, error))
}

async fn postgres_facts(url: &str) -> Result<(String, Vec<(String, String)>), sqlx::Error> {
    let mut connection = connect(url).await?;
    let version: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(&mut connection)
        .await?;
    let names: Vec<String> = SETTINGS.map(str::to_owned).to_vec();
    let rows = sqlx::query(
        "SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1) ORDER BY name",
    )
    .bind(names)
    .fetch_all(&mut connection)
    .await?;
    let settings: Result<_, sqlx::Error> = rows
        .iter()
        .map(|row| Ok((row.try_get("name")?, row.try_get("value")?)))
        .collect();
    connection.close().await?;
    Ok((format!("PostgreSQL {version}"), settings?))
}

/// The settings are those that the broker gives each connection.
async fn sqlite_facts() -> Result<(String, Vec<(String, String)>), sqlx::Error> {
    let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    let settings = [("journal_mode", "wal"), ("synchronous", "full")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok((format!("SQLite {version}"), settings.to_vec()))
}
