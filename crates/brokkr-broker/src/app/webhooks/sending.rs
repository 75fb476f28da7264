//! Sends deliveries until their receivers have them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokkr_core::ids::WebhookId;
use brokkr_core::time::Timestamp;
use brokkr_core::webhooks::backoff;
use tracing::{info, warn};

use super::receivers::{Message, Sent};
use super::{AUTH_HEADER, DAY, SECRET, Telling};
use crate::app::App;
use crate::dal::webhook_deliveries::{self, Answered, Delivery, DeliveryStatus};
use crate::dal::webhooks::{self, Webhook};
use crate::dal::{DalError, Tx};

/// How long after the last moment at which a delivery can be answered it counts as not sent: time to write down how it went.
const WRITING_TIME: Duration = Duration::from_secs(15);
/// The most characters of an error that are kept.
const ERROR_CHARACTERS_MAX: usize = 1_024;

/// How many deliveries of each webhook a replica has in hand: one that hangs shall not keep the others waiting.
#[derive(Debug, Clone, Default)]
pub struct InHand(Arc<Mutex<HashMap<WebhookId, u32>>>);

impl InHand {
    fn change(&self, webhook: WebhookId, by: i32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(webhook).or_default();
        *count = count.saturating_add_signed(by);
        if *count == 0 {
            counts.remove(&webhook);
        }
    }

    /// How many more may be taken of those webhooks together that have not their `share` in hand, without any of them getting more
    /// than that; and those that have.
    fn room(&self, sending_max: u32, share: u32) -> (u32, Vec<WebhookId>) {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (busy, others): (Vec<_>, Vec<_>) = counts.iter().partition(|(_, count)| **count >= share);
        let most = others.iter().map(|(_, count)| **count).max().unwrap_or(0);
        let left = sending_max.saturating_sub(counts.values().sum());
        (
            left.min(share - most),
            busy.iter().map(|(webhook, _)| **webhook).collect(),
        )
    }
}

/// A delivery that is in hand until this is dropped.
struct Held {
    in_hand: InHand,
    webhook: WebhookId,
}

impl Held {
    fn new(in_hand: &InHand, webhook: WebhookId) -> Self {
        in_hand.change(webhook, 1);
        let in_hand = in_hand.clone();
        Self { in_hand, webhook }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_hand.change(self.webhook, -1);
    }
}

/// A delivery that this replica is to send now.
pub struct Due {
    delivery: Delivery,
    _held: Held,
}

