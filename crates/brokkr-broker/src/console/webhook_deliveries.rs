//! What a webhook was told, and telling it again.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_core::ids::DeliveryId;
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::listed::name_of;
use super::page::{Shell, Trouble, page};
use super::session::{ConsoleAdmin, ConsoleReader};
use super::webhook::webhook_id;
use super::when::When;
use crate::app::App;
use crate::app::webhooks::{Delivery, DeliveryStatus};

pub(super) struct DeliveryShown {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) event_type: String,
    pub(super) made: When,
    pub(super) attempts: u32,
    pub(super) tried: Option<When>,
    /// Absent when it is not sent again, and while its webhook is disabled.
    pub(super) next: Option<When>,
    /// What the receiver said last, or why it could not.
    pub(super) answer: String,
    pub(super) has_ended: bool,
}

impl DeliveryShown {
    pub(super) fn new(delivery: Delivery, now: Timestamp) -> DeliveryShown {
        let status = || {
            let status = delivery.last_status?;
            Some(format!("answered {status}"))
        };
        DeliveryShown {
            id: delivery.id.to_string(),
            state: delivery.status.as_str(),
            event_type: delivery.event_type,
            made: When::at(delivery.created_at, now),
            attempts: delivery.attempts,
            tried: delivery.last_attempt_at.map(|at| When::at(at, now)),
            next: delivery.next_attempt_at.map(|at| When::at(at, now)),
            answer: delivery.last_error.or_else(status).unwrap_or_default(),
            has_ended: delivery.status != DeliveryStatus::Pending,
        }
    }

    pub(super) fn name(&self) -> &str {
        name_of(&self.id)
    }
}

#[derive(Template)]
#[template(path = "webhook_delivery.html")]
struct DeliveryPage {
    shell: Shell,
    webhook: String,
    webhook_name: String,
    delivery: DeliveryShown,
    payload: String,
}

fn delivery_id(text: &str) -> Result<DeliveryId, Trouble> {
    text.parse()
        .map_err(|_| Trouble::absent("The webhook has no such delivery."))
}

pub(super) async fn show(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Path((webhook, id)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let (webhook, id) = (webhook_id(&webhook)?, delivery_id(&id)?);
    let delivery = app.webhook_delivery(webhook, id).await?;
    page(&DeliveryPage {
        shell: Shell::new(&session, "webhooks"),
        webhook: webhook.to_string(),
        webhook_name: app.webhook(webhook).await?.settings.name,
        payload: delivery.payload.clone(),
        delivery: DeliveryShown::new(delivery, app.now()),
    })
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

/// Sends a delivery again.
pub(super) async fn replay(
    State(app): State<App>,
    Path((webhook, id)): Path<(String, String)>,
    ConsoleAdmin {
        session,
        form: Nothing {},
    }: ConsoleAdmin<Nothing>,
) -> Result<Response, Trouble> {
    let (webhook, id) = (webhook_id(&webhook)?, delivery_id(&id)?);
    app.replay_webhook_delivery(&session.caller, webhook, id).await?;
    Ok(Redirect::to(&format!("/webhooks/{webhook}/deliveries/{id}")).into_response())
}
