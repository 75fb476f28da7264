//! The audit: who did what to what, written in the transaction of the act.

use brokkr_core::ids::uuid_v7;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    static INSERT = Sql::batch(
        "audit.insert",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO audit (id, at, actor, action, subject, details, request_id)
         SELECT id, at, actor, action, subject, details, request_id
           FROM input",
        &[
            ("id", Kind::Uuid),
            ("at", Kind::BigInt),
            ("actor", Kind::Text),
            ("action", Kind::Text),
            ("subject", Kind::Text),
            ("details", Kind::Text),
            ("request_id", Kind::Text),
        ],
    );

    static LIST = Sql::shared(
        "audit.list",
        "SELECT * FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2",
    );

    static LIST_OF_SUBJECT = Sql::shared(
        "audit.list_of_subject",
        "SELECT * FROM audit WHERE subject = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    );

    static PRUNE = Sql::shared(
        "audit.prune",
        "DELETE FROM audit
          WHERE id IN (SELECT id FROM audit WHERE id < $1 ORDER BY id LIMIT $2)",
    );
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// A UUIDv7, so that the order of ids is the order of time.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it: `admin:<short>`, `agent:<id>`, or the broker's own sweep.
    pub actor: String,
    /// What was done: `noun.verb`.
    pub action: String,
    /// What it was done to: `noun:<id>`.
    pub subject: String,
    /// More about it, a JSON object without secrets and payloads.
    pub details: String,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

impl TryFrom<&Row> for AuditEntry {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            id: row.get("id")?,
            at: row.get("at")?,
            actor: row.get("actor")?,
            action: row.get("action")?,
            subject: row.get("subject")?,
            details: row.get("details")?,
            request_id: row.get("request_id")?,
        })
    }
}

/// Writes facts down.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn insert(tx: &mut Tx, entries: &[AuditEntry]) -> Result<(), DalError> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows: Rows = entries
        .iter()
        .map(|entry| {
            params![
                entry.id,
                entry.at,
                &entry.actor,
                &entry.action,
                &entry.subject,
                &entry.details,
                entry.request_id.as_ref()
            ]
        })
        .collect();
    tx.execute(&INSERT, params![rows]).await.map(drop)
}

/// At most `limit` facts, newest first, before the one with the id `before`; of one subject, if it is given.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list(
    tx: &mut Tx,
    subject: Option<&str>,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<AuditEntry>, DalError> {
    // Every id is less than the greatest one.
    let before = before.unwrap_or(Uuid::max());
    let rows = match subject {
        Some(subject) => {
            tx.fetch_all(&LIST_OF_SUBJECT, params![subject, before, limit])
                .await?
        }
        None => tx.fetch_all(&LIST, params![before, limit]).await?,
    };
    rows.iter().map(AuditEntry::try_from).collect()
}

/// Forgets at most `limit` facts from before `before`, oldest first, and answers how many.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, DalError> {
    // Ids tell the time.
    tx.execute(&PRUNE, params![uuid_v7(before, 0, [0; 6]), limit])
        .await
}
