//! Webhooks: who is told of which events.
//!
//! The event is the outbox: it is written in the transaction of what it tells. Every webhook has a place in the events up to which
//! its deliveries were made (`fan_out`), and deliveries are sent until the receiver takes them (`sending`).

mod addresses;
mod deliveries;
mod fan_out;
mod receivers;
mod sealer;
mod sending;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brokkr_core::events::EventPattern;
use brokkr_core::ids::{AgentId, WebhookId};
use brokkr_core::names::Label;
use serde_json::json;

pub use self::addresses::{AddressRefused, Lookup, SystemLookup, is_public};
pub use self::deliveries::Replayed;
pub use self::fan_out::Made;
pub use self::receivers::{Receivers, UrlRefused};
pub use self::sealer::{Sealer, SealingKeyError};
pub use self::sending::InHand;
use super::App;
use super::caller::Caller;
use crate::config::WebhooksConfig;
use crate::dal::webhooks::{self, Settings};
use crate::dal::{ConstraintKind, DalError, events, webhook_deliveries};

pub use crate::dal::webhook_deliveries::{Delivery, DeliveryStatus, ReplayRange};
pub use crate::dal::webhooks::Webhook;

/// The most webhooks of a broker: each costs a query a second and replica.
pub const WEBHOOKS_MAX: u32 = 100;
/// How many random bytes a secret has. Standard Webhooks wants 24 to 64.
const SECRET_BYTES: usize = 32;
const DAY: Duration = Duration::from_secs(24 * 3_600);
const SECRET_PREFIX: &str = "whsec_";

const SECRET: &str = "secret";
const AUTH_HEADER: &str = "auth_header";

/// With what a broker tells webhooks.
#[derive(Debug, Clone)]
pub struct Telling {
    sealer: Option<Sealer>,
    receivers: Receivers,
    give_up_after: Duration,
}

impl Telling {
    /// As configured.
    ///
    /// # Errors
    /// [`SealingKeyError`].
    pub fn new(config: &WebhooksConfig) -> Result<Self, SealingKeyError> {
        let sealer = config.key_file.as_deref().map(Sealer::from_file).transpose()?;
        Ok(Self::with(sealer, Receivers::new(config), config))
    }

    /// With this key and these receivers.
    #[must_use]
    pub fn with(sealer: Option<Sealer>, receivers: Receivers, config: &WebhooksConfig) -> Self {
        Self {
            sealer,
            receivers,
            give_up_after: DAY * config.give_up_after_days.max(1),
        }
    }
}

/// A webhook to be.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Unique.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// Of which events.
    pub wants: Wants,
    /// The value of the header `Authorization`.
    pub auth_header: Option<String>,
}

/// Of which events a webhook is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Of these types.
    pub event_types: Vec<EventPattern>,
    /// Of these agents; of all, when there are none.
    pub agents: Vec<AgentId>,
    /// With one of these labels; with any, when there are none.
    pub labels: Vec<Label>,
}

/// What to change about a webhook. What is absent stays.
#[derive(Debug, Clone, Default)]
pub struct WebhookChanges {
    /// Its name.
    pub name: Option<String>,
    /// Where it is told.
    pub url: Option<String>,
    /// Of which types of events.
    pub event_types: Option<Vec<EventPattern>>,
    /// Of which agents.
    pub agents: Option<Vec<AgentId>>,
    /// With which labels.
    pub labels: Option<Vec<Label>>,
    /// The value of the header `Authorization`; an inner `None` sends none any more.
    pub auth_header: Option<Option<String>>,
}

