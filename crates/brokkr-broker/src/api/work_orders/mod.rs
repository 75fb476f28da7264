//! Work orders on the wire.

mod submission;
mod views;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use brokkr_api::{
    BatchAnswer, BatchCreate, BatchItem, Cancel, CreateWorkOrder, KnownFields as _, ListWorkOrders,
    Problem as ProblemBody, SetTargeting, Targeting, WorkOrder, WorkOrderLog, WorkOrderStatus,
};
use brokkr_core::ids::WorkOrderId;
use brokkr_core::names::WorkType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::submission::class;
use self::submission::{submission, targeting, unknown_agent};
pub(super) use self::views::json;
use super::extract::{Admin, Json, LenientJson, Path, Query, Reader};
use super::on_wire::OnWire as _;
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::idempotency::{Answer, Idempotency};
use crate::app::work_orders::{
    CancelError, Cancelled, DeleteError, ListFilter, QueueStatus, QueuedOrder, ReadError, RetryError,
    Submission, TargetingChangeError,
};
use crate::config::Limits;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest reason that somebody may give, in characters.
const REASON_CHARACTERS_MAX: usize = 1_024;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(create_batch))
        .routes(routes!(get, delete))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(get_targeting, set_targeting))
}

/// An answer that was rendered when the request was done, which may have been earlier.
struct Rendered(Answer);

impl IntoResponse for Rendered {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::OK);
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/json")], self.0.body).into_response();
        if self.0.replayed {
            response
                .headers_mut()
                .insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

fn rendered(status: StatusCode, body: &impl Serialize) -> Answer {
    // Views are maps of plain values, which always serialise.
    let body = serde_json::to_string(body).unwrap_or_default();
    Answer {
        status: status.as_u16(),
        body,
        replayed: false,
    }
}

/// What makes a repetition of this request the same request, if its sender wants to be able to repeat it.
fn idempotency(
    headers: &HeaderMap,
    operation: &str,
    body: &impl Serialize,
) -> Result<Option<Idempotency>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let invalid = || {
        Problem::new(
            Code::InvalidIdempotencyKey,
            "Idempotency-Key must have 1 to 255 visible ASCII characters.",
        )
    };
    if keys.next().is_some() {
        return Err(invalid());
    }
    let body = serde_json::to_vec(body).map_err(|_| invalid())?;
    Idempotency::new(key.as_bytes(), operation, &body)
        .map(Some)
        .map_err(|_| invalid())
}

/// Submits a work order. It is stored, with whom it is for, when this answers.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDERS, tag = "work orders", operation_id = "create_work_order",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the same request again: 1 to 255 visible ASCII characters, kept for 24 hours")),
    request_body = CreateWorkOrder,
    responses(
        (status = 201, body = WorkOrder, headers(("Idempotency-Replayed" = String, description = "`true` when an earlier request with this key created it"))),
        (status = 400, body = ProblemBody, description = "`no_targeting_specified`, `invalid_work_order`, `invalid_idempotency_key`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: an agent or a label is named twice; `idempotency_key_reused`"),
        (status = 422, body = ProblemBody, description = "`foreign_key_violation`: an agent does not exist"),
    ))]
async fn create(
    Admin(caller): Admin,
    State(app): State<App>,
    headers: HeaderMap,
    LenientJson(body): LenientJson<CreateWorkOrder>,
) -> Result<Rendered, Problem> {
    let idempotency = idempotency(&headers, "create", &body)?;
    let submission = submission(body, &app.limits)?;
    let answer = |order: &QueuedOrder| rendered(StatusCode::CREATED, &WorkOrder::from(order.clone()));
    Ok(Rendered(
        app.create_work_order(&caller, submission, idempotency, answer)
            .await?,
    ))
}

/// The work orders of a batch, each to be understood or refused on its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    work_orders: Vec<Value>,
}

/// Submits many work orders at once. Each is created or refused on its own; those that are created are created together.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDERS_BATCH, tag = "work orders", operation_id = "create_work_orders",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the same request again: 1 to 255 visible ASCII characters, kept for 24 hours")),
    request_body = BatchCreate,
    responses(
        (status = 207, body = BatchAnswer, description = "One item for each work order, with the status of the single call"),
        (status = 400, body = ProblemBody, description = "`invalid_batch`, `invalid_idempotency_key`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`idempotency_key_reused`"),
    ))]