impl App {
    /// Takes deliveries that are due, as many as `sending_max` leaves room for beside those in hand; no webhook gets more than a
    /// quarter of that.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn take_webhook_deliveries(
        &self,
        in_hand: &InHand,
        sending_max: u32,
    ) -> Result<Vec<Due>, DalError> {
        let share = (sending_max / 4).max(1);
        let (room, busy) = in_hand.room(sending_max, share);
        if room == 0 {
            return Ok(Vec::new());
        }
        let now = self.now();
        let until = now.plus(self.telling.receivers.timeout() + WRITING_TIME);
        let mut tx = self.db.begin().await?;
        let claimed = webhook_deliveries::claim(&mut tx, &busy, now, until, room).await?;
        tx.commit().await?;
        let due = |delivery: Delivery| Due {
            _held: Held::new(in_hand, delivery.webhook_id),
            delivery,
        };
        Ok(claimed.into_iter().map(due).collect())
    }

    /// Sends one delivery and writes down how it went.
    ///
    /// # Errors
    /// [`DalError`] when that could not be written down: then it is sent again later.
    pub async fn send_webhook_delivery(&self, due: Due) -> Result<(), DalError> {
        let delivery = &due.delivery;
        let mut tx = self.db.read().await?;
        let Some(webhook) = webhooks::get(&mut tx, delivery.webhook_id).await? else {
            return Ok(());
        };
        drop(tx);
        let sent = match self.message(&webhook, delivery) {
            Some(message) => self.telling.receivers.send(&message).await,
            None => return self.key_is_gone(&webhook, delivery).await,
        };
        let now = self.now();
        let mut tx = self.db.begin().await?;
        // The webhook before its deliveries, as whoever enables or disables it: otherwise they could wait for one another.
        if let Some(webhook) = webhooks::get_for_update(&mut tx, webhook.id).await? {
            self.settle(&mut tx, &webhook, delivery, sent, now).await?;
        }
        tx.commit().await
    }

    fn message<'m>(&self, webhook: &'m Webhook, delivery: &'m Delivery) -> Option<Message<'m>> {
        let sealer = self.sealer_of(webhook).ok()?;
        let open = |field: &str, text: &str| sealer.open(webhook.id, field, text).ok();
        let settings = &webhook.settings;
        let now = self.now();
        let mut secrets = vec![open(SECRET, &settings.secret)?];
        if let Some((before, until)) = &settings.previous
            && *until > now
        {
            secrets.extend(open(SECRET, before));
        }
        let auth_header = match &settings.auth_header {
            Some(text) => Some(open(AUTH_HEADER, text)?),
            None => None,
        };
        Some(Message {
            url: &settings.url,
            id: format!("msg_{}", delivery.id.as_uuid().simple()),
            timestamp: now.as_micros() / 1_000_000,
            payload: &delivery.payload,
            secrets,
            auth_header,
        })
    }

    async fn settle(
        &self,
        tx: &mut Tx,
        webhook: &Webhook,
        delivery: &Delivery,
        sent: Sent,
        now: Timestamp,
    ) -> Result<(), DalError> {
        match sent {
            Sent::Delivered { status } => {
                let answered = answered(Some(status), None);
                webhook_deliveries::end(tx, delivery, DeliveryStatus::Delivered, &answered, now).await?;
                webhooks::works(tx, webhook.id).await
            }
            Sent::Refused { status, error } => {
                let answered = answered(status, Some(error));
                webhook_deliveries::end(tx, delivery, DeliveryStatus::Failed, &answered, now).await?;
                self.failed(tx, webhook, now).await
            }
            Sent::Gone { status } => {
                let answered = answered(Some(status), Some("answered 410 Gone".to_owned()));
                webhook_deliveries::end(tx, delivery, DeliveryStatus::Failed, &answered, now).await?;
                self.disable(tx, webhook.id, "the receiver answered 410 Gone", now)
                    .await
            }
            Sent::Later { status, error, after } => {
                let answered = answered(status, Some(error));
                if now.since(delivery.created_at) >= self.telling.give_up_after {
                    webhook_deliveries::end(tx, delivery, DeliveryStatus::Failed, &answered, now).await?;
                } else {
                    let wait = backoff(delivery.attempts, u64::from_le_bytes(self.random_bytes()));
                    let at = now.plus(wait.max(after.unwrap_or_default()));
                    webhook_deliveries::postpone(tx, delivery, &answered, at).await?;
                }
                self.failed(tx, webhook, now).await
            }
        }
    }

    /// Counts a failure, and disables the webhook when there was nothing else for long.
    async fn failed(&self, tx: &mut Tx, webhook: &Webhook, now: Timestamp) -> Result<(), DalError> {
        webhooks::fails(tx, webhook.id, now).await?;
        let long = |since: Timestamp| now.since(since) >= self.telling.give_up_after;
        if !webhook.failing_since.is_some_and(long) {
            return Ok(());
        }
        let days = self.telling.give_up_after.as_secs() / DAY.as_secs();
        let reason = format!("nothing could be delivered for {days} days");
        self.disable(tx, webhook.id, &reason, now).await
    }

    async fn key_is_gone(&self, webhook: &Webhook, delivery: &Delivery) -> Result<(), DalError> {
        let now = self.now();
        let error = "its secrets are encrypted by another key than webhooks.key_file has";
        let mut tx = self.db.begin().await?;
        webhooks::get_for_update(&mut tx, webhook.id).await?;
        let answered = answered(None, Some(error.to_owned()));
        webhook_deliveries::postpone(&mut tx, delivery, &answered, now).await?;
        self.disable(&mut tx, webhook.id, error, now).await?;
        tx.commit().await
    }

    async fn disable(
        &self,
        tx: &mut Tx,
        id: WebhookId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), DalError> {
        if webhooks::disable(tx, id, reason, now).await?.is_none() {
            return Ok(());
        }
        webhook_deliveries::hold(tx, id).await?;
        warn!(webhook.id = %id, reason, "a webhook was disabled");
        let fact = self.own_fact(now, "webhook.disable", id, serde_json::json!({"reason": reason}));
        crate::dal::audit::insert(tx, &[fact]).await
    }

    /// Forgets at most `limit` deliveries that ended more than `days` ago, and answers how many. None for zero days.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part.
    pub async fn forget_webhook_deliveries(&self, days: u32, limit: u32) -> Result<u64, DalError> {
        if days == 0 {
            return Ok(0);
        }
        let before = self.now().minus(DAY * days);
        let mut tx = self.db.begin().await?;
        let forgotten = webhook_deliveries::prune(&mut tx, before, limit).await?;
        tx.commit().await?;
        Ok(forgotten)
    }
}

fn answered(status: Option<u16>, error: Option<String>) -> Answered {
    Answered {
        status: status.map(u32::from),
        error: error.map(|text| text.chars().take(ERROR_CHARACTERS_MAX).collect()),
    }
}

impl Telling {
    /// Says at the start whether webhooks can be told.
    pub fn announce(&self) {
        if let Some(sealer) = &self.sealer {
            info!(
                key.id = sealer.id(),
                "webhooks are told; their secrets are encrypted"
            );
        }
    }
}