/// A webhook that could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It does not exist.
    #[error("there is no such webhook")]
    Absent,
    /// The webhook has no such delivery.
    #[error("the webhook has no such delivery")]
    DeliveryAbsent,
    /// Another webhook has the name.
    #[error("a webhook with this name exists")]
    NameTaken,
    /// There are as many as there may be.
    #[error("there are {WEBHOOKS_MAX} webhooks, which is the most there may be")]
    TooMany,
    /// The secrets could not be kept.
    #[error(
        "webhooks need a key by which their secrets are encrypted: set webhooks.key_file at every broker (make one with `openssl rand -base64 32`)"
    )]
    NoKey,
    /// The secrets are encrypted by another key.
    #[error("the secrets of the webhook are encrypted by another key than webhooks.key_file has")]
    OtherKey,
    /// It must not be told there.
    #[error(transparent)]
    Url(#[from] UrlRefused),
    /// It is disabled.
    #[error("the webhook is disabled: enable it first")]
    Disabled,
    /// The database did not do its part.
    #[error("could not read or change the webhook")]
    Storage(#[from] DalError),
}

impl App {
    /// Whether there is a key by which secrets of webhooks are encrypted. Without it there can be no new webhook.
    #[must_use]
    pub fn has_webhooks_key(&self) -> bool {
        self.telling.sealer.is_some()
    }

    /// Creates a webhook that is told of what happens from now on, and answers it with its secret.
    ///
    /// # Errors
    /// [`WebhookError`]; nothing is left behind.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        new: NewWebhook,
    ) -> Result<(Webhook, String), WebhookError> {
        let sealer = self.sealer()?;
        self.telling.receivers.check(&new.url)?;
        let now = self.now();
        let id = WebhookId::new(self.next_id(now));
        let secret = self.new_secret();
        let auth_header = new.auth_header.as_deref();
        let settings = Settings {
            event_types: words(new.wants.event_types.iter().map(EventPattern::as_str)),
            agent_ids: words(new.wants.agents),
            labels: words(new.wants.labels.iter().map(Label::as_str)),
            key_id: sealer.id().to_owned(),
            secret: self.sealed(sealer, id, SECRET, &secret),
            previous: None,
            auth_header: auth_header.map(|text| self.sealed(sealer, id, AUTH_HEADER, text)),
            name: new.name,
            url: new.url,
        };
        let mut tx = self.db.begin().await?;
        if webhooks::count(&mut tx).await? >= WEBHOOKS_MAX {
            return Err(WebhookError::TooMany);
        }
        let position = events::seen(&mut tx).await?.position;
        let webhook = webhooks::create(&mut tx, id, &settings, position, now)
            .await
            .map_err(name_taken)?;
        self.record(
            &mut tx,
            caller,
            now,
            "webhook.create",
            id,
            json!({"name": settings.name}),
        )
        .await?;
        tx.commit().await?;
        Ok((webhook, secret))
    }

    /// The webhook.
    ///
    /// # Errors
    /// [`WebhookError::Absent`].
    pub async fn webhook(&self, id: WebhookId) -> Result<Webhook, WebhookError> {
        let mut tx = self.db.read().await?;
        webhooks::get(&mut tx, id).await?.ok_or(WebhookError::Absent)
    }

    /// At most `limit` webhooks, oldest first.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn list_webhooks(
        &self,
        after: Option<WebhookId>,
        limit: u32,
    ) -> Result<Vec<Webhook>, DalError> {
        let mut tx = self.db.read().await?;
        webhooks::list(&mut tx, after, limit).await
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// [`WebhookError`]; nothing is changed then.
    pub async fn update_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        changes: WebhookChanges,
    ) -> Result<Webhook, WebhookError> {
        if let Some(url) = &changes.url {
            self.telling.receivers.check(url)?;
        }
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let webhook = webhooks::get_for_update(&mut tx, id)
            .await?
            .ok_or(WebhookError::Absent)?;
        let settings = self.changed(&webhook, changes)?;
        let webhook = webhooks::replace(&mut tx, id, &settings, now)
            .await
            .map_err(name_taken)?
            .ok_or(WebhookError::Absent)?;
        self.record(
            &mut tx,
            caller,
            now,
            "webhook.update",
            id,
            json!({"name": settings.name}),
        )
        .await?;
        tx.commit().await?;
        Ok(webhook)
    }

    fn changed(&self, webhook: &Webhook, changes: WebhookChanges) -> Result<Settings, WebhookError> {
        let mut settings = webhook.settings.clone();
        settings.name = changes.name.unwrap_or(settings.name);
        settings.url = changes.url.unwrap_or(settings.url);
        if let Some(patterns) = changes.event_types {
            settings.event_types = words(patterns.iter().map(EventPattern::as_str));
        }
        if let Some(agents) = changes.agents {
            settings.agent_ids = words(agents);
        }
        if let Some(labels) = changes.labels {
            settings.labels = words(labels.iter().map(Label::as_str));
        }
        if let Some(auth_header) = changes.auth_header {
            let sealer = self.sealer_of(webhook)?;
            settings.auth_header =
                auth_header.map(|text| self.sealed(sealer, webhook.id, AUTH_HEADER, &text));
        }
        Ok(settings)
    }

    /// Gives a webhook a new secret, and answers it. For `overlap`, deliveries are signed with the one before as well.
    /// A webhook whose secrets are encrypted by a key that is gone has only the new one, and loses its `Authorization`.
    ///
    /// # Errors
    /// [`WebhookError`]; nothing is changed then.
    pub async fn rotate_webhook_secret(
        &self,
        caller: &Caller,
        id: WebhookId,
        overlap: Duration,
    ) -> Result<(Webhook, String), WebhookError> {
        let sealer = self.sealer()?;
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let webhook = webhooks::get_for_update(&mut tx, id)
            .await?
            .ok_or(WebhookError::Absent)?;
        let secret = self.new_secret();
        let mut settings = webhook.settings;
        let readable = settings.key_id == sealer.id();
        let before = std::mem::replace(&mut settings.secret, self.sealed(sealer, id, SECRET, &secret));
        settings.previous = (readable && !overlap.is_zero()).then(|| (before, now.plus(overlap)));
        settings.auth_header = settings.auth_header.filter(|_| readable);
        settings.key_id = sealer.id().to_owned();
        let webhook = webhooks::replace(&mut tx, id, &settings, now)
            .await?
            .ok_or(WebhookError::Absent)?;
        let details = json!({"overlap_seconds": overlap.as_secs()});
        self.record(&mut tx, caller, now, "webhook.rotate_secret", id, details)
            .await?;
        tx.commit().await?;
        Ok((webhook, secret))
    }

    /// Deletes a webhook with its deliveries.
    ///
    /// # Errors
    /// [`WebhookError::Absent`].
    pub async fn delete_webhook(&self, caller: &Caller, id: WebhookId) -> Result<(), WebhookError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        if !webhooks::delete(&mut tx, id).await? {
            return Err(WebhookError::Absent);
        }
        self.record(&mut tx, caller, now, "webhook.delete", id, json!({}))
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Enables a webhook: it is told of all that it was not told of while it was disabled, as far as events are kept, or with
    /// `skip_missed` only of what happens from now on. One that is enabled stays as it is.
    ///
    /// # Errors
    /// [`WebhookError::Absent`].
    pub async fn enable_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        skip_missed: bool,
    ) -> Result<Webhook, WebhookError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let position = match skip_missed {
            true => Some(events::seen(&mut tx).await?.position),
            false => None,
        };
        let Some(webhook) = webhooks::enable(&mut tx, id, position, now).await? else {
            drop(tx);
            return self.webhook(id).await;
        };
        webhook_deliveries::resume(&mut tx, id, now).await?;
        let details = json!({"skip_missed": skip_missed});
        self.record(&mut tx, caller, now, "webhook.enable", id, details)
            .await?;
        tx.commit().await?;
        Ok(webhook)
    }

    /// Disables a webhook: nothing is sent until it is enabled. One that is disabled stays as it is.
    ///
    /// # Errors
    /// [`WebhookError::Absent`].
    pub async fn disable_webhook(&self, caller: &Caller, id: WebhookId) -> Result<Webhook, WebhookError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let reason = format!("disabled by {}", caller.actor());
        let Some(webhook) = webhooks::disable(&mut tx, id, &reason, now).await? else {
            drop(tx);
            return self.webhook(id).await;
        };
        webhook_deliveries::hold(&mut tx, id).await?;
        self.record(&mut tx, caller, now, "webhook.disable", id, json!({}))
            .await?;
        tx.commit().await?;
        Ok(webhook)
    }

    fn sealer(&self) -> Result<&Sealer, WebhookError> {
        self.telling.sealer.as_ref().ok_or(WebhookError::NoKey)
    }

    /// The sealer, if it has the key by which the webhook's secrets are encrypted.
    fn sealer_of(&self, webhook: &Webhook) -> Result<&Sealer, WebhookError> {
        let sealer = self.sealer()?;
        if sealer.id() == webhook.settings.key_id {
            Ok(sealer)
        } else {
            Err(WebhookError::OtherKey)
        }
    }

    fn sealed(&self, sealer: &Sealer, id: WebhookId, field: &str, text: &str) -> String {
        sealer.seal(id, field, text, self.random_bytes())
    }

    fn new_secret(&self) -> String {
        format!(
            "{SECRET_PREFIX}{}",
            STANDARD.encode(self.random_bytes::<SECRET_BYTES>())
        )
    }
}

/// A JSON array of words.
fn words<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    serde_json::Value::from(words).to_string()
}

fn name_taken(error: DalError) -> WebhookError {
    match error.constraint() {
        Some(ConstraintKind::Unique) => WebhookError::NameTaken,
        _ => WebhookError::Storage(error),
    }
}
