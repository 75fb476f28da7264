//! A transaction: the only thing that statements run in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::database::Database;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Postgres, Sqlite, SqliteConnection, Transaction};
use tokio::sync::Notify;

use super::error::DalError;
use super::lent::{Lent, in_time};
use super::row::{DriverRow, Row};
use super::sql::{Dialect, Sql};
use super::value::Value;

/// A transaction, rolled back unless [`Tx::commit`] is called.
///
/// A failed statement ends it on both databases alike: what follows is refused with [`DalError::Aborted`], and so is the
/// commit.
///
/// One made by [`Db::read`](super::Db::read) only reads. It is not one snapshot: each of its statements sees what was
/// committed when it began.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Tx {
    session: Session,
    statements: Arc<AtomicU64>,
    failed: bool,
    /// Whoever waits for events of this process is told at the commit of one that writes some.
    events: Arc<Notify>,
    writes_events: bool,
}

pub(super) enum Session {
    Postgres(Lent),
    Sqlite(Transaction<'static, Sqlite>),
    SqliteRead(PoolConnection<Sqlite>),
    #[cfg(feature = "simulation")]
    Staged(super::stage::Scene),
}

enum Connection<'t> {
    Postgres(&'t mut Lent),
    Sqlite(&'t mut SqliteConnection),
    #[cfg(feature = "simulation")]
    Staged(&'t super::stage::Stage),
}

impl Session {
    fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(lent) => Connection::Postgres(lent),
            Self::Sqlite(tx) => Connection::Sqlite(tx),
            Self::SqliteRead(connection) => Connection::Sqlite(connection),
            #[cfg(feature = "simulation")]
            Self::Staged(scene) => Connection::Staged(&scene.stage),
        }
    }
}

/// Runs a driver's method with the bound query of whichever database this is, and then what else the statement has to do there.
macro_rules! run {
    ($self:ident, $sql:ident, $values:ident, $method:ident) => {{
        $self.admit($sql, &$values)?;
        let [first, more @ ..] = $sql.texts($self.dialect()) else {
            return Err(DalError::Aborted {
                operation: $sql.name(),
            });
        };
        let again = if more.is_empty() {
            Vec::new()
        } else {
            $values.clone()
        };
        let answer = match $self.session.connection() {
            Connection::Postgres(lent) => {
                let query = bind_postgres(sqlx::query(first.as_str()), $values);
                match lent.ask() {
                    Ok((connection, limit)) => {
                        let answer = in_time(limit, query.$method(connection)).await;
                        lent.heard(answer).map(Either::Postgres)
                    }
                    Err(error) => Err(error),
                }
            }
            Connection::Sqlite(connection) => {
                let query = bind_sqlite(sqlx::query(first.as_str()), $values);
                query.$method(connection).await.map(Either::Sqlite)
            }
            #[cfg(feature = "simulation")]
            Connection::Staged(stage) => {
                let query = bind_sqlite(sqlx::query(first.as_str()), $values);
                stage.reached($sql.name()).await;
                let done = stage.at_once(async |connection| query.$method(connection).await);
                done.map(Either::Sqlite)
            }
        };
        let answer = answer.map_err(|error| {
            $self.failed = true;
            DalError::classify($sql.name(), error)
        })?;
        $self.run_more($sql, more, again).await?;
        Ok::<_, DalError>(answer)
    }};
}

enum Either<P, S> {
    Postgres(P),
    Sqlite(S),
}

impl Tx {
    pub(super) fn new(session: Session, statements: Arc<AtomicU64>, events: Arc<Notify>) -> Self {
        Self {
            session,
            statements,
            failed: false,
            events,
            writes_events: false,
        }
    }

    /// Runs a statement and answers how many rows it changed. For a batch that is the number of rows changed in all.
    ///
    /// # Errors
    /// [`DalError`]; the transaction is of no use afterwards.
    pub async fn execute(&mut self, sql: &'static Sql, values: Vec<Value>) -> Result<u64, DalError> {
        Ok(match run!(self, sql, values, execute)? {
            Either::Postgres(done) => done.rows_affected(),
            Either::Sqlite(done) => done.rows_affected(),
        })
    }

    /// Runs a statement and answers all its rows. Bound them in the statement: a list is never unbounded.
    ///
    /// # Errors
    /// [`DalError`]; the transaction is of no use afterwards.
    pub async fn fetch_all(&mut self, sql: &'static Sql, values: Vec<Value>) -> Result<Vec<Row>, DalError> {
        let name = sql.name();
        Ok(match run!(self, sql, values, fetch_all)? {
            Either::Postgres(rows) => rows
                .into_iter()
                .map(|row| Row::new(name, DriverRow::Postgres(row)))
                .collect(),
            Either::Sqlite(rows) => rows
                .into_iter()
                .map(|row| Row::new(name, DriverRow::Sqlite(row)))
                .collect(),
        })
    }

    /// Runs a statement and answers its row, if it has one.
    ///
    /// # Errors
    /// [`DalError`]; the transaction is of no use afterwards.
    pub async fn fetch_optional(
        &mut self,
        sql: &'static Sql,
        values: Vec<Value>,
    ) -> Result<Option<Row>, DalError> {
        let row = match run!(self, sql, values, fetch_optional)? {
            Either::Postgres(row) => row.map(DriverRow::Postgres),
            Either::Sqlite(row) => row.map(DriverRow::Sqlite),
        };
        Ok(row.map(|row| Row::new(sql.name(), row)))
    }

