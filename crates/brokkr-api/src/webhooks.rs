//! Webhooks: receivers that are told of events.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::texts::{EventPattern, HeaderValue, Label, Name, Url};
use crate::{Time, whole};

/// A receiver that is told of events. Its secrets are never shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Sorts by age.
    pub id: Uuid,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Unique.
    #[schema(example = "deploy-bot")]
    pub name: String,
    /// Where it is told.
    #[schema(example = "https://hooks.example.com/brokkr")]
    pub url: String,
    /// Of which types of events: a type, all of a noun (`work_order.*`), or all (`*`).
    #[schema(example = json!(["work_order.failed", "work_order.lost"]))]
    pub event_types: Vec<String>,
    /// Only of events of these agents; of all, when there are none.
    pub agent_ids: Vec<Uuid>,
    /// Only of events with one of these labels; with any, when there are none.
    pub labels: Vec<String>,
    /// Whether a header `Authorization` is sent.
    pub has_auth_header: bool,
    /// Until when deliveries are signed with the secret before as well.
    #[schema(required = true)]
    pub previous_secret_until: Option<Time>,
    /// Whether it is told of anything.
    pub enabled: bool,
    /// When it was disabled.
    #[schema(required = true)]
    pub disabled_at: Option<Time>,
    /// Why.
    #[schema(required = true)]
    pub disabled_reason: Option<String>,
    /// Since when nothing was delivered although it was tried.
    #[schema(required = true)]
    pub failing_since: Option<Time>,
    /// Up to which event its deliveries were made.
    pub position: i64,
}

/// Creates a webhook, which is told of what happens from then on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhook {
    /// Unique: 1 to 255 characters.
    #[schema(value_type = Name, example = "deploy-bot")]
    pub name: String,
    /// Where it is told: `https://`, at a public address.
    #[schema(value_type = Url, example = "https://hooks.example.com/brokkr")]
    pub url: String,
    /// Of which types of events: a type, all of a noun (`work_order.*`), or all (`*`). 1 to 50.
    #[schema(value_type = Vec<EventPattern>, min_items = 1, max_items = 50)]
    pub event_types: Vec<String>,
    /// Only of events of these agents. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub agent_ids: Vec<Uuid>,
    /// Only of events with one of these labels. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Label>, max_items = 100)]
    pub labels: Vec<String>,
    /// Sent as the header `Authorization`; kept encrypted, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HeaderValue>)]
    pub auth_header: Option<String>,
}

/// A webhook and its secret, which is shown only now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookCreated {
    /// The webhook.
    pub webhook: Webhook,
    /// By which the receiver verifies signatures, as Standard Webhooks writes it: `whsec_` and base64.
    pub secret: String,
}

/// Changes a webhook. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWebhook {
    /// Unique: 1 to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub name: Option<String>,
    /// Where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Url>)]
    pub url: Option<String>,
    /// Of which types of events. 1 to 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<EventPattern>>, min_items = 1, max_items = 50)]
    pub event_types: Option<Vec<String>>,
    /// Only of events of these agents; an empty list wants those of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 100)]
    pub agent_ids: Option<Vec<Uuid>>,
    /// Only of events with one of these labels; an empty list wants those with any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Label>>, max_items = 100)]
    pub labels: Option<Vec<String>>,
    /// Sent as the header `Authorization`; an empty text sends none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HeaderValue>)]
    pub auth_header: Option<String>,
}

/// Gives a webhook a new secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// For how long deliveries are signed with the secret before as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2592000, default = 86400)]
    #[serde(deserialize_with = "whole::optional")]
    pub overlap_seconds: Option<i64>,
}

/// Enables a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableWebhook {
    /// Tells it only of what happens from now on, and not of what it missed while it was disabled.
    #[serde(default)]
    pub skip_missed: bool,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// It is to be sent, perhaps again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It is not sent again unless somebody replays it.
    Failed,
}

/// What a webhook is told of one event, and how that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDelivery {
    /// Sorts by age. The receiver sees it as `webhook-id: msg_<id without hyphens>` at every attempt.
    pub id: Uuid,
    /// Who is told.
    pub webhook_id: Uuid,
    /// When it was made.
    pub created_at: Time,
    /// The position of the event; null for a test.
    #[schema(required = true)]
    pub position: Option<i64>,
    /// The type of the event.
    #[schema(example = "work_order.failed")]
    pub event_type: String,
    /// How far it is.
    pub status: DeliveryStatus,
    /// How often it was sent.
    pub attempts: i64,
    /// When it is sent next; null while the webhook is disabled.
    #[schema(required = true)]
    pub next_attempt_at: Option<Time>,
    /// When it was sent last.
    #[schema(required = true)]
    pub last_attempt_at: Option<Time>,
    /// What the receiver answered then.
    #[schema(required = true)]
    pub last_status: Option<i64>,
    /// Why that was no success.
    #[schema(required = true)]
    pub last_error: Option<String>,
    /// When it was delivered or given up.
    #[schema(required = true)]
    pub ended_at: Option<Time>,
    /// What is sent, as text: the signature is over these very bytes.
    pub payload: String,
}

/// Which deliveries to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListDeliveries {
    /// Only those that are so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DeliveryStatus>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 500)]
    pub limit: Option<i64>,
    /// Where to go on, as the `Link` header of the page before said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which deliveries to send again: those of a range of time that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayDeliveries {
    /// Those made at this time or later.
    pub since: Time,
    /// Those made before this time: before now unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Also those that were delivered, and not only those that failed.
    #[serde(default)]
    pub delivered: bool,
}

/// What is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveriesReplayed {
    /// How many deliveries are sent again: at most 10,000 for one request.
    pub replayed: i64,
    /// Whether there may be more: then the same request replays them.
    pub more: bool,
}
