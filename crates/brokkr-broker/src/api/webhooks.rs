//! Webhooks on the wire.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use brokkr_api::{
    CreateWebhook, EnableWebhook, ListWebhooks, Problem as ProblemBody, RotateSecret, UpdateWebhook,
    WebhookCreated,
};
use brokkr_core::events::EventPattern;
use brokkr_core::ids::{AgentId, WebhookId};
use brokkr_core::names::Label;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::extract::{Admin, Json, Path, Query, Reader};
use super::on_wire::OnWire as _;
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::webhooks::{NewWebhook, UrlRefused, Wants, Webhook, WebhookChanges, WebhookError};

const NAME_CHARACTERS_MAX: usize = 255;
const HEADER_BYTES_MAX: usize = 4_096;
const PATTERNS_MAX: usize = 50;
const FILTERS_MAX: usize = 100;
const OVERLAP_SECONDS_MAX: i64 = 30 * 24 * 3_600;
const OVERLAP_SECONDS: i64 = 24 * 3_600;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(rotate_secret))
        .routes(routes!(enable))
        .routes(routes!(disable))
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        let code = match &error {
            WebhookError::Absent => Code::WebhookNotFound,
            WebhookError::DeliveryAbsent => Code::WebhookDeliveryNotFound,
            WebhookError::NameTaken => Code::UniqueViolation,
            WebhookError::TooMany => Code::TooManyWebhooks,
            WebhookError::NoKey => Code::WebhooksKeyMissing,
            WebhookError::OtherKey => Code::WebhooksKeyChanged,
            WebhookError::Url(UrlRefused::Address(_)) => Code::WebhookAddressForbidden,
            WebhookError::Url(_) => Code::InvalidWebhook,
            WebhookError::Disabled => Code::WebhookDisabled,
            WebhookError::Storage(error) => return Self::storage(error),
        };
        Self::new(code, sentence(&error))
    }
}

impl From<Webhook> for brokkr_api::Webhook {
    fn from(webhook: Webhook) -> Self {
        let settings = webhook.settings;
        let words = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap_or_default();
        Self {
            id: webhook.id.as_uuid(),
            created_at: webhook.created_at.on_wire(),
            updated_at: webhook.updated_at.on_wire(),
            event_types: words(&settings.event_types),
            agent_ids: words(&settings.agent_ids)
                .iter()
                .filter_map(|id| Uuid::try_parse(id).ok())
                .collect(),
            labels: words(&settings.labels),
            name: settings.name,
            url: settings.url,
            has_auth_header: settings.auth_header.is_some(),
            previous_secret_until: settings.previous.map(|(_, until)| until).on_wire(),
            enabled: webhook.disabled_at.is_none(),
            disabled_at: webhook.disabled_at.on_wire(),
            disabled_reason: webhook.disabled_reason,
            failing_since: webhook.failing_since.on_wire(),
            position: webhook.position,
        }
    }
}

fn invalid(rule: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidWebhook, rule)
}

fn name(text: String) -> Result<String, Problem> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(invalid("name must not be blank, nor have control characters."));
    }
    if text.chars().count() > NAME_CHARACTERS_MAX {
        return Err(invalid(format!(
            "name must have at most {NAME_CHARACTERS_MAX} characters."
        )));
    }
    Ok(text)
}

fn patterns(texts: &[String]) -> Result<Vec<EventPattern>, Problem> {
    if texts.is_empty() || texts.len() > PATTERNS_MAX {
        return Err(invalid(format!(
            "event_types must have 1 to {PATTERNS_MAX} entries."
        )));
    }
    let parse = |text: &String| EventPattern::parse(text).map_err(|error| invalid(sentence(&error)));
    texts.iter().map(parse).collect()
}

fn few<T>(items: Vec<T>, what: &str) -> Result<Vec<T>, Problem> {
    if items.len() > FILTERS_MAX {
        return Err(invalid(format!(
            "{what} must have at most {FILTERS_MAX} entries."
        )));
    }
    Ok(items)
}

fn labels(texts: Vec<String>) -> Result<Vec<Label>, Problem> {
    let parse =
        |text| Label::parse(text).map_err(|error| Problem::invalid_name(Code::InvalidWebhook, &error));
    few(texts, "labels")?.into_iter().map(parse).collect()
}

fn agents(ids: Vec<Uuid>) -> Result<Vec<AgentId>, Problem> {
    Ok(few(ids, "agent_ids")?.into_iter().map(AgentId::new).collect())
}

fn header(text: String) -> Result<String, Problem> {
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && text.len() <= HEADER_BYTES_MAX {
        Ok(text)
    } else {
        Err(invalid(format!(
            "auth_header must have at most {HEADER_BYTES_MAX} printable ASCII characters."
        )))
    }
}

/// What a request to create a webhook asks for, once it is found to be in order.
pub(crate) fn new_webhook(body: CreateWebhook) -> Result<NewWebhook, Problem> {
    Ok(NewWebhook {
        name: name(body.name)?,
        url: body.url,
        wants: Wants {
            event_types: patterns(&body.event_types)?,
            agents: agents(body.agent_ids)?,
            labels: labels(body.labels)?,
        },
        auth_header: body
            .auth_header
            .filter(|text| !text.is_empty())
            .map(header)
            .transpose()?,
    })
}

/// What a request to change a webhook asks for, once it is found to be in order.
pub(crate) fn webhook_changes(body: UpdateWebhook) -> Result<WebhookChanges, Problem> {
    let auth_header = body.auth_header.map(header).transpose()?;
    Ok(WebhookChanges {
        name: body.name.map(name).transpose()?,
        url: body.url,
        event_types: body.event_types.as_deref().map(patterns).transpose()?,
        agents: body.agent_ids.map(agents).transpose()?,
        labels: body.labels.map(labels).transpose()?,
        auth_header: auth_header.map(|text| Some(text).filter(|text| !text.is_empty())),
    })
}

