//! Sessions of the console. A session is good as long as it and the key that opened it are.

use brokkr_core::pak::ShortPart;
use brokkr_core::time::Timestamp;

use super::credentials::Credential;
use super::{DalError, Sql, Tx, params, statements};

statements! {
    static INSERT = Sql::shared(
        "console_sessions.insert",
        "INSERT INTO console_sessions (hash, credential, created_at, expires_at)
         VALUES ($1, $2, $3, $4)",
    );

    static FIND_LIVE = Sql::shared(
        "console_sessions.find_live",
        "SELECT credentials.*
           FROM console_sessions
           JOIN credentials ON credentials.short = console_sessions.credential
          WHERE console_sessions.hash = $1
            AND console_sessions.expires_at > $2
            AND credentials.revoked_at IS NULL
            AND (credentials.expires_at IS NULL OR credentials.expires_at > $2)",
    );

    static DELETE = Sql::shared(
        "console_sessions.delete",
        "DELETE FROM console_sessions WHERE hash = $1",
    );

    static PRUNE = Sql::shared(
        "console_sessions.prune",
        "DELETE FROM console_sessions
          WHERE hash IN (
                SELECT hash
                  FROM console_sessions
                 WHERE expires_at < $1
                 ORDER BY expires_at
                 LIMIT $2)",
    );
}

/// Keeps a new session by the hash of its token.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn insert(
    tx: &mut Tx,
    hash: &str,
    credential: &ShortPart,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), DalError> {
    tx.execute(&INSERT, params![hash, credential, now, expires_at])
        .await
        .map(drop)
}

/// The key that opened the session, while both are good.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn find_live(tx: &mut Tx, hash: &str, now: Timestamp) -> Result<Option<Credential>, DalError> {
    let row = tx.fetch_optional(&FIND_LIVE, params![hash, now]).await?;
    row.as_ref().map(Credential::try_from).transpose()
}

/// Ends a session and answers whether there was one.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn delete(tx: &mut Tx, hash: &str) -> Result<bool, DalError> {
    Ok(tx.execute(&DELETE, params![hash]).await? == 1)
}

/// Forgets at most `limit` sessions that expired before `before` and answers how many it were.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, DalError> {
    tx.execute(&PRUNE, params![before, limit]).await
}
