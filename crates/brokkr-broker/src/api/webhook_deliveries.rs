//! What webhooks were told, on the wire.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use brokkr_api::{
    DeliveriesReplayed, DeliveryStatus as WireStatus, ListDeliveries, Problem as ProblemBody,
    ReplayDeliveries, WebhookDelivery,
};
use brokkr_core::ids::{DeliveryId, WebhookId};
use brokkr_core::time::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Admin, Json, Path, Query, Reader};
use super::on_wire::OnWire as _;
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem};
use super::state::AppState;
use crate::app::App;
use crate::app::webhooks::{Delivery, DeliveryStatus, ReplayRange};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(test))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(replay))
        .routes(routes!(replay_many))
}

impl From<Delivery> for WebhookDelivery {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.as_uuid(),
            webhook_id: delivery.webhook_id.as_uuid(),
            created_at: delivery.created_at.on_wire(),
            position: delivery.position,
            event_type: delivery.event_type,
            status: match delivery.status {
                DeliveryStatus::Pending => WireStatus::Pending,
                DeliveryStatus::Delivered => WireStatus::Delivered,
                DeliveryStatus::Failed => WireStatus::Failed,
            },
            attempts: delivery.attempts.into(),
            next_attempt_at: delivery.next_attempt_at.on_wire(),
            last_attempt_at: delivery.last_attempt_at.on_wire(),
            last_status: delivery.last_status.map(i64::from),
            last_error: delivery.last_error,
            ended_at: delivery.ended_at.on_wire(),
            payload: delivery.payload,
        }
    }
}

const fn stored(status: WireStatus) -> DeliveryStatus {
    match status {
        WireStatus::Pending => DeliveryStatus::Pending,
        WireStatus::Delivered => DeliveryStatus::Delivered,
        WireStatus::Failed => DeliveryStatus::Failed,
    }
}

/// Which deliveries a request asks for, once it is found to be in order.
pub(crate) fn replay_range(body: &ReplayDeliveries, now: Timestamp) -> Result<ReplayRange, Problem> {
    let time = |time: brokkr_api::Time| Timestamp::from_micros(time.as_micros());
    let range = ReplayRange {
        since: time(body.since),
        until: body.until.map_or(now, time),
        delivered: body.delivered,
    };
    if range.until <= range.since {
        return Err(Problem::new(Code::InvalidReplay, "until must be after since."));
    }
    Ok(range)
}

/// Sends a webhook a delivery of the type `webhook.test`, to try it. It is sent within a second or so: ask for the delivery then.
#[utoipa::path(post, path = brokkr_api::paths::WEBHOOK_TEST, tag = "webhooks", operation_id = "test_webhook",
    params(("id" = Uuid, Path)),
    responses(
        (status = 202, body = WebhookDelivery),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
        (status = 409, body = ProblemBody, description = "`webhook_disabled`"),
    ))]
async fn test(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WebhookId>,
) -> Result<(StatusCode, Json<WebhookDelivery>), Problem> {
    let delivery = app.test_webhook(&caller, id).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}

/// Lists what a webhook was or will be told, newest first.
#[utoipa::path(get, path = brokkr_api::paths::WEBHOOK_DELIVERIES, tag = "webhooks", operation_id = "list_webhook_deliveries",
    params(("id" = Uuid, Path), ListDeliveries),
    responses(
        (status = 200, body = Vec<WebhookDelivery>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
    ))]
async fn list(
    _: Reader,
    State(app): State<App>,
    Path(id): Path<WebhookId>,
    Query(query): Query<ListDeliveries>,
    uri: Uri,
) -> Result<Page<WebhookDelivery>, Problem> {
    let page: PageRequest<DeliveryId> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let status = query.status.map(stored);
    let deliveries = app
        .list_webhook_deliveries(id, page.after, status, page.fetch())
        .await?;
    Ok(page.answer(deliveries, |delivery| delivery.id))
}

/// Shows one delivery, with what was sent and what came of it.
#[utoipa::path(get, path = brokkr_api::paths::WEBHOOK_DELIVERY, tag = "webhooks", operation_id = "get_webhook_delivery",
    params(("id" = Uuid, Path), ("delivery" = Uuid, Path)),
    responses(
        (status = 200, body = WebhookDelivery),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`webhook_delivery_not_found`"),
    ))]
async fn get(
    _: Reader,
    State(app): State<App>,
    Path((webhook, id)): Path<(WebhookId, DeliveryId)>,
) -> Result<Json<WebhookDelivery>, Problem> {
    Ok(Json(app.webhook_delivery(webhook, id).await?.into()))
}

/// Sends one delivery again that has ended, with the same `webhook-id`.
#[utoipa::path(post, path = brokkr_api::paths::WEBHOOK_DELIVERY_REPLAY, tag = "webhooks", operation_id = "replay_webhook_delivery",
    params(("id" = Uuid, Path), ("delivery" = Uuid, Path)),
    responses(
        (status = 202, body = WebhookDelivery),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`, `webhook_delivery_not_found`"),
        (status = 409, body = ProblemBody, description = "`webhook_disabled`"),
    ))]
async fn replay(
    Admin(caller): Admin,
    State(app): State<App>,
    Path((webhook, id)): Path<(WebhookId, DeliveryId)>,
) -> Result<(StatusCode, Json<WebhookDelivery>), Problem> {
    let delivery = app.replay_webhook_delivery(&caller, webhook, id).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}

/// Sends the deliveries of a range of time again that failed, or all that ended.
#[utoipa::path(post, path = brokkr_api::paths::WEBHOOK_REPLAYS, tag = "webhooks", operation_id = "replay_webhook_deliveries",
    params(("id" = Uuid, Path)), request_body = ReplayDeliveries,
    responses(
        (status = 202, body = DeliveriesReplayed),
        (status = 400, body = ProblemBody, description = "`invalid_replay`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`webhook_not_found`"),
        (status = 409, body = ProblemBody, description = "`webhook_disabled`"),
    ))]
async fn replay_many(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(webhook): Path<WebhookId>,
    Json(body): Json<ReplayDeliveries>,
) -> Result<(StatusCode, Json<DeliveriesReplayed>), Problem> {
    let range = replay_range(&body, app.now())?;
    let replayed = app.replay_webhook_deliveries(&caller, webhook, range).await?;
    let answer = DeliveriesReplayed {
        replayed: i64::try_from(replayed.count).unwrap_or(i64::MAX),
        more: replayed.more,
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