/// For how long a secret that is replaced stays good.
pub(crate) fn overlap(body: &RotateSecret) -> Result<Duration, Problem> {
    let seconds = body.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    if !(0..=OVERLAP_SECONDS_MAX).contains(&seconds) {
        return Err(invalid(format!(
            "overlap_seconds must be from 0 to {OVERLAP_SECONDS_MAX}."
        )));
    }
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

/// Creates a webhook and its secret, which is shown only now.
#[utoipa::path(post, path = brokkr_api::paths::WEBHOOKS, tag = "webhooks", operation_id = "create_webhook",
    request_body = CreateWebhook,
    responses(
        (status = 201, body = WebhookCreated),
        (status = 400, body = ProblemBody, description = "`invalid_webhook`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`, `webhook_address_forbidden`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: the name is taken; `webhooks_key_missing`, `too_many_webhooks`"),
    ))]
async fn create(
    Admin(caller): Admin,
    State(app): State<App>,
    Json(body): Json<CreateWebhook>,
) -> Result<(StatusCode, Json<WebhookCreated>), Problem> {
    let (webhook, secret) = app.create_webhook(&caller, new_webhook(body)?).await?;
    let webhook = webhook.into();
    Ok((StatusCode::CREATED, Json(WebhookCreated { webhook, secret })))
}

/// Lists webhooks, oldest first.
#[utoipa::path(get, path = brokkr_api::paths::WEBHOOKS, tag = "webhooks", operation_id = "list_webhooks",
    params(ListWebhooks),
    responses(
        (status = 200, body = Vec<brokkr_api::Webhook>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
    ))]
async fn list(
    _: Reader,
    State(app): State<App>,
    Query(query): Query<ListWebhooks>,
    uri: Uri,
) -> Result<Page<brokkr_api::Webhook>, Problem> {
    let page: PageRequest<WebhookId> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let webhooks = app
        .list_webhooks(page.after, page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(page.answer(webhooks, |webhook| webhook.id))
}

/// Shows a webhook.
#[utoipa::path(get, path = brokkr_api::paths::WEBHOOK, tag = "webhooks", operation_id = "get_webhook",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = brokkr_api::Webhook),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
    ))]
async fn get(
    _: Reader,
    State(app): State<App>,
    Path(id): Path<WebhookId>,
) -> Result<Json<brokkr_api::Webhook>, Problem> {
    Ok(Json(app.webhook(id).await?.into()))
}

/// Changes a webhook. Its secret stays what it is.
#[utoipa::path(put, path = brokkr_api::paths::WEBHOOK, tag = "webhooks", operation_id = "update_webhook",
    params(("id" = Uuid, Path)), request_body = UpdateWebhook,
    responses(
        (status = 200, body = brokkr_api::Webhook),
        (status = 400, body = ProblemBody, description = "`invalid_webhook`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`, `webhook_address_forbidden`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: the name is taken; `webhooks_key_missing`, `webhooks_key_changed`"),
    ))]
async fn update(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WebhookId>,
    Json(body): Json<UpdateWebhook>,
) -> Result<Json<brokkr_api::Webhook>, Problem> {
    let webhook = app.update_webhook(&caller, id, webhook_changes(body)?).await?;
    Ok(Json(webhook.into()))
}

/// Deletes a webhook and all that is known of its deliveries.
#[utoipa::path(delete, path = brokkr_api::paths::WEBHOOK, tag = "webhooks", operation_id = "delete_webhook",
    params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
    ))]
async fn delete(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WebhookId>,
) -> Result<StatusCode, Problem> {
    app.delete_webhook(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook a new secret, which is shown only now. For a while, deliveries are signed with the one before as well.
#[utoipa::path(post, path = brokkr_api::paths::WEBHOOK_ROTATE_SECRET, tag = "webhooks", operation_id = "rotate_webhook_secret",
    params(("id" = Uuid, Path)), request_body = RotateSecret,
    responses(
        (status = 200, body = WebhookCreated),
        (status = 400, body = ProblemBody, description = "`invalid_webhook`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
        (status = 409, body = ProblemBody, description = "`webhooks_key_missing`"),
    ))]
async fn rotate_secret(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WebhookId>,
    Json(body): Json<RotateSecret>,
) -> Result<Json<WebhookCreated>, Problem> {
    let (webhook, secret) = app.rotate_webhook_secret(&caller, id, overlap(&body)?).await?;
    let webhook = webhook.into();
    Ok(Json(WebhookCreated { webhook, secret }))
}

/// Tells a webhook again of what happens, and of what it missed while it was disabled unless that is to be skipped.
#[utoipa::path(post, path = brokkr_api::paths::WEBHOOK_ENABLE, tag = "webhooks", operation_id = "enable_webhook",
    params(("id" = Uuid, Path)), request_body = EnableWebhook,
    responses(
        (status = 200, body = brokkr_api::Webhook),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
    ))]
async fn enable(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WebhookId>,
    Json(body): Json<EnableWebhook>,
) -> Result<Json<brokkr_api::Webhook>, Problem> {
    let webhook = app.enable_webhook(&caller, id, body.skip_missed).await?;
    Ok(Json(webhook.into()))
}

/// Tells a webhook of nothing until it is enabled.
#[utoipa::path(post, path = brokkr_api::paths::WEBHOOK_DISABLE, tag = "webhooks", operation_id = "disable_webhook",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = brokkr_api::Webhook),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
    ))]
async fn disable(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WebhookId>,
) -> Result<Json<brokkr_api::Webhook>, Problem> {
    Ok(Json(app.disable_webhook(&caller, id).await?.into()))
}
