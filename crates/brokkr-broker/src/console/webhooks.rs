//! Webhooks: who is told of events, and telling another one.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use brokkr_api::Webhook;
use brokkr_core::time::Timestamp;

use super::listed::{After, FETCHED, Listed};
use super::page::{Shell, Trouble, page};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader, Session};
use super::webhook_fields::WebhookFields;
use super::when::When;
use crate::api::{Problem, new_webhook};
use crate::app::App;
use crate::app::webhooks::{self, WebhookError};

/// How a webhook is.
pub(super) struct Health {
    pub(super) state: &'static str,
    pub(super) since: Option<When>,
    pub(super) reason: String,
}

impl Health {
    pub(super) fn of(webhook: &Webhook, now: Timestamp) -> Health {
        let failing = "Nothing was delivered although it was tried.";
        let (state, since, reason) = match (webhook.enabled, webhook.failing_since) {
            (false, _) => (
                "disabled",
                webhook.disabled_at,
                webhook.disabled_reason.as_deref().unwrap_or_default(),
            ),
            (true, Some(since)) => ("failing", Some(since), failing),
            (true, None) => ("enabled", None, ""),
        };
        Health {
            state,
            since: When::maybe(since, now),
            reason: reason.to_owned(),
        }
    }
}

struct Row {
    id: String,
    name: String,
    url: String,
    event_types: String,
    health: Health,
}

impl Row {
    fn new(webhook: webhooks::Webhook, now: Timestamp) -> Row {
        let webhook = Webhook::from(webhook);
        Row {
            id: webhook.id.to_string(),
            health: Health::of(&webhook, now),
            event_types: webhook.event_types.join(", "),
            name: webhook.name,
            url: webhook.url,
        }
    }
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    shell: Shell,
    has_key: bool,
    webhooks: Listed<Row>,
    fields: WebhookFields,
    refusal: Option<String>,
}

impl From<WebhookError> for Trouble {
    fn from(error: WebhookError) -> Trouble {
        Problem::from(error).into()
    }
}

pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<After>,
) -> Result<Response, Trouble> {
    shown(&app, &session, &asked.after, WebhookFields::default(), None).await
}

async fn shown(
    app: &App,
    session: &Session,
    after: &str,
    fields: WebhookFields,
    refusal: Option<String>,
) -> Result<Response, Trouble> {
    let fetched = app.list_webhooks(after.parse().ok(), FETCHED).await?;
    let now = app.now();
    page(&WebhooksPage {
        shell: Shell::new(session, "webhooks"),
        has_key: app.has_webhooks_key(),
        webhooks: Listed::new(fetched, |last| format!("/webhooks?after={}", last.id))
            .map(|webhook| Row::new(webhook, now)),
        fields,
        refusal,
    })
}

/// Makes a webhook, whose secret is shown once, or says what is wrong beside the form as it was.
pub(super) async fn create(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<WebhookFields>,
) -> Result<Response, Trouble> {
    match created(&app, &session, &form).await {
        Ok((webhook, secret)) => {
            let back = format!("/webhooks/{}", webhook.id);
            Secret::of_webhook(secret, webhook.settings.name, back).page(Shell::new(&session, "webhooks"))
        }
        Err(problem) => {
            let refusal = Some(problem.body().message);
            let page = shown(&app, &session, "", form, refusal).await?;
            Ok((problem.code().status(), page).into_response())
        }
    }
}

async fn created(
    app: &App,
    session: &Session,
    form: &WebhookFields,
) -> Result<(webhooks::Webhook, String), Problem> {
    let new = new_webhook(form.to_create()?)?;
    Ok(app.create_webhook(&session.caller, new).await?)
}