    /// Runs a statement that always answers a row, such as a count.
    ///
    /// # Errors
    /// [`DalError`]; the transaction is of no use afterwards.
    pub async fn fetch_one(&mut self, sql: &'static Sql, values: Vec<Value>) -> Result<Row, DalError> {
        let row = match run!(self, sql, values, fetch_one)? {
            Either::Postgres(row) => DriverRow::Postgres(row),
            Either::Sqlite(row) => DriverRow::Sqlite(row),
        };
        Ok(Row::new(sql.name(), row))
    }

    /// Keeps everything that the transaction did. When it ends in [`DalError::Unavailable`], nobody knows whether it was
    /// kept.
    ///
    /// # Errors
    /// [`DalError::Aborted`] after a failed statement, for which PostgreSQL alone would roll back and call it a success.
    pub async fn commit(self) -> Result<(), DalError> {
        const COMMIT: &str = "commit";
        if self.failed {
            return Err(DalError::Aborted { operation: COMMIT });
        }
        match self.session {
            Session::Postgres(lent) => lent.commit().await,
            Session::Sqlite(tx) => tx.commit().await,
            Session::SqliteRead(_) => Ok(()),
            #[cfg(feature = "simulation")]
            Session::Staged(scene) => scene.commit().await,
        }
        .map_err(|error| DalError::classify(COMMIT, error))?;
        if self.writes_events {
            self.events.notify_waiters();
        }
        Ok(())
    }

    /// Takes note that there will be events once this is committed.
    pub(super) const fn writes_events(&mut self) {
        self.writes_events = true;
    }

    async fn run_more(
        &mut self,
        sql: &'static Sql,
        more: &'static [String],
        values: Vec<Value>,
    ) -> Result<(), DalError> {
        for text in more {
            #[cfg(feature = "simulation")]
            self.tear().await?;
            self.statements.fetch_add(1, Ordering::Relaxed);
            let done = match self.session.connection() {
                Connection::Postgres(lent) => {
                    let query = bind_postgres(sqlx::query(text.as_str()), values.clone());
                    match lent.ask() {
                        Ok((connection, limit)) => {
                            let answer = in_time(limit, query.execute(connection)).await;
                            lent.heard(answer).map(drop)
                        }
                        Err(error) => Err(error),
                    }
                }
                Connection::Sqlite(connection) => {
                    let query = bind_sqlite(sqlx::query(text.as_str()), values.clone());
                    query.execute(connection).await.map(drop)
                }
                #[cfg(feature = "simulation")]
                Connection::Staged(stage) => {
                    let query = bind_sqlite(sqlx::query(text.as_str()), values.clone());
                    stage.reached(sql.name()).await;
                    stage.at_once(async |connection| query.execute(connection).await.map(drop))
                }
            };
            done.map_err(|error| {
                self.failed = true;
                DalError::classify(sql.name(), error)
            })?;
        }
        Ok(())
    }

    /// Lets another transaction begin within this one where that guard was taken away.
    #[cfg(feature = "simulation")]
    async fn tear(&mut self) -> Result<(), DalError> {
        match &mut self.session {
            Session::Staged(scene) if !crate::guards::Guard::OneTransaction.stands() => scene.tear().await,
            _ => Ok(()),
        }
    }

    const fn dialect(&self) -> Dialect {
        match self.session {
            Session::Postgres(_) => Dialect::Postgres,
            Session::Sqlite(_) | Session::SqliteRead(_) => Dialect::Sqlite,
            #[cfg(feature = "simulation")]
            Session::Staged(_) => Dialect::Sqlite,
        }
    }

    /// Refuses what must not reach the database, and counts the rest.
    fn admit(&self, sql: &'static Sql, values: &[Value]) -> Result<(), DalError> {
        let statement = sql.name();
        if self.failed {
            return Err(DalError::Aborted { operation: statement });
        }
        if values.iter().any(Value::has_nul) {
            return Err(DalError::NulCharacter { statement });
        }
        if let Some(columns) = sql.batch_columns() {
            match values.first() {
                Some(Value::Rows(rows)) if rows.fits(columns) => {}
                _ => return Err(DalError::RowWidth { statement }),
            }
        }
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

type Bound<DB> = Query<'static, DB, <DB as Database>::Arguments>;

fn bind_postgres(query: Bound<Postgres>, values: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    values.into_iter().fold(query, |query, value| match value {
        Value::Uuid(id) => query.bind(id),
        Value::Text(text) => query.bind(text),
        Value::BigInt(number) => query.bind(number),
        Value::Bool(truth) => query.bind(truth),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Rows(rows) => query.bind(rows.into_json()),
    })
}

fn bind_sqlite(query: Bound<Sqlite>, values: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    values.into_iter().fold(query, |query, value| match value {
        // As text: the schema compares ids with text columns, and people read them in the shell.
        Value::Uuid(id) => query.bind(id.map(|id| id.to_string())),
        Value::Text(text) => query.bind(text),
        Value::BigInt(number) => query.bind(number),
        Value::Bool(truth) => query.bind(truth),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Rows(rows) => query.bind(rows.into_json()),
    })
}
