//! Idempotency keys: the answers to requests that may be sent again.
//!
//! A request inserts its key and stores its answer in the transaction in which it acts. An equal request beside it waits for
//! that transaction at the primary key, and then finds the answer.

use std::collections::BTreeSet;

use brokkr_core::time::Timestamp;

use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    static CLAIM = Sql::batch(
        "idempotency_keys.claim",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO idempotency_keys (principal, key, body_hash, created_at)
         SELECT principal, key, body_hash, $2
           FROM input
          WHERE TRUE
         ON CONFLICT DO NOTHING
         RETURNING principal, key",
        &[
            ("principal", Kind::Text),
            ("key", Kind::Text),
            ("body_hash", Kind::Text),
        ],
    );

    static STORE = Sql::batch(
        "idempotency_keys.store",
        "WITH input AS MATERIALIZED ({input})
         UPDATE idempotency_keys
            SET status = input.status, response = input.response
           FROM input
          WHERE idempotency_keys.principal = input.principal
            AND idempotency_keys.key = input.key",
        &[
            ("principal", Kind::Text),
            ("key", Kind::Text),
            ("status", Kind::BigInt),
            ("response", Kind::Text),
        ],
    );

    static FIND = Sql::batch(
        "idempotency_keys.find",
        "WITH input AS MATERIALIZED ({input})
         SELECT found.*
           FROM input
           JOIN idempotency_keys AS found
             ON found.principal = input.principal
            AND found.key = input.key",
        &[("principal", Kind::Text), ("key", Kind::Text)],
    );

    static PRUNE = Sql::shared(
        "idempotency_keys.prune",
        "DELETE FROM idempotency_keys
          WHERE (principal, key) IN (
                SELECT principal, key
                  FROM idempotency_keys
                 WHERE created_at < $1
                 ORDER BY created_at
                 LIMIT $2)",
    );
}

/// A key and whose it is. Two callers may use the same word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey {
    /// The caller, as the audit names it.
    pub principal: String,
    /// The word that the caller sent.
    pub key: String,
}

/// A key that was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The key.
    pub key: IdempotencyKey,
    /// A hash of the body that came with it first.
    pub body_hash: String,
    /// The answer's HTTP status and body. Every key that is committed has one, unless its act stored none.
    pub answer: Option<(u32, String)>,
}

impl TryFrom<&Row> for Seen {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        let status: Option<u32> = row.get("status")?;
        let response: Option<String> = row.get("response")?;
        Ok(Self {
            key: key_of(row)?,
            body_hash: row.get("body_hash")?,
            answer: status.zip(response),
        })
    }
}

fn key_of(row: &Row) -> Result<IdempotencyKey, DalError> {
    Ok(IdempotencyKey {
        principal: row.get("principal")?,
        key: row.get("key")?,
    })
}

/// Inserts keys, each with the hash of its body, and answers those that are new. The others are for [`find`].
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn claim(
    tx: &mut Tx,
    keys: &[(IdempotencyKey, String)],
    now: Timestamp,
) -> Result<BTreeSet<IdempotencyKey>, DalError> {
    if keys.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut in_order: Vec<_> = keys.iter().collect();
    // Statements with the same keys wait for one another in the same order, so that none waits for itself.
    in_order.sort();
    let rows: Rows = in_order
        .into_iter()
        .map(|(key, body_hash)| params![&key.principal, &key.key, body_hash])
        .collect();
    let rows = tx.fetch_all(&CLAIM, params![rows, now]).await?;
    rows.iter().map(key_of).collect()
}

/// Stores the answers (HTTP status, body) to requests whose keys this transaction claimed.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn store(tx: &mut Tx, answers: &[(IdempotencyKey, u32, String)]) -> Result<(), DalError> {
    if answers.is_empty() {
        return Ok(());
    }
    let rows: Rows = answers
        .iter()
        .map(|(key, status, body)| params![&key.principal, &key.key, *status, body])
        .collect();
    tx.execute(&STORE, params![rows]).await.map(drop)
}

/// Those of the keys that were seen before, in no order.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn find(tx: &mut Tx, keys: &[IdempotencyKey]) -> Result<Vec<Seen>, DalError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Rows = keys.iter().map(|key| params![&key.principal, &key.key]).collect();
    let rows = tx.fetch_all(&FIND, params![rows]).await?;
    rows.iter().map(Seen::try_from).collect()
}

/// Forgets at most `limit` keys from before `before`, oldest first, and answers how many.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, DalError> {
    tx.execute(&PRUNE, params![before, limit]).await
}
