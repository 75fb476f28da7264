//! Webhooks: who is told of which events, and up to which event they have been.

use brokkr_core::ids::WebhookId;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use super::{DalError, Row, Sql, Tx, params, statements};

statements! {
    static CREATE = Sql::shared(
        "webhooks.create",
        "INSERT INTO webhooks (id, created_at, updated_at, name, url, event_types, agent_ids, labels, key_id, secret,
                auth_header, position)
         VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         RETURNING *",
    );

    static GET = Sql::shared("webhooks.get", "SELECT * FROM webhooks WHERE id = $1");

    static LIST = Sql::shared(
        "webhooks.list",
        "SELECT * FROM webhooks WHERE id > $1 ORDER BY id LIMIT $2",
    );

    static COUNT = Sql::shared("webhooks.count", "SELECT count(*) AS webhooks FROM webhooks");

    /// Waits for whoever changes the webhook, so that what is written next is based on what is.
    static GET_FOR_UPDATE = Sql::per_dialect(
        "webhooks.get_for_update",
        "SELECT * FROM webhooks WHERE id = $1 FOR UPDATE",
        "SELECT * FROM webhooks WHERE id = $1",
    );

    /// Passes over a webhook that another replica makes the deliveries of.
    static TAKE = Sql::per_dialect(
        "webhooks.take",
        "SELECT * FROM webhooks WHERE id = $1 AND disabled_at IS NULL FOR UPDATE SKIP LOCKED",
        "SELECT * FROM webhooks WHERE id = $1 AND disabled_at IS NULL",
    );

    static REPLACE = Sql::shared(
        "webhooks.replace",
        "UPDATE webhooks
            SET updated_at = $2, name = $3, url = $4, event_types = $5, agent_ids = $6, labels = $7, key_id = $8,
                secret = $9, previous_secret = $10, previous_until = $11, auth_header = $12
          WHERE id = $1
         RETURNING *",
    );

    static DELETE = Sql::shared("webhooks.delete", "DELETE FROM webhooks WHERE id = $1");

    static ADVANCE = Sql::shared(
        "webhooks.advance",
        "UPDATE webhooks SET position = $3 WHERE id = $1 AND position = $2",
    );

    static ENABLE = Sql::shared(
        "webhooks.enable",
        "UPDATE webhooks
            SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL, updated_at = $2,
                position = COALESCE(CAST($3 AS BIGINT), position)
          WHERE id = $1
            AND disabled_at IS NOT NULL
         RETURNING *",
    );

    static DISABLE = Sql::shared(
        "webhooks.disable",
        "UPDATE webhooks
            SET disabled_at = $2, disabled_reason = $3, updated_at = $2
          WHERE id = $1
            AND disabled_at IS NULL
         RETURNING *",
    );

    static WORKS = Sql::shared(
        "webhooks.works",
        "UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL",
    );

    static FAILS = Sql::shared(
        "webhooks.fails",
        "UPDATE webhooks SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL",
    );

    static LEAST_POSITION = Sql::shared(
        "webhooks.least_position",
        "SELECT min(position) AS position FROM webhooks WHERE disabled_at IS NULL",
    );
}

/// A webhook as it is stored. Its secrets are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What it is and whom it tells.
    pub settings: Settings,
    /// When it was disabled.
    pub disabled_at: Option<Timestamp>,
    /// Why, for people.
    pub disabled_reason: Option<String>,
    /// Since when nothing was delivered although it was tried.
    pub failing_since: Option<Timestamp>,
    /// Up to which event the deliveries were made.
    pub position: i64,
}

/// What somebody may set of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Unique.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// Patterns of event types, a JSON array.
    pub event_types: String,
    /// Only events of these agents, a JSON array of ids; an empty one wants those of all.
    pub agent_ids: String,
    /// Only events with one of these labels, a JSON array; an empty one wants those of all.
    pub labels: String,
    /// Which key the secrets are encrypted by.
    pub key_id: String,
    /// With what deliveries are signed, encrypted.
    pub secret: String,
    /// The secret before, encrypted, and until when deliveries are signed with it as well.
    pub previous: Option<(String, Timestamp)>,
    /// The value of the header `Authorization`, encrypted.
    pub auth_header: Option<String>,
}

impl TryFrom<&Row> for Webhook {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        let previous: Option<String> = row.get("previous_secret")?;
        let until: Option<Timestamp> = row.get("previous_until")?;
        Ok(Self {
            id: row.get("id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            settings: Settings {
                name: row.get("name")?,
                url: row.get("url")?,
                event_types: row.get("event_types")?,
                agent_ids: row.get("agent_ids")?,
                labels: row.get("labels")?,
                key_id: row.get("key_id")?,
                secret: row.get("secret")?,
                previous: previous.zip(until),
                auth_header: row.get("auth_header")?,
            },
            disabled_at: row.get("disabled_at")?,
            disabled_reason: row.get("disabled_reason")?,
            failing_since: row.get("failing_since")?,
            position: row.get("position")?,
        })
    }
}

