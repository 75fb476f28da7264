//! A database for one test.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use brokkr_broker::dal::{Db, DbOptions, migrate};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::postgres::PostgresDatabase;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A database of its own on the throwaway cluster, or on the server named in `BROKKR_TEST_POSTGRES_URL`.
    Postgres,
    /// A file in a temporary directory.
    Sqlite,
}

/// A database with the broker's schema, for one test alone; it is removed when the value is dropped.
pub struct TestDb {
    db: Db,
    url: String,
    place: Place,
}

/// What is removed at the end.
enum Place {
    Postgres { _database: PostgresDatabase },
    Sqlite { _directory: TempDir },
}

impl TestDb {
    /// A new database with the whole schema and no rows.
    ///
    /// # Panics
    /// When there is no PostgreSQL server to be had, or a database cannot be made.
    pub async fn start(backend: Backend) -> Self {
        match backend {
            Backend::Postgres => Self::open(postgres(PostgresDatabase::migrated().await)).await,
            Backend::Sqlite => Self::open(sqlite(migrated_sqlite().await)).await,
        }
    }

    /// A new database without any table.
    ///
    /// # Panics
    /// As [`TestDb::start`].
    pub async fn empty(backend: Backend) -> Self {
        match backend {
            Backend::Postgres => Self::open(postgres(PostgresDatabase::empty().await)).await,
            Backend::Sqlite => Self::open(sqlite(&[])).await,
        }
    }

    /// Opens the database once more, as another broker would.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn connect(&self, options: &DbOptions) -> Db {
        connect(&self.url, options).await
    }

    /// The opened database; the value itself can be used in its place.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The address, for a broker in a process of its own.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn open((url, place): (String, Place)) -> Self {
        Self {
            db: connect(&url, &test_options()).await,
            url,
            place,
        }
    }
}

impl Deref for TestDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

impl fmt::Debug for TestDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Postgres { .. } => "PostgreSQL",
            Place::Sqlite { .. } => "SQLite",
        };
        f.debug_struct("TestDb")
            .field("place", &place)
            .finish_non_exhaustive()
    }
}

/// Small pools, since many tests share one server; patient ones, since they also share a few processors.
#[must_use]
pub fn test_options() -> DbOptions {
    DbOptions {
        connections_max: 4,
        read_connections_max: 2,
        acquire_timeout: Duration::from_secs(60),
        statement_timeout: Duration::from_secs(60),
        lock_timeout: Duration::from_secs(60),
    }
}

pub(crate) async fn connect(url: &str, options: &DbOptions) -> Db {
    Db::connect(url, options).await.expect("the test database opens")
}

pub(crate) async fn migrate_and_close(url: &str) {
    let db = connect(url, &test_options()).await;
    migrate::run(&db).await.expect("the migrations run");
    db.close().await;
}

fn postgres(database: PostgresDatabase) -> (String, Place) {
    (database.url().to_owned(), Place::Postgres { _database: database })
}

fn sqlite(content: &[u8]) -> (String, Place) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("brokkr.db");
    std::fs::write(&file, content).expect("the database file can be written");
    (
        format!("sqlite:{}", file.display()),
        Place::Sqlite {
            _directory: directory,
        },
    )
}

/// The bytes of a database that has been migrated: copying them is much faster than migrating for each test.
async fn migrated_sqlite() -> &'static [u8] {
    static TEMPLATE: OnceCell<Vec<u8>> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(|| async {
            let (url, place) = sqlite(&[]);
            migrate_and_close(&url).await;
            let Place::Sqlite {
                _directory: directory,
            } = &place
            else {
                unreachable!("the place is SQLite's");
            };
            std::fs::read(directory.path().join("brokkr.db")).expect("the database file can be read")
        })
        .await
}
