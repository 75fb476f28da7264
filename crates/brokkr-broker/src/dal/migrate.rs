//! Bringing the schema up to date. Migrations are added, never edited.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};

use super::db::{Db, Pools};
use super::error::DalError;
use super::sql::{Dialect, Sql};
use super::{params, statements};

statements! {
    /// Each database lists its tables in a place of its own.
    static HISTORY_EXISTS = Sql::per_dialect(
        "migrate.history_exists",
        "SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS present",
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations') AS present",
    );
}

/// Prepared as it is needed, since its table may not exist yet.
static APPLIED: Sql = Sql::shared(
    "migrate.applied",
    "SELECT version FROM _sqlx_migrations ORDER BY version",
);

struct Script {
    version: i64,
    description: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
}

const SCRIPTS: &[Script] = &[
    Script {
        version: 1,
        description: "initial",
        postgres: include_str!("../../migrations/postgres/0001_initial.sql"),
        sqlite: include_str!("../../migrations/sqlite/0001_initial.sql"),
    },
    Script {
        version: 2,
        description: "storage",
        postgres: include_str!("../../migrations/postgres/0002_storage.sql"),
        sqlite: include_str!("../../migrations/sqlite/0002_storage.sql"),
    },
    Script {
        version: 3,
        description: "routes",
        postgres: include_str!("../../migrations/postgres/0003_routes.sql"),
        sqlite: include_str!("../../migrations/sqlite/0003_routes.sql"),
    },
    Script {
        version: 4,
        description: "retry budgets",
        postgres: include_str!("../../migrations/postgres/0004_retry_budgets.sql"),
        sqlite: include_str!("../../migrations/sqlite/0004_retry_budgets.sql"),
    },
    Script {
        version: 5,
        description: "restores",
        postgres: include_str!("../../migrations/postgres/0005_restores.sql"),
        sqlite: include_str!("../../migrations/sqlite/0005_restores.sql"),
    },
    Script {
        version: 6,
        description: "backoff jitter",
        postgres: include_str!("../../migrations/postgres/0006_backoff_jitter.sql"),
        sqlite: include_str!("../../migrations/sqlite/0006_backoff_jitter.sql"),
    },
    Script {
        version: 7,
        description: "retries",
        postgres: include_str!("../../migrations/postgres/0007_retries.sql"),
        sqlite: include_str!("../../migrations/sqlite/0007_retries.sql"),
    },
    Script {
        version: 8,
        description: "events",
        postgres: include_str!("../../migrations/postgres/0008_events.sql"),
        sqlite: include_str!("../../migrations/sqlite/0008_events.sql"),
    },
    Script {
        version: 9,
        description: "agent reports",
        postgres: include_str!("../../migrations/postgres/0009_agent_reports.sql"),
        sqlite: include_str!("../../migrations/sqlite/0009_agent_reports.sql"),
    },
    Script {
        version: 10,
        description: "console sessions",
        postgres: include_str!("../../migrations/postgres/0010_console_sessions.sql"),
        sqlite: include_str!("../../migrations/sqlite/0010_console_sessions.sql"),
    },
    Script {
        version: 11,
        description: "webhooks",
        postgres: include_str!("../../migrations/postgres/0011_webhooks.sql"),
        sqlite: include_str!("../../migrations/sqlite/0011_webhooks.sql"),
    },
    Script {
        version: 12,
        description: "lost attempts",
        postgres: include_str!("../../migrations/postgres/0012_lost_attempts.sql"),
        sqlite: include_str!("../../migrations/sqlite/0012_lost_attempts.sql"),
    },
];

/// A schema that was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A newer broker has been here.
    #[error(
        "the database has schema version {found}, but this brokkr knows versions up to {known}: \
         run the newer brokkr, or restore a backup from before the upgrade"
    )]
    Newer {
        /// The database's version.
        found: i64,
        /// The latest version that this binary knows.
        known: i64,
    },
    /// An applied migration is not the one that this binary has under the same number.
    #[error(
        "schema version {version} of the database was made by a different brokkr build: \
         run the build that made it, or restore a backup"
    )]
    Changed {
        /// The version that differs.
        version: i64,
    },
    /// A migration failed; the schema is as it was before it.
    #[error("migration {version} failed and was undone")]
    Failed {
        /// The version that was to be applied.
        version: i64,
        /// The database's error.
        #[source]
        source: sqlx::Error,
    },
    /// The migration history could not be read, locked or written.
    #[error("the schema's history could not be read or written")]
    History(#[source] DalError),
}