/// Creates a webhook that is told of the events after `position`.
///
/// # Errors
/// A unique [`DalError::Constraint`] when another one has the name.
pub async fn create(
    tx: &mut Tx,
    id: WebhookId,
    settings: &Settings,
    position: i64,
    now: Timestamp,
) -> Result<Webhook, DalError> {
    let values = params![
        id,
        now,
        &settings.name,
        &settings.url,
        &settings.event_types,
        &settings.agent_ids,
        &settings.labels,
        &settings.key_id,
        &settings.secret,
        settings.auth_header.as_ref(),
        position
    ];
    Webhook::try_from(&tx.fetch_one(&CREATE, values).await?)
}

/// The webhook.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn get(tx: &mut Tx, id: WebhookId) -> Result<Option<Webhook>, DalError> {
    let row = tx.fetch_optional(&GET, params![id]).await?;
    row.as_ref().map(Webhook::try_from).transpose()
}

/// The webhook, locked.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn get_for_update(tx: &mut Tx, id: WebhookId) -> Result<Option<Webhook>, DalError> {
    let row = tx.fetch_optional(&GET_FOR_UPDATE, params![id]).await?;
    row.as_ref().map(Webhook::try_from).transpose()
}

/// The webhook, locked, unless it is disabled or somebody else has locked it.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn take(tx: &mut Tx, id: WebhookId) -> Result<Option<Webhook>, DalError> {
    let row = tx.fetch_optional(&TAKE, params![id]).await?;
    row.as_ref().map(Webhook::try_from).transpose()
}

/// At most `limit` webhooks, oldest first, after the webhook `after`.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list(tx: &mut Tx, after: Option<WebhookId>, limit: u32) -> Result<Vec<Webhook>, DalError> {
    // Every id is greater than the nil one.
    let after = after.map_or(Uuid::nil(), WebhookId::as_uuid);
    let rows = tx.fetch_all(&LIST, params![after, limit]).await?;
    rows.iter().map(Webhook::try_from).collect()
}

/// How many webhooks there are.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn count(tx: &mut Tx) -> Result<u32, DalError> {
    tx.fetch_one(&COUNT, params![]).await?.get("webhooks")
}

/// Gives a webhook all these settings, and answers it; `None` when there is no such webhook.
///
/// # Errors
/// A unique [`DalError::Constraint`] when another one has the name.
pub async fn replace(
    tx: &mut Tx,
    id: WebhookId,
    settings: &Settings,
    now: Timestamp,
) -> Result<Option<Webhook>, DalError> {
    let (previous, until) = settings.previous.as_ref().map(|(text, at)| (text, *at)).unzip();
    let values = params![
        id,
        now,
        &settings.name,
        &settings.url,
        &settings.event_types,
        &settings.agent_ids,
        &settings.labels,
        &settings.key_id,
        &settings.secret,
        previous,
        until,
        settings.auth_header.as_ref()
    ];
    let row = tx.fetch_optional(&REPLACE, values).await?;
    row.as_ref().map(Webhook::try_from).transpose()
}

/// Deletes a webhook with all its deliveries, and answers whether it was there.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn delete(tx: &mut Tx, id: WebhookId) -> Result<bool, DalError> {
    Ok(tx.execute(&DELETE, params![id]).await? == 1)
}

/// Says that the deliveries of the events up to `to` are made, and answers whether they had been up to `from`.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn advance(tx: &mut Tx, id: WebhookId, from: i64, to: i64) -> Result<bool, DalError> {
    Ok(tx.execute(&ADVANCE, params![id, from, to]).await? == 1)
}

/// Enables a webhook that is disabled; from the event after `position` on, if that is given.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn enable(
    tx: &mut Tx,
    id: WebhookId,
    position: Option<i64>,
    now: Timestamp,
) -> Result<Option<Webhook>, DalError> {
    let row = tx.fetch_optional(&ENABLE, params![id, now, position]).await?;
    row.as_ref().map(Webhook::try_from).transpose()
}

/// Disables a webhook that is enabled.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn disable(
    tx: &mut Tx,
    id: WebhookId,
    reason: &str,
    now: Timestamp,
) -> Result<Option<Webhook>, DalError> {
    let row = tx.fetch_optional(&DISABLE, params![id, now, reason]).await?;
    row.as_ref().map(Webhook::try_from).transpose()
}

/// Says that something was delivered.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn works(tx: &mut Tx, id: WebhookId) -> Result<(), DalError> {
    tx.execute(&WORKS, params![id]).await.map(drop)
}

/// Says that something could not be delivered.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn fails(tx: &mut Tx, id: WebhookId, now: Timestamp) -> Result<(), DalError> {
    tx.execute(&FAILS, params![id, now]).await.map(drop)
}

/// The least position of an enabled webhook: the events after it are still needed. `None` when no webhook is enabled.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn least_position(tx: &mut Tx) -> Result<Option<i64>, DalError> {
    tx.fetch_one(&LEAST_POSITION, params![]).await?.get("position")
}
