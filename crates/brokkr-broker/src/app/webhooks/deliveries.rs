//! Deliveries as people see and repeat them.

use brokkr_core::ids::{DeliveryId, WebhookId};
use serde_json::json;

use super::{WebhookError, fan_out};
use crate::app::App;
use crate::app::caller::Caller;
use crate::dal::webhook_deliveries::{self, Delivery, DeliveryStatus, NewDelivery, ReplayRange};
use crate::dal::webhooks;

/// How many deliveries one request replays at most.
const REPLAYED_MAX: u32 = 10_000;

/// What became of a range that was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// How many deliveries are sent again.
    pub count: u64,
    /// Whether there may be more: then the same request replays them.
    pub more: bool,
}

impl App {
    /// At most `limit` deliveries of a webhook, newest first.
    ///
    /// # Errors
    /// [`WebhookError::Absent`].
    pub async fn list_webhook_deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        status: Option<DeliveryStatus>,
        limit: u32,
    ) -> Result<Vec<Delivery>, WebhookError> {
        let mut tx = self.db.read().await?;
        webhooks::get(&mut tx, webhook)
            .await?
            .ok_or(WebhookError::Absent)?;
        Ok(webhook_deliveries::list(&mut tx, webhook, before, status, limit).await?)
    }

    /// One delivery, with what was sent.
    ///
    /// # Errors
    /// [`WebhookError::DeliveryAbsent`].
    pub async fn webhook_delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Delivery, WebhookError> {
        let mut tx = self.db.read().await?;
        webhook_deliveries::get(&mut tx, webhook, id)
            .await?
            .ok_or(WebhookError::DeliveryAbsent)
    }

    /// Makes a delivery of the type `webhook.test`, which is about nothing.
    ///
    /// # Errors
    /// [`WebhookError::Absent`], [`WebhookError::Disabled`].
    pub async fn test_webhook(&self, caller: &Caller, id: WebhookId) -> Result<Delivery, WebhookError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        self.enabled(&mut tx, id).await?;
        let test = NewDelivery {
            id: DeliveryId::new(self.next_id(now)),
            position: None,
            event_type: fan_out::TEST.to_owned(),
            payload: fan_out::test_payload(now),
        };
        webhook_deliveries::insert(&mut tx, id, std::slice::from_ref(&test), now).await?;
        let details = json!({"delivery": test.id.to_string()});
        self.record(&mut tx, caller, now, "webhook.test", id, details)
            .await?;
        let delivery = webhook_deliveries::get(&mut tx, id, test.id)
            .await?
            .ok_or(WebhookError::DeliveryAbsent)?;
        tx.commit().await?;
        Ok(delivery)
    }

    /// Sends one delivery again, under the same `webhook-id`. One that is still to be sent stays as it is.
    ///
    /// # Errors
    /// [`WebhookError::DeliveryAbsent`], [`WebhookError::Disabled`].
    pub async fn replay_webhook_delivery(
        &self,
        caller: &Caller,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Delivery, WebhookError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        self.enabled(&mut tx, webhook).await?;
        if webhook_deliveries::replay(&mut tx, webhook, id, now).await? {
            let details = json!({"delivery": id.to_string()});
            self.record(&mut tx, caller, now, "webhook.replay", webhook, details)
                .await?;
        }
        let delivery = webhook_deliveries::get(&mut tx, webhook, id)
            .await?
            .ok_or(WebhookError::DeliveryAbsent)?;
        tx.commit().await?;
        Ok(delivery)
    }

    /// Sends the deliveries of a range of time again that have ended, at most 10,000 at once.
    ///
    /// # Errors
    /// [`WebhookError::Absent`], [`WebhookError::Disabled`].
    pub async fn replay_webhook_deliveries(
        &self,
        caller: &Caller,
        webhook: WebhookId,
        range: ReplayRange,
    ) -> Result<Replayed, WebhookError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        self.enabled(&mut tx, webhook).await?;
        let count = webhook_deliveries::replay_range(&mut tx, webhook, range, now, REPLAYED_MAX).await?;
        let details = json!({"since": range.since.to_string(), "until": range.until.to_string(),
            "delivered": range.delivered, "deliveries": count});
        self.record(&mut tx, caller, now, "webhook.replay", webhook, details)
            .await?;
        tx.commit().await?;
        let more = count >= u64::from(REPLAYED_MAX);
        Ok(Replayed { count, more })
    }

    /// Holds the webhook as it is until the commit, so that what is to be sent is not held back for ever.
    async fn enabled(&self, tx: &mut crate::dal::Tx, id: WebhookId) -> Result<(), WebhookError> {
        match webhooks::get_for_update(tx, id).await? {
            None => Err(WebhookError::Absent),
            Some(webhook) if webhook.disabled_at.is_some() => Err(WebhookError::Disabled),
            Some(_) => Ok(()),
        }
    }
}
