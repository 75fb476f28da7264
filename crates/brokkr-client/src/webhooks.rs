//! Webhooks: receivers that are told of events.

use brokkr_api::{
    CreateWebhook, DeliveriesReplayed, EnableWebhook, ListDeliveries, ListWebhooks, ReplayDeliveries,
    RotateSecret, UpdateWebhook, Webhook, WebhookCreated, WebhookDelivery, paths,
};
use uuid::Uuid;

use crate::{Client, ClientError, Page};

impl Client {
    /// Creates a webhook. The answer has its secret, which is shown only then.
    ///
    /// # Errors
    /// `invalid_webhook`, `unique_violation`, `webhooks_key_missing`, `too_many_webhooks`.
    pub async fn create_webhook(&self, webhook: &CreateWebhook) -> Result<WebhookCreated, ClientError> {
        self.post(paths::WEBHOOKS, webhook).await
    }

    /// All webhooks.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn webhooks(&self, query: &ListWebhooks) -> Result<Page<Webhook>, ClientError> {
        self.page(paths::WEBHOOKS, query).await
    }

    /// One webhook.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn webhook(&self, id: Uuid) -> Result<Webhook, ClientError> {
        self.get(&paths::with_id(paths::WEBHOOK, id)).await
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// `webhook_not_found`, `invalid_webhook`, `unique_violation`.
    pub async fn update_webhook(&self, id: Uuid, update: &UpdateWebhook) -> Result<Webhook, ClientError> {
        self.put(&paths::with_id(paths::WEBHOOK, id), update).await
    }

    /// Deletes a webhook and its deliveries.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn delete_webhook(&self, id: Uuid) -> Result<(), ClientError> {
        self.delete(&paths::with_id(paths::WEBHOOK, id)).await
    }

    /// Gives a webhook a new secret.
    ///
    /// # Errors
    /// `webhook_not_found`, `webhooks_key_missing`.
    pub async fn rotate_webhook_secret(
        &self,
        id: Uuid,
        rotate: &RotateSecret,
    ) -> Result<WebhookCreated, ClientError> {
        self.post(&paths::with_id(paths::WEBHOOK_ROTATE_SECRET, id), rotate)
            .await
    }

    /// Enables a webhook.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn enable_webhook(&self, id: Uuid, enable: &EnableWebhook) -> Result<Webhook, ClientError> {
        self.post(&paths::with_id(paths::WEBHOOK_ENABLE, id), enable)
            .await
    }

    /// Disables a webhook.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn disable_webhook(&self, id: Uuid) -> Result<Webhook, ClientError> {
        self.post_empty(&paths::with_id(paths::WEBHOOK_DISABLE, id)).await
    }

    /// Has a delivery of the type `webhook.test` sent.
    ///
    /// # Errors
    /// `webhook_not_found`, `webhook_disabled`.
    pub async fn test_webhook(&self, id: Uuid) -> Result<WebhookDelivery, ClientError> {
        self.post_empty(&paths::with_id(paths::WEBHOOK_TEST, id)).await
    }

    /// What a webhook was told, newest first.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn webhook_deliveries(
        &self,
        id: Uuid,
        query: &ListDeliveries,
    ) -> Result<Page<WebhookDelivery>, ClientError> {
        self.page(&paths::with_id(paths::WEBHOOK_DELIVERIES, id), query)
            .await
    }

    /// One delivery.
    ///
    /// # Errors
    /// `webhook_delivery_not_found`.
    pub async fn webhook_delivery(&self, id: Uuid, delivery: Uuid) -> Result<WebhookDelivery, ClientError> {
        self.get(&paths::webhook_delivery(paths::WEBHOOK_DELIVERY, id, delivery))
            .await
    }

    /// Sends one delivery again.
    ///
    /// # Errors
    /// `webhook_delivery_not_found`, `webhook_disabled`.
    pub async fn replay_webhook_delivery(
        &self,
        id: Uuid,
        delivery: Uuid,
    ) -> Result<WebhookDelivery, ClientError> {
        self.post_empty(&paths::webhook_delivery(
            paths::WEBHOOK_DELIVERY_REPLAY,
            id,
            delivery,
        ))
        .await
    }

    /// Sends the deliveries of a range of time again.
    ///
    /// # Errors
    /// `invalid_replay`, `webhook_not_found`, `webhook_disabled`.
    pub async fn replay_webhook_deliveries(
        &self,
        id: Uuid,
        range: &ReplayDeliveries,
    ) -> Result<DeliveriesReplayed, ClientError> {
        self.post(&paths::with_id(paths::WEBHOOK_REPLAYS, id), range)
            .await
    }
}