async fn create_batch(
    Admin(caller): Admin,
    State(app): State<App>,
    headers: HeaderMap,
    Json(batch): Json<Batch>,
) -> Result<Rendered, Problem> {
    batch_size(batch.work_orders.len(), app.limits.batch_orders_max)?;
    let idempotency = idempotency(&headers, "create_batch", &batch.work_orders)?;
    let items = batch
        .work_orders
        .into_iter()
        .map(|item| batch_item(item, &app.limits))
        .collect();
    let answer = |items: Vec<Result<QueuedOrder, Problem>>| {
        let items = items.into_iter().map(answered).collect();
        rendered(StatusCode::MULTI_STATUS, &BatchAnswer { items })
    };
    Ok(Rendered(
        app.create_work_orders(&caller, items, idempotency, answer)
            .await?,
    ))
}

pub(super) fn batch_size(found: usize, max: usize) -> Result<(), Problem> {
    if (1..=max).contains(&found) {
        return Ok(());
    }
    Err(Problem::new(
        Code::InvalidBatch,
        format!("A batch must have 1 to {max} items, not {found}."),
    ))
}

fn batch_item(item: Value, limits: &Limits) -> Result<Submission, Problem> {
    let invalid = |reason: String| {
        Problem::new(
            Code::InvalidBody,
            format!("The work order cannot be understood: {reason}."),
        )
    };
    let unknown = CreateWorkOrder::unknown_fields(&item);
    if let Some(field) = unknown.first() {
        return Err(invalid(format!("unknown field {field:?}")));
    }
    let request = serde_json::from_value(item).map_err(|error| invalid(error.to_string()))?;
    submission(request, limits)
}

fn answered(item: Result<QueuedOrder, Problem>) -> BatchItem {
    match item {
        Ok(order) => BatchItem {
            status: 201,
            work_order: Some(order.into()),
            error: None,
        },
        Err(problem) => BatchItem {
            status: problem.code().status().as_u16(),
            work_order: None,
            error: Some(problem.body()),
        },
    }
}

/// Lists the work orders of the queue, newest first. Those that have ended are in the work-order log.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDERS, tag = "work orders", operation_id = "list_work_orders", params(ListWorkOrders),
    responses(
        (status = 200, body = Vec<WorkOrder>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
    ))]
async fn list(
    _: Reader,
    State(app): State<App>,
    Query(query): Query<ListWorkOrders>,
    uri: Uri,
) -> Result<Page<WorkOrder>, Problem> {
    let page: PageRequest<WorkOrderId> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let work_type = query.work_type.map(work_type).transpose()?;
    let status = match query.status.map(queue_status) {
        None => None,
        Some(Some(status)) => Some(status),
        // What has ended is not in the queue.
        Some(None) => return Ok(page.answer(Vec::<QueuedOrder>::new(), QueuedOrder::id)),
    };
    let filter = ListFilter { status, work_type };
    let orders = app
        .list_work_orders(&filter, page.after, page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(page.answer(orders, QueuedOrder::id))
}

/// A type that is asked for.
pub(super) fn work_type(text: String) -> Result<WorkType, Problem> {
    WorkType::parse(text).map_err(|error| Problem::invalid_name(Code::InvalidQuery, &error))
}

const fn queue_status(status: WorkOrderStatus) -> Option<QueueStatus> {
    match status {
        WorkOrderStatus::Pending => Some(QueueStatus::Pending),
        WorkOrderStatus::Claimed => Some(QueueStatus::Claimed),
        WorkOrderStatus::RetryPending => Some(QueueStatus::RetryPending),
        WorkOrderStatus::Scheduled => Some(QueueStatus::Scheduled),
        WorkOrderStatus::Completed
        | WorkOrderStatus::Failed
        | WorkOrderStatus::Cancelled
        | WorkOrderStatus::Lost
        | WorkOrderStatus::Expired => None,
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Absent => Self::new(Code::WorkOrderNotFound, sentence(&error)),
            ReadError::Storage(error) => Self::storage(&error),
        }
    }
}

/// Shows a work order, from the queue or else from the log.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDER, tag = "work orders", operation_id = "get_work_order",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = WorkOrder),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
    ))]
async fn get(
    _: Reader,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
) -> Result<Json<WorkOrder>, Problem> {
    Ok(Json(app.work_order(id).await?.into()))
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Absent => Self::new(Code::WorkOrderNotFound, sentence(&error)),
            DeleteError::Storage(error) => Self::storage(&error),
        }
    }
}

/// Removes a work order from the queue, whatever its state. What has ended stays in the log.
#[utoipa::path(delete, path = brokkr_api::paths::WORK_ORDER, tag = "work orders", operation_id = "delete_work_order",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
    ))]
