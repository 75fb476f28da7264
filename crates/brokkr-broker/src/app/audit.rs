//! Facts for the audit. They are written in the transaction of the act that they record.

use std::fmt::Display;

use brokkr_core::time::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::App;
use super::caller::Caller;
use crate::dal::audit::AuditEntry;
use crate::dal::{DalError, Tx, audit};

/// The actor of what the broker does by itself.
pub(crate) const BROKER: &str = "broker";

impl App {
    /// What `caller` did: `action` is `noun.verb`, and `noun` with `id` is what it was done to. No secrets in `details`.
    pub(crate) fn fact(
        &self,
        caller: &Caller,
        now: Timestamp,
        action: &'static str,
        id: impl Display,
        details: Value,
    ) -> AuditEntry {
        AuditEntry {
            request_id: caller.request_id.clone(),
            ..self.fact_of(caller.actor(), now, action, id, details)
        }
    }

    /// What the broker itself did, at its start or in a sweep.
    pub(crate) fn own_fact(
        &self,
        now: Timestamp,
        action: &'static str,
        id: impl Display,
        details: Value,
    ) -> AuditEntry {
        self.fact_of(BROKER.to_owned(), now, action, id, details)
    }

    fn fact_of(
        &self,
        actor: String,
        now: Timestamp,
        action: &'static str,
        id: impl Display,
        details: Value,
    ) -> AuditEntry {
        let noun = action.split('.').next().unwrap_or(action);
        AuditEntry {
            id: self.next_id(now),
            at: now,
            actor,
            action: action.to_owned(),
            subject: format!("{noun}:{id}"),
            details: details.to_string(),
            request_id: None,
        }
    }

    /// At most `limit` facts, the latest first, that are earlier than `before`: about one subject, or all of them.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn list_audit(
        &self,
        subject: Option<&str>,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, DalError> {
        let mut tx = self.db.read().await?;
        audit::list(&mut tx, subject, before, limit).await
    }

    /// Writes one fact down.
    pub(super) async fn record(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        now: Timestamp,
        action: &'static str,
        id: impl Display,
        details: Value,
    ) -> Result<(), DalError> {
        audit::insert(tx, &[self.fact(caller, now, action, id, details)]).await
    }
}
