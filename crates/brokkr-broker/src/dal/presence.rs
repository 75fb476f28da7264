//! That brokers serve a database, told by locks that end with them: each of them holds a shared one, and who must be alone with the
//! database an exclusive one.
//!
//! On PostgreSQL they are advisory locks; a broker has its own on the connection on which it hears the others ([`nudges`](super::nudges)).
//! With SQLite they are on a file beside the database, which stays behind: the database itself may have been put in the place of the
//! one that a broker still has open.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;

use sqlx::{ConnectOptions as _, PgConnection};

use super::db::Pools;
use super::{DalError, Db, Sql, statements};

/// lock_not_available, and query_canceled where a statement may not take as long as a lock.
const WAITED_IN_VAIN: [&str; 2] = ["55P03", "57014"];

statements! {
    /// Waits while somebody is alone with the database.
    static SERVE = Sql::per_dialect(
        "presence.serve",
        "SELECT pg_advisory_lock_shared(hashtext('brokkr.brokers')) IS NULL AS locked",
        "SELECT 1 AS locked",
    );

    static EXCLUDE = Sql::per_dialect(
        "presence.exclude",
        "SELECT pg_advisory_lock(hashtext('brokkr.brokers')) IS NULL AS locked",
        "SELECT 1 AS locked",
    );
}

/// A lock that is given back when it is dropped.
#[derive(Debug)]
#[must_use = "it ends with the value"]
pub enum Presence {
    /// A session that has the lock.
    Session(PgConnection),
    /// A file that is locked.
    File(File),
    /// No lock: the database is one that no other process can see, or the lock is held elsewhere.
    None,
}

/// Says that a broker serves the database. `None` while somebody is alone with it.
///
/// # Errors
/// [`DalError::Unavailable`] when the file beside the database cannot be had.
pub fn announce(db: &Db) -> Result<Option<Presence>, DalError> {
    match lock_file(db)? {
        Some(file) => held(file.try_lock_shared(), file),
        None => Ok(Some(Presence::None)),
    }
}

/// Keeps all brokers away from the database. `None` when one serves it; a PostgreSQL server is given the time to acquire a lock to
/// notice that one has stopped.
///
/// # Errors
/// [`DalError::Unavailable`] when the database, or the file beside it, cannot be had.
pub async fn exclude_brokers(db: &Db) -> Result<Option<Presence>, DalError> {
    if let Pools::Postgres { writers, .. } = db.pools() {
        let mut connection = writers
            .connect_options()
            .connect()
            .await
            .map_err(|error| DalError::classify(EXCLUDE.name(), error))?;
        return match execute(&mut connection, &EXCLUDE, db).await {
            Ok(()) => Ok(Some(Presence::Session(connection))),
            Err(error) if is_held(&error) => Ok(None),
            Err(error) => Err(DalError::classify(EXCLUDE.name(), error)),
        };
    }
    match lock_file(db)? {
        Some(file) => held(file.try_lock(), file),
        None => Ok(Some(Presence::None)),
    }
}

/// Takes the lock of a broker for as long as the connection lasts.
pub(super) async fn announce_on<'a>(
    connection: impl sqlx::Executor<'a, Database = sqlx::Postgres>,
    db: &Db,
) -> Result<(), sqlx::Error> {
    execute(connection, &SERVE, db).await
}

async fn execute<'a>(
    connection: impl sqlx::Executor<'a, Database = sqlx::Postgres>,
    sql: &'static Sql,
    db: &Db,
) -> Result<(), sqlx::Error> {
    let text = sql.texts(db.dialect())[0].as_str();
    sqlx::query(text).execute(connection).await.map(drop)
}

fn is_held(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| WAITED_IN_VAIN.contains(&&*code))
}

/// `NAME-brokers` beside the database. There is none for a database in memory.
fn lock_file(db: &Db) -> Result<Option<File>, DalError> {
    let Pools::Sqlite { file: Some(file), .. } = db.pools() else {
        return Ok(None);
    };
    let mut name = file.as_os_str().to_owned();
    name.push("-brokers");
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map(Some)
        .map_err(|error| DalError::classify("presence.file", sqlx::Error::Io(error)))
}

fn held(locked: Result<(), TryLockError>, file: File) -> Result<Option<Presence>, DalError> {
    match locked {
        Ok(()) => Ok(Some(Presence::File(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(DalError::classify("presence.file", sqlx::Error::Io(error))),
    }
}