async fn delete(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
) -> Result<StatusCode, Problem> {
    app.delete_work_order(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A reason that somebody gave, for the record.
pub(super) fn reason(text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let fits = (1..=REASON_CHARACTERS_MAX).contains(&text.chars().count());
    if fits && !text.trim().is_empty() && !text.contains('\0') {
        return Ok(Some(text));
    }
    let rule = format!("reason must have 1 to {REASON_CHARACTERS_MAX} characters and no NUL.");
    Err(Problem::new(Code::InvalidReason, rule))
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::Absent => Self::new(Code::WorkOrderNotFound, sentence(&error)),
            CancelError::Ended => Self::new(Code::WorkOrderEnded, sentence(&error)),
            CancelError::Storage(error) => Self::storage(&error),
        }
    }
}

/// Cancels a work order: at once while it waits, else through the agent that holds it.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDER_CANCEL, tag = "work orders", operation_id = "cancel_work_order",
    params(("id" = uuid::Uuid, Path)), request_body = Option<Cancel>,
    responses(
        (status = 200, body = WorkOrderLog, description = "It was waiting and has ended"),
        (status = 202, body = WorkOrder, description = "An agent has to stop it first"),
        (status = 400, body = ProblemBody, description = "`invalid_reason`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
        (status = 409, body = ProblemBody, description = "`work_order_ended`"),
    ))]
async fn cancel(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
    body: Option<Json<Cancel>>,
) -> Result<Response, Problem> {
    let reason = reason(body.and_then(|Json(body)| body.reason))?;
    Ok(match app.cancel_work_order(&caller, id, reason).await? {
        Cancelled::Ended(entry) => Json(WorkOrderLog::from(*entry)).into_response(),
        Cancelled::Requested(order) => (StatusCode::ACCEPTED, Json(WorkOrder::from(*order))).into_response(),
    })
}

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::Absent => Self::new(Code::WorkOrderNotFound, sentence(&error)),
            RetryError::NotEnded => Self::new(Code::WorkOrderNotEnded, sentence(&error)),
            RetryError::UnknownAgent(agent) => unknown_agent(agent, &error),
            RetryError::Storage(error) => Self::storage(&error),
        }
    }
}

/// Submits a new work order that asks for the same as one that has ended.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDER_RETRY, tag = "work orders", operation_id = "retry_work_order",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 201, body = WorkOrder, description = "The new work order; `retry_of` names the old one"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
        (status = 409, body = ProblemBody, description = "`work_order_not_ended`"),
        (status = 422, body = ProblemBody, description = "`foreign_key_violation`: an agent that it was for does not exist any more"),
    ))]
async fn retry(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
) -> Result<(StatusCode, Json<WorkOrder>), Problem> {
    let order = app.retry_work_order(&caller, id).await?;
    Ok((StatusCode::CREATED, Json(order.into())))
}

impl From<TargetingChangeError> for Problem {
    fn from(error: TargetingChangeError) -> Self {
        match error {
            TargetingChangeError::Absent => Self::new(Code::WorkOrderNotFound, sentence(&error)),
            TargetingChangeError::NotWaiting => Self::new(Code::WorkOrderNotWaiting, sentence(&error)),
            TargetingChangeError::UnknownAgent(agent) => unknown_agent(agent, &error),
            TargetingChangeError::Storage(error) => Self::storage(&error),
        }
    }
}

/// Shows whom a work order is for.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDER_TARGETING, tag = "work orders", operation_id = "get_targeting",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Targeting),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
    ))]
async fn get_targeting(
    _: Reader,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
) -> Result<Json<Targeting>, Problem> {
    Ok(Json(app.targeting(id).await?.on_wire()))
}

/// Replaces whom a work order is for, as long as it waits.
#[utoipa::path(put, path = brokkr_api::paths::WORK_ORDER_TARGETING, tag = "work orders", operation_id = "set_targeting",
    params(("id" = uuid::Uuid, Path)), request_body = SetTargeting,
    responses(
        (status = 200, body = Targeting),
        (status = 400, body = ProblemBody, description = "`no_targeting_specified`, `invalid_work_order`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
        (status = 409, body = ProblemBody, description = "`work_order_not_waiting`; `unique_violation`: an agent or a label is named twice"),
        (status = 422, body = ProblemBody, description = "`foreign_key_violation`: an agent does not exist"),
    ))]
async fn set_targeting(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
    Json(body): Json<SetTargeting>,
) -> Result<Json<Targeting>, Problem> {
    let targeting = targeting(body.into(), None, &app.limits)?;
    app.set_targeting(&caller, id, &targeting).await?;
    Ok(Json(targeting.on_wire()))
}
