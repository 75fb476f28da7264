//! Makes deliveries of events.

use brokkr_core::events::EventPattern;
use brokkr_core::ids::{DeliveryId, WebhookId};
use brokkr_core::time::Timestamp;
use serde_json::json;

use crate::app::App;
use crate::dal::DalError;
use crate::dal::events::{self, Event};
use crate::dal::webhook_deliveries::{self, NewDelivery};
use crate::dal::webhooks::{self, Webhook};

/// The type of a test.
pub(super) const TEST: &str = "webhook.test";

/// What a webhook wants, read from its row once for many events.
struct Filter {
    patterns: Vec<EventPattern>,
    agents: Vec<String>,
    labels: Vec<String>,
}

impl Filter {
    fn of(webhook: &Webhook) -> Self {
        let settings = &webhook.settings;
        // They were written by the broker; what cannot be read matches nothing.
        let read = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap_or_default();
        Self {
            patterns: read(&settings.event_types)
                .into_iter()
                .filter_map(|text| EventPattern::parse(&text).ok())
                .collect(),
            agents: read(&settings.agent_ids),
            labels: read(&settings.labels),
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let agent = event.agent.map(|id| id.to_string());
        self.patterns.iter().any(|pattern| pattern.matches(event.kind))
            && (self.agents.is_empty() || agent.is_some_and(|agent| self.agents.contains(&agent)))
            && (self.labels.is_empty() || event.labels.iter().any(|label| self.labels.contains(label)))
    }
}

/// How far the making of deliveries came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// How many events were looked at.
    pub events: u64,
    /// Whether every event that could be seen was among them, or could have been.
    pub caught_up: bool,
}

impl Made {
    /// There is nothing to make.
    const ALL: Self = Self {
        events: 0,
        caught_up: true,
    };
}

impl App {
    /// Makes the deliveries of at most `limit` events for each webhook that lags behind, and answers how many events that was for
    /// the one of which there were most. A webhook that another replica works on is left to it, and an event beside which an
    /// older one may still appear to the next time.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part; what was made before that stays.
    pub async fn make_webhook_deliveries(&self, limit: u32) -> Result<Made, DalError> {
        let mut tx = self.db.read().await?;
        let all = webhooks::list(&mut tx, None, super::WEBHOOKS_MAX).await?;
        let enabled: Vec<_> = all
            .into_iter()
            .filter(|webhook| webhook.disabled_at.is_none())
            .collect();
        if enabled.is_empty() {
            return Ok(Made::ALL);
        }
        let horizon = self.horizon.look(&mut tx, self.now()).await?;
        drop(tx);
        let settled = horizon.settled;
        let mut most = 0;
        for webhook in enabled.iter().filter(|webhook| webhook.position < settled) {
            most = most.max(self.make_deliveries_of(webhook.id, settled, limit).await?);
        }
        Ok(Made {
            events: most,
            caught_up: horizon.unsettled_since.is_none(),
        })
    }

    async fn make_deliveries_of(&self, id: WebhookId, settled: i64, limit: u32) -> Result<u64, DalError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let Some(webhook) = webhooks::take(&mut tx, id).await? else {
            return Ok(0);
        };
        let page = events::page(&mut tx, None, webhook.position, settled, limit).await?;
        let full = page.len() >= limit as usize;
        // Whatever lies between is of no event: a transaction that was rolled back.
        let reached = page
            .last()
            .filter(|_| full)
            .map_or(settled, |event| event.position);
        let filter = Filter::of(&webhook);
        let deliveries: Vec<_> = page
            .iter()
            .filter(|event| filter.wants(event))
            .map(|event| NewDelivery {
                id: DeliveryId::new(self.next_id(now)),
                position: Some(event.position),
                event_type: event.kind.as_str().to_owned(),
                payload: payload(event),
            })
            .collect();
        webhook_deliveries::insert(&mut tx, id, &deliveries, now).await?;
        if reached > webhook.position && !webhooks::advance(&mut tx, id, webhook.position, reached).await? {
            // Somebody else did the same. Theirs counts.
            return Ok(0);
        }
        tx.commit().await?;
        Ok(page.len() as u64)
    }

    /// Up to which event webhooks need the events no more; `None` when no webhook is enabled.
    pub(in crate::app) async fn webhooks_told_up_to(&self) -> Result<Option<i64>, DalError> {
        let mut tx = self.db.read().await?;
        webhooks::least_position(&mut tx).await
    }
}

/// What the receiver gets: ids, states and causes, no output and no YAML.
fn payload(event: &Event) -> String {
    json!({
        "type": event.kind.as_str(),
        "timestamp": event.at.to_string(),
        "data": {
            "position": event.position,
            "work_order_id": event.work_order.map(|id| id.to_string()),
            "agent_id": event.agent.map(|id| id.to_string()),
            "attempt": event.attempt.map(|attempt| attempt.number()),
            "before": event.before,
            "after": event.after,
            "actor": event.actor,
            "labels": event.labels,
            "details": serde_json::from_str::<serde_json::Value>(&event.details).unwrap_or_default(),
        },
    })
    .to_string()
}

pub(super) fn test_payload(now: Timestamp) -> String {
    json!({"type": TEST, "timestamp": now.to_string(), "data": {}}).to_string()
}
