//! Webhooks and their deliveries as rows.

use brokkr_api::{DeliveryStatus, Webhook, WebhookDelivery};

use super::{Around, Cell, Column, Row, age};

impl Row for Webhook {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("STATE"),
        Column::new("EVENTS").of_text(),
        Column::new("URL").of_text(),
        Column::new("AGE"),
        Column::new("REASON").of_text(),
        Column::wide("ID"),
    ];

    fn name(&self) -> String {
        format!("webhook/{}", self.id)
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        vec![
            self.name.as_str().into(),
            state(self).into(),
            self.event_types.join(",").into(),
            self.url.as_str().into(),
            age::since(self.created_at, around.now).into(),
            self.disabled_reason.as_deref().unwrap_or_default().into(),
            self.id.into(),
        ]
    }
}

const fn state(webhook: &Webhook) -> &'static str {
    match (webhook.enabled, webhook.failing_since) {
        (false, _) => "disabled",
        (true, Some(_)) => "failing",
        (true, None) => "enabled",
    }
}

impl Row for WebhookDelivery {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID"),
        Column::new("EVENT"),
        Column::new("STATUS"),
        Column::new("ATTEMPTS"),
        Column::new("ANSWER"),
        Column::new("AGE"),
        Column::new("ERROR").of_text(),
    ];

    fn name(&self) -> String {
        format!("webhook-delivery/{}", self.id)
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        let status = match self.status {
            DeliveryStatus::Pending => "PENDING",
            DeliveryStatus::Delivered => "DELIVERED",
            DeliveryStatus::Failed => "FAILED",
        };
        vec![
            self.id.into(),
            self.event_type.as_str().into(),
            status.into(),
            self.attempts.to_string().into(),
            self.last_status
                .map(|code| code.to_string())
                .unwrap_or_default()
                .into(),
            age::since(self.created_at, around.now).into(),
            self.last_error.as_deref().unwrap_or_default().into(),
        ]
    }
}
