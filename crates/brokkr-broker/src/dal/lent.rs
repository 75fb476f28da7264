//! A PostgreSQL connection that a transaction has from its pool, and that goes back only when it is sound.
//!
//! A link can stall without breaking, and a server can go on after it has lost its place to another one. Neither may cost
//! more than the time for one answer, and no connection that is older than such trouble is used again.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgDatabaseError;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

/// How long a connection may take to come to rest before it is thrown away.
const REST_LIMIT: Duration = Duration::from_secs(5);

/// What the connections of one database have in common.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// How long any answer may take.
    answer_limit: Duration,
    /// When a connection last turned out to lead nowhere.
    lost: Arc<Mutex<Option<Instant>>>,
}

impl Trust {
    pub(super) fn new(answer_limit: Duration) -> Self {
        Self {
            answer_limit,
            lost: Arc::default(),
        }
    }

    /// Whether a connection of this age was made after the last trouble. Those from before lead to the server that was there
    /// then.
    pub(super) fn admits(&self, age: Duration) -> bool {
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_none_or(|lost| age < lost.elapsed())
    }

    fn lose(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// A connection in use.
pub(super) struct Lent {
    /// Nothing once it turned out to lead nowhere.
    connection: Option<PoolConnection<Postgres>>,
    trust: Trust,
    /// A transaction may be open on it.
    open: bool,
    /// It has not answered yet.
    asked: bool,
}

impl Lent {
    /// Takes a connection and begins a transaction that may write.
    pub(super) async fn begin(pool: &PgPool, trust: &Trust) -> Result<Self, sqlx::Error> {
        let mut lent = Self::read(pool, trust).await?;
        lent.open = true;
        lent.say("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        Ok(lent)
    }

    /// Takes a connection on which each statement is by itself.
    pub(super) async fn read(pool: &PgPool, trust: &Trust) -> Result<Self, sqlx::Error> {
        Ok(Self {
            connection: Some(pool.acquire().await?),
            trust: trust.clone(),
            open: false,
            asked: false,
        })
    }

    /// Keeps what the transaction did.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        if self.open {
            self.say("COMMIT").await?;
            self.open = false;
        }
        Ok(())
    }

    /// The connection for one question, and how long the answer may take. What came is for [`Lent::heard`].
    pub(super) fn ask(&mut self) -> Result<(&mut PgConnection, Duration), sqlx::Error> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        self.asked = true;
        Ok((connection, self.trust.answer_limit))
    }

    /// Throws the connection away when the answer says that it leads nowhere.
    pub(super) fn heard<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.asked = false;
        if let Err(error) = &answer
            && leads_nowhere(error)
        {
            self.trust.lose();
            drop(self.connection.take().map(PoolConnection::detach));
        }
        answer
    }

    async fn say(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let (connection, limit) = self.ask()?;
        let answer = in_time(limit, sqlx::raw_sql(statement).execute(connection)).await;
        self.heard(answer.map(drop))
    }
}

/// Whoever is cut short in the middle leaves a connection that has to be brought to rest first.
impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Nobody is left who could use it.
            return drop(connection.detach());
        };
        if !self.open && !self.asked {
            // The pool asks it for a sign of life first, and by itself would wait for that without end.
            runtime.spawn(timeout(REST_LIMIT, connection.return_to_pool()));
            return;
        }
        let (open, trust) = (self.open, self.trust.clone());
        runtime.spawn(async move {
            let resting = async {
                if open {
                    sqlx::raw_sql("ROLLBACK")
                        .execute(&mut *connection)
                        .await
                        .map(drop)
                } else {
                    connection.ping().await
                }
            };
            if in_time(REST_LIMIT, resting).await.is_err() {
                trust.lose();
                drop(connection.detach());
            }
        });
    }
}

/// An answer that does not come in time is taken for a connection that is broken.
pub(super) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

/// Whether the connection is broken, or its server does not take what others would.
fn leads_nowhere(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| ends_the_session(error.code())),
        _ => false,
    }
}

/// read_only_sql_transaction: the server was the primary once, or is not yet. The others end the session: idle in a
/// transaction for too long, shut down, connection failure.
fn ends_the_session(code: &str) -> bool {
    code == "25006" || code == "25P03" || code.starts_with("57P") || code.starts_with("08")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_from_before_the_trouble_are_not_used_again() {
        let trust = Trust::new(Duration::from_secs(1));
        assert!(trust.admits(Duration::from_secs(60)));
        trust.lose();
        assert!(!trust.admits(Duration::from_secs(60)));
        while trust.lost.lock().unwrap().unwrap().elapsed().is_zero() {}
        assert!(trust.admits(Duration::ZERO));
    }

    #[test]
    fn a_server_that_refuses_writes_or_goes_away_is_left() {
        for code in ["25006", "25P03", "57P01", "57P03", "08006"] {
            assert!(ends_the_session(code), "{code}");
        }
        for code in ["23505", "40001", "40P01", "55P03", "57014", "53100", "25P02"] {
            assert!(!ends_the_session(code), "{code}");
        }
    }

    #[tokio::test]
    async fn who_does_not_answer_in_time_is_taken_for_broken() {
        let silent = std::future::pending::<Result<(), sqlx::Error>>();
        let answer = in_time(Duration::ZERO, silent).await.unwrap_err();
        assert!(leads_nowhere(&answer), "{answer:?}");
    }
}
