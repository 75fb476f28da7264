//! What webhooks are told, and how that went.

use brokkr_core::ids::{DeliveryId, WebhookId};
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

statements! {
    /// A delivery that is there already is left as it is: then somebody made it before.
    static INSERT = Sql::batch(
        "webhook_deliveries.insert",
        "WITH input AS MATERIALIZED ({input})
         INSERT INTO webhook_deliveries (id, webhook_id, created_at, position, event_type, payload, status, attempts,
                next_attempt_at)
         SELECT id, $2, $3, position, event_type, payload, 'PENDING', 0, $3
           FROM input
          WHERE TRUE
         ON CONFLICT DO NOTHING",
        &[
            ("id", Kind::Uuid),
            ("position", Kind::BigInt),
            ("event_type", Kind::Text),
            ("payload", Kind::Text),
        ],
    );

    /// Takes what is due until `$3`, the time at which it counts as not sent. Webhooks that have enough in hand are left out.
    static CLAIM = Sql::batch_per_dialect(
        "webhook_deliveries.claim",
        "WITH input AS MATERIALIZED ({input}),
              due AS (
                SELECT id
                  FROM webhook_deliveries
                 WHERE next_attempt_at <= $2
                   AND webhook_id NOT IN (SELECT id FROM input)
                 ORDER BY next_attempt_at, id
                 LIMIT $4
                   FOR UPDATE SKIP LOCKED)
         UPDATE webhook_deliveries
            SET attempts = attempts + 1, next_attempt_at = $3, last_attempt_at = $2
          WHERE id IN (SELECT id FROM due)
         RETURNING *",
        &["WITH input AS MATERIALIZED ({input}),
              due AS (
                SELECT id
                  FROM webhook_deliveries
                 WHERE next_attempt_at <= $2
                   AND webhook_id NOT IN (SELECT id FROM input)
                 ORDER BY next_attempt_at, id
                 LIMIT $4)
         UPDATE webhook_deliveries
            SET attempts = attempts + 1, next_attempt_at = $3, last_attempt_at = $2
          WHERE id IN (SELECT id FROM due)
         RETURNING *"],
        &[("id", Kind::Uuid)],
    );

    static END = Sql::shared(
        "webhook_deliveries.end",
        "UPDATE webhook_deliveries
            SET status = $3, ended_at = $4, next_attempt_at = NULL, last_status = $5, last_error = $6
          WHERE id = $1
            AND attempts = $2
            AND status = 'PENDING'",
    );

    /// A disabled webhook's deliveries stay without a time.
    static POSTPONE = Sql::shared(
        "webhook_deliveries.postpone",
        "UPDATE webhook_deliveries
            SET next_attempt_at = CASE WHEN next_attempt_at IS NULL THEN NULL ELSE CAST($3 AS BIGINT) END,
                last_status = $4, last_error = $5
          WHERE id = $1
            AND attempts = $2
            AND status = 'PENDING'",
    );

    static HOLD = Sql::shared(
        "webhook_deliveries.hold",
        "UPDATE webhook_deliveries SET next_attempt_at = NULL WHERE webhook_id = $1 AND status = 'PENDING'",
    );

    static RESUME = Sql::shared(
        "webhook_deliveries.resume",
        "UPDATE webhook_deliveries SET next_attempt_at = $2 WHERE webhook_id = $1 AND status = 'PENDING'",
    );

    static REPLAY = Sql::shared(
        "webhook_deliveries.replay",
        "UPDATE webhook_deliveries
            SET status = 'PENDING', ended_at = NULL, next_attempt_at = $3
          WHERE webhook_id = $1
            AND id = $2
            AND status <> 'PENDING'",
    );

    static REPLAY_RANGE = Sql::shared(
        "webhook_deliveries.replay_range",
        "UPDATE webhook_deliveries
            SET status = 'PENDING', ended_at = NULL, next_attempt_at = $4
          WHERE id IN (
                SELECT id
                  FROM webhook_deliveries
                 WHERE webhook_id = $1
                   AND created_at >= $2
                   AND created_at < $3
                   AND status <> 'PENDING'
                   AND (status = 'FAILED' OR $5)
                 LIMIT $6)",
    );

    static GET = Sql::shared(
        "webhook_deliveries.get",
        "SELECT * FROM webhook_deliveries WHERE webhook_id = $1 AND id = $2",
    );

    static LIST = Sql::shared(
        "webhook_deliveries.list",
        "SELECT *
           FROM webhook_deliveries
          WHERE webhook_id = $1
            AND id < $2
            AND (CAST($3 AS TEXT) IS NULL OR status = $3)
          ORDER BY id DESC
          LIMIT $4",
    );

    static PRUNE = Sql::shared(
        "webhook_deliveries.prune",
        "DELETE FROM webhook_deliveries
          WHERE id IN (SELECT id FROM webhook_deliveries WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)",
    );
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It is to be sent, perhaps again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It is not sent again unless somebody replays it.
    Failed,
}

impl DeliveryStatus {
    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Failed => "FAILED",
        }
    }

    /// The status of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// What one webhook is told of one event, or of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Also the `webhook-id` that the receiver sees.
    pub id: DeliveryId,
    /// Who is told.
    pub webhook_id: WebhookId,
    /// When it was made.
    pub created_at: Timestamp,
    /// The event; absent for a test.
    pub position: Option<i64>,
    /// The type of the event.
    pub event_type: String,
    /// The body.
    pub payload: String,
    /// How far it is.
    pub status: DeliveryStatus,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent next; absent while the webhook is disabled.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was sent last.
    pub last_attempt_at: Option<Timestamp>,
    /// What the receiver answered then.
    pub last_status: Option<u32>,
    /// Why that was no success.
    pub last_error: Option<String>,
    /// When it was delivered or given up.
    pub ended_at: Option<Timestamp>,
}

