//! One webhook: whom it tells of what, how that went, and what can be done about it.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_api::{ReplayDeliveries, RotateSecret, Time, Webhook};
use brokkr_core::ids::WebhookId;
use serde::Deserialize;

use super::listed::{FETCHED, Listed};
use super::page::{Shell, Trouble, page, url_encoded};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader, Session};
use super::webhook_deliveries::DeliveryShown;
use super::webhook_fields::WebhookFields;
use super::webhooks::Health;
use super::when::When;
use crate::api::{Code, Problem, overlap, replay_range, webhook_changes};
use crate::app::App;
use crate::app::webhooks::DeliveryStatus;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// What deliveries can be narrowed to: the word in the address, and what people read.
const STATES: [(&str, &str); 4] = [
    ("", "All"),
    ("PENDING", "To be sent"),
    ("DELIVERED", "Delivered"),
    ("FAILED", "Given up"),
];

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    shell: Shell,
    webhook: Webhook,
    health: Health,
    made: When,
    second_secret: Option<When>,
    states: &'static [(&'static str, &'static str)],
    status: String,
    deliveries: Listed<DeliveryShown>,
    fields: WebhookFields,
    refusal: Option<String>,
    replayed: Option<u64>,
    day_ago: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    status: String,
    after: String,
    /// How many deliveries were replayed a moment ago.
    replayed: String,
}

pub(super) fn webhook_id(text: &str) -> Result<WebhookId, Trouble> {
    text.parse()
        .map_err(|_| Trouble::absent("There is no such webhook."))
}

pub(super) async fn show(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    shown(&app, &session, webhook_id(&id)?, asked, None).await
}

/// `refused` is a form that was sent, and why it was refused.
async fn shown(
    app: &App,
    session: &Session,
    id: WebhookId,
    asked: Asked,
    refused: Option<(WebhookFields, String)>,
) -> Result<Response, Trouble> {
    let webhook = Webhook::from(app.webhook(id).await?);
    let status = DeliveryStatus::parse(&asked.status);
    let fetched = app
        .list_webhook_deliveries(id, asked.after.parse().ok(), status, FETCHED)
        .await?;
    let now = app.now();
    let deliveries = Listed::new(fetched, |last| {
        let status = url_encoded(&asked.status);
        format!("/webhooks/{id}?status={status}&after={}", last.id)
    });
    let (fields, refusal) = match refused {
        Some((fields, refusal)) => (fields, Some(refusal)),
        None => (WebhookFields::of(&webhook), None),
    };
    page(&WebhookPage {
        shell: Shell::new(session, "webhooks"),
        health: Health::of(&webhook, now),
        made: When::new(webhook.created_at, now),
        second_secret: When::maybe(webhook.previous_secret_until, now),
        webhook,
        states: &STATES,
        status: asked.status,
        deliveries: deliveries.map(|delivery| DeliveryShown::new(delivery, now)),
        fields,
        refusal,
        replayed: asked.replayed.parse().ok(),
        day_ago: Time::from_micros(now.minus(DAY).as_micros()).to_string(),
    })
}

/// What a webhook's page asks for.
#[derive(Deserialize)]
pub(super) struct WebhookForm {
    act: String,
    #[serde(flatten)]
    fields: WebhookFields,
    #[serde(default)]
    without_auth_header: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    delivered: String,
}

pub(super) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    ConsoleAdmin { session, form }: ConsoleAdmin<WebhookForm>,
) -> Result<Response, Trouble> {
    let (id, caller) = (webhook_id(&id)?, &session.caller);
    let mut next = format!("/webhooks/{id}");
    match form.act.as_str() {
        "change" => return changed(&app, &session, id, form).await,
        "enable" => drop(app.enable_webhook(caller, id, false).await?),
        "enable-for-new" => drop(app.enable_webhook(caller, id, true).await?),
        "disable" => drop(app.disable_webhook(caller, id).await?),
        "test" => {
            let delivery = app.test_webhook(caller, id).await?;
            next = format!("/webhooks/{id}/deliveries/{}", delivery.id);
        }
        "replay" => {
            let range = replay_range(&range(&form)?, app.now())?;
            let replayed = app.replay_webhook_deliveries(caller, id, range).await?;
            next = format!("/webhooks/{id}?replayed={}", replayed.count);
        }
        "rotate" => {
            let overlap = overlap(&RotateSecret::default())?;
            let (webhook, secret) = app.rotate_webhook_secret(caller, id, overlap).await?;
            let shell = Shell::new(&session, "webhooks");
            return Secret::of_webhook(secret, webhook.settings.name, next).page(shell);
        }
        "delete" => {
            app.delete_webhook(caller, id).await?;
            next = "/webhooks".to_owned();
        }
        _ => return Err(Trouble::bad("There is no such button.")),
    }
    Ok(Redirect::to(&next).into_response())
}

/// Changes the webhook, or says what is wrong beside the form as it was.
async fn changed(
    app: &App,
    session: &Session,
    id: WebhookId,
    form: WebhookForm,
) -> Result<Response, Trouble> {
    let update = form.fields.to_update(!form.without_auth_header.is_empty());
    let refused = match update.and_then(webhook_changes) {
        Ok(changes) => match app.update_webhook(&session.caller, id, changes).await {
            Ok(_) => return Ok(Redirect::to(&format!("/webhooks/{id}")).into_response()),
            Err(error) => Problem::from(error),
        },
        Err(problem) => problem,
    };
    let said = Some((form.fields, refused.body().message));
    let page = shown(app, session, id, Asked::default(), said).await?;
    Ok((refused.code().status(), page).into_response())
}

fn range(form: &WebhookForm) -> Result<ReplayDeliveries, Problem> {
    let time = |text: &str| {
        let parsed = text.trim().parse::<Time>();
        parsed.map_err(|error| Problem::new(Code::InvalidReplay, format!("{text:?} is {error}.")))
    };
    Ok(ReplayDeliveries {
        since: time(&form.since)?,
        until: (!form.until.trim().is_empty())
            .then(|| time(&form.until))
            .transpose()?,
        delivered: !form.delivered.is_empty(),
    })
}