/// Where the schema stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Applied versions, oldest first.
    pub applied: Vec<i64>,
    /// Versions that this binary has and the database lacks, oldest first, with their descriptions.
    pub pending: Vec<(i64, &'static str)>,
}

impl Status {
    /// The latest version that this binary does not know, if a newer broker has been here.
    #[must_use]
    pub fn newer(&self) -> Option<i64> {
        self.applied.last().copied().filter(|version| *version > known())
    }
}

/// Applies what is missing, under a lock: of brokers that start together one does it and the others wait.
///
/// # Errors
/// [`MigrationError`]. The schema is then as some version left it, never half-way.
pub async fn run(db: &Db) -> Result<(), MigrationError> {
    let migrator = migrator(db.dialect());
    let unavailable = |error| MigrationError::History(DalError::classify("migrate.run", error));
    match db.pools() {
        Pools::Postgres { writers, .. } => {
            // A connection of its own: the advisory lock ends with it, and a migration may take longer than a statement.
            let mut connection = (*writers.connect_options())
                .clone()
                .options([("statement_timeout", "0"), ("lock_timeout", "0")])
                .connect()
                .await
                .map_err(unavailable)?;
            let done = migrator.run_direct(None, &mut connection, false).await;
            // Its failure says nothing about the migrations, which are committed by now.
            drop(connection.close().await);
            done.map_err(explain)
        }
        Pools::Sqlite { writer, .. } => {
            // The write lock is the lock: migrations are savepoints in one transaction that no other process can begin.
            let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(unavailable)?;
            migrator
                .run_direct(None, &mut *tx, false)
                .await
                .map_err(explain)?;
            tx.commit().await.map_err(unavailable)
        }
    }
}

/// Tells what [`run`] would do, without doing it.
///
/// # Errors
/// [`MigrationError::History`] when the history cannot be read.
pub async fn status(db: &Db) -> Result<Status, MigrationError> {
    let applied = applied(db).await.map_err(MigrationError::History)?;
    let pending = SCRIPTS
        .iter()
        .filter(|script| !applied.contains(&script.version))
        .map(|script| (script.version, script.description))
        .collect();
    Ok(Status { applied, pending })
}

async fn applied(db: &Db) -> Result<Vec<i64>, DalError> {
    let mut tx = db.read().await?;
    let history = tx.fetch_one(&HISTORY_EXISTS, params![]).await?;
    if !history.get::<bool>("present")? {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&APPLIED, params![]).await?;
    rows.iter().map(|row| row.get("version")).collect()
}

fn known() -> i64 {
    SCRIPTS.last().map_or(0, |script| script.version)
}

fn migrator(dialect: Dialect) -> Migrator {
    let migrations = SCRIPTS.iter().map(|script| {
        let text = match dialect {
            Dialect::Postgres => script.postgres,
            Dialect::Sqlite => script.sqlite,
        };
        let description = script.description.into();
        Migration::new(
            script.version,
            description,
            MigrationType::Simple,
            text.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

fn explain(error: MigrateError) -> MigrationError {
    let history = |error| MigrationError::History(DalError::classify("migrate.run", error));
    match error {
        MigrateError::VersionMissing(found) if found > known() => MigrationError::Newer {
            found,
            known: known(),
        },
        MigrateError::VersionMissing(version)
        | MigrateError::VersionMismatch(version)
        | MigrateError::Dirty(version) => MigrationError::Changed { version },
        MigrateError::ExecuteMigration(source, version) => MigrationError::Failed { version, source },
        MigrateError::Execute(error) => history(error),
        other => history(sqlx::Error::Migrate(Box::new(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dal::{DbOptions, all_statements};

    #[tokio::test]
    async fn an_empty_database_gets_the_whole_schema_and_a_second_run_changes_nothing() {
        let db = Db::connect("sqlite::memory:", &DbOptions::default())
            .await
            .unwrap();
        let all: Vec<_> = SCRIPTS.iter().map(|script| script.version).collect();
        assert_eq!(status(&db).await.unwrap().pending[0], (1, "initial"));
        run(&db).await.unwrap();
        run(&db).await.unwrap();
        let status = status(&db).await.unwrap();
        assert_eq!((status.applied, status.pending), (all, vec![]));
    }

    #[tokio::test]
    async fn sqlite_understands_every_statement() {
        let db = Db::connect("sqlite::memory:", &DbOptions::default())
            .await
            .unwrap();
        run(&db).await.unwrap();
        for sql in all_statements() {
            db.prepare_check(sql).await.unwrap();
        }
        db.ping().await.unwrap();
        assert!(db.now_micros().await.unwrap() > 1_700_000_000_000_000);
    }
}