impl TryFrom<&Row> for Delivery {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        let status: String = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            webhook_id: row.get("webhook_id")?,
            created_at: row.get("created_at")?,
            position: row.get("position")?,
            event_type: row.get("event_type")?,
            payload: row.get("payload")?,
            status: DeliveryStatus::parse(&status)
                .ok_or_else(|| row.corrupt("status", "not the status of a delivery"))?,
            attempts: row.get("attempts")?,
            next_attempt_at: row.get("next_attempt_at")?,
            last_attempt_at: row.get("last_attempt_at")?,
            last_status: row.get("last_status")?,
            last_error: row.get("last_error")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

/// What to tell a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Also the `webhook-id`.
    pub id: DeliveryId,
    /// The event; absent for a test.
    pub position: Option<i64>,
    /// The type of the event.
    pub event_type: String,
    /// The body.
    pub payload: String,
}

/// How a delivery went that was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// What the receiver answered, if it did.
    pub status: Option<u32>,
    /// Why that was no success.
    pub error: Option<String>,
}

/// Makes deliveries that are due at once, and answers how many there were not already.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn insert(
    tx: &mut Tx,
    webhook: WebhookId,
    deliveries: &[NewDelivery],
    now: Timestamp,
) -> Result<u64, DalError> {
    if deliveries.is_empty() {
        return Ok(0);
    }
    let rows: Rows = deliveries
        .iter()
        .map(|one| params![one.id, one.position, &one.event_type, &one.payload])
        .collect();
    tx.execute(&INSERT, params![rows, webhook, now]).await
}

/// Takes at most `limit` deliveries that are due, of other webhooks than `busy`. Each is due again at `until` unless it is ended
/// or postponed before.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn claim(
    tx: &mut Tx,
    busy: &[WebhookId],
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, DalError> {
    let busy = Rows::of(busy.iter().copied());
    let rows = tx.fetch_all(&CLAIM, params![busy, now, until, limit]).await?;
    let mut claimed: Vec<Delivery> = rows.iter().map(Delivery::try_from).collect::<Result<_, _>>()?;
    // The order of the rows that a statement changed is no order.
    claimed.sort_unstable_by_key(|delivery| delivery.id);
    Ok(claimed)
}

/// Ends a delivery that was claimed for the `attempts`th time, and answers whether that was still the latest.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn end(
    tx: &mut Tx,
    delivery: &Delivery,
    status: DeliveryStatus,
    answered: &Answered,
    now: Timestamp,
) -> Result<bool, DalError> {
    let values = params![
        delivery.id,
        delivery.attempts,
        status.as_str(),
        now,
        answered.status,
        answered.error.as_ref()
    ];
    Ok(tx.execute(&END, values).await? == 1)
}

/// Has a delivery sent again at `at`, and answers whether the claim was still the latest.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn postpone(
    tx: &mut Tx,
    delivery: &Delivery,
    answered: &Answered,
    at: Timestamp,
) -> Result<bool, DalError> {
    let values = params![
        delivery.id,
        delivery.attempts,
        at,
        answered.status,
        answered.error.as_ref()
    ];
    Ok(tx.execute(&POSTPONE, values).await? == 1)
}

/// Sends nothing more of a webhook until [`resume`].
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn hold(tx: &mut Tx, webhook: WebhookId) -> Result<(), DalError> {
    tx.execute(&HOLD, params![webhook]).await.map(drop)
}

/// Sends what is pending of a webhook at once.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn resume(tx: &mut Tx, webhook: WebhookId, now: Timestamp) -> Result<(), DalError> {
    tx.execute(&RESUME, params![webhook, now]).await.map(drop)
}

/// Sends a delivery again that has ended, and answers whether there was one.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn replay(
    tx: &mut Tx,
    webhook: WebhookId,
    id: DeliveryId,
    at: Timestamp,
) -> Result<bool, DalError> {
    Ok(tx.execute(&REPLAY, params![webhook, id, at]).await? == 1)
}

/// Which deliveries to send again.
#[derive(Debug, Clone, Copy)]
pub struct ReplayRange {
    /// Those made at or after this time.
    pub since: Timestamp,
    /// Those made before this time.
    pub until: Timestamp,
    /// Also those that were delivered.
    pub delivered: bool,
}

/// Sends at most `limit` deliveries of a range again that have ended, and answers how many.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn replay_range(
    tx: &mut Tx,
    webhook: WebhookId,
    range: ReplayRange,
    at: Timestamp,
    limit: u32,
) -> Result<u64, DalError> {
    let values = params![webhook, range.since, range.until, at, range.delivered, limit];
    tx.execute(&REPLAY_RANGE, values).await
}

/// The delivery.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn get(tx: &mut Tx, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>, DalError> {
    let row = tx.fetch_optional(&GET, params![webhook, id]).await?;
    row.as_ref().map(Delivery::try_from).transpose()
}

/// At most `limit` deliveries of a webhook, newest first, before the one with the id `before`.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list(
    tx: &mut Tx,
    webhook: WebhookId,
    before: Option<DeliveryId>,
    status: Option<DeliveryStatus>,
    limit: u32,
) -> Result<Vec<Delivery>, DalError> {
    // Every id is less than the greatest one.
    let before = before.map_or(Uuid::max(), DeliveryId::as_uuid);
    let status = status.map(DeliveryStatus::as_str);
    let rows = tx
        .fetch_all(&LIST, params![webhook, before, status, limit])
        .await?;
    rows.iter().map(Delivery::try_from).collect()
}

/// Forgets at most `limit` deliveries that ended before `before`, and answers how many.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, DalError> {
    tx.execute(&PRUNE, params![before, limit]).await
}
