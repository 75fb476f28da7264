//! The two databases behind the same acts.

use std::time::Duration;

use uuid::Uuid;

use super::{RawError, postgres, sqlite};

/// What a claim does not see yet is committed within this time, or never.
const EMPTY_MAX: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Clone)]
pub(super) enum RawDatabase {
    Postgres(String),
    Sqlite(sqlite::Shared),
}

/// One caller's way to the database.
pub(super) enum Caller {
    Postgres(Box<sqlx::PgConnection>),
    Sqlite(sqlite::Shared),
}

impl RawDatabase {
    pub(super) async fn prepare(url: &str) -> Result<RawDatabase, sqlx::Error> {
        if url.starts_with("sqlite:") {
            return Ok(RawDatabase::Sqlite(sqlite::prepare(url).await?));
        }
        postgres::prepare(url).await?;
        Ok(RawDatabase::Postgres(url.to_owned()))
    }

    pub(super) async fn caller(&self) -> Result<Caller, sqlx::Error> {
        Ok(match self {
            RawDatabase::Postgres(url) => Caller::Postgres(Box::new(postgres::connect(url).await?)),
            RawDatabase::Sqlite(shared) => Caller::Sqlite(shared.clone()),
        })
    }

    pub(super) async fn expect(&self, queue: u64, claimed: u64, log: u64) -> Result<(), RawError> {
        let found = match self.caller().await? {
            Caller::Postgres(mut connection) => postgres::count(&mut connection).await?,
            Caller::Sqlite(shared) => sqlite::count(&shared).await?,
        };
        let counted = [
            ("orders in the queue", queue, found.0),
            ("claimed orders", claimed, found.1),
            ("orders in the log", log, found.2),
        ];
        for (what, expected, found) in counted {
            let found = found.unsigned_abs();
            if expected != found {
                return Err(RawError::Miscounted {
                    what,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    pub(super) async fn clear(&self) -> Result<(), RawError> {
        match self.caller().await? {
            Caller::Postgres(mut connection) => postgres::clear(&mut connection).await?,
            Caller::Sqlite(shared) => sqlite::clear(&shared).await?,
        }
        Ok(())
    }
}

impl Caller {
    pub(super) async fn create(&mut self, ids: &[Uuid], payload: &str) -> Result<(), sqlx::Error> {
        match self {
            Caller::Postgres(connection) => postgres::create(connection, ids, payload).await,
            Caller::Sqlite(shared) => sqlite::create(shared, ids, payload).await,
        }
    }

    pub(super) async fn claim(&mut self, max: u32) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
        match self {
            Caller::Postgres(connection) => postgres::claim(connection, max).await,
            Caller::Sqlite(shared) => sqlite::claim(shared, max).await,
        }
    }

    pub(super) async fn end(&mut self, ids: &[Uuid]) -> Result<u64, sqlx::Error> {
        match self {
            Caller::Postgres(connection) => postgres::end(connection, ids).await,
            Caller::Sqlite(shared) => sqlite::end(shared, ids).await,
        }
    }

    /// Claims `wanted` orders that are there, or are about to be.
    pub(super) async fn claim_all(&mut self, wanted: u32) -> Result<Vec<Uuid>, RawError> {
        let mut ids = Vec::new();
        let mut empty = 0;
        while (ids.len() as u64) < u64::from(wanted) {
            let left = wanted - u32::try_from(ids.len()).unwrap_or(wanted);
            let claimed = self.claim(left).await?;
            if claimed.is_empty() {
                empty += 1;
                if empty == EMPTY_MAX {
                    let (expected, found) = (u64::from(wanted), ids.len() as u64);
                    return Err(RawError::Miscounted {
                        what: "orders to claim",
                        expected,
                        found,
                    });
                }
                tokio::time::sleep(PAUSE).await;
            }
            ids.extend(claimed.into_iter().map(|(id, _payload)| id));
        }
        Ok(ids)
    }
}
