//! Work orders on the wire.

mod submission;
mod submit;
mod targeting;
mod views;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use brokkr_api::{Cancel, ListWorkOrders, Problem as ProblemBody, WorkOrder, WorkOrderLog, WorkOrderStatus};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::names::{Label, WorkType};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) use self::submission::class;
use self::submission::unknown_agent;
pub(crate) use self::submission::{submission, targeting};
pub(super) use self::submit::{Rendered, batch_size, idempotency, rendered};
pub(super) use self::views::json;
use super::extract::{Admin, Json, Path, Query, Reader};
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::work_orders::{
    CancelError, Cancelled, DeleteError, ListFilter, QueueStatus, QueuedOrder, ReadError, RetryError, Terms,
};

/// The longest reason that somebody may give, in characters.
const REASON_CHARACTERS_MAX: usize = 1_024;
/// The longest text that is looked for.
const SOUGHT_CHARACTERS_MAX: usize = 200;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(submit::create, list))
        .routes(routes!(submit::create_batch))
        .routes(routes!(get, delete))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(targeting::get_targeting, targeting::set_targeting))
}

/// Lists the work orders of the queue, newest first. Those that have ended are in the work-order log. A page may have fewer than
/// `limit`, or none, and still a next one: no request looks at more than 10,000.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDERS, tag = "work orders", operation_id = "list_work_orders", params(ListWorkOrders),
    responses(
        (status = 200, body = Vec<WorkOrder>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_query`, `invalid_label`, `invalid_limit`, `invalid_cursor`"),
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
    let terms = terms(
        query.work_type,
        query.agent_id,
        query.label,
        query.submitted_by,
        query.text,
    )?;
    let status = match query.status.map(queue_status) {
        None => None,
        Some(Some(status)) => Some(status),
        // What has ended is not in the queue.
        Some(None) => return Ok(page.answer(Vec::<QueuedOrder>::new(), QueuedOrder::id)),
    };
    let filter = ListFilter {
        status,
        terms,
        until: None,
    };
    let found = app
        .find_work_orders(filter, page.after, page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(page.answer_until(found.rows, found.looked_until, QueuedOrder::id))
}

/// By what orders are chosen, as lists and acts on many say it.
pub(super) fn terms(
    kind: Option<String>,
    agent: Option<Uuid>,
    label: Option<String>,
    submitted_by: Option<String>,
    text: Option<String>,
) -> Result<Terms, Problem> {
    let no_label = |error| Problem::invalid_name(Code::InvalidLabel, &error);
    Ok(Terms {
        work_type: kind.map(work_type).transpose()?,
        agent: agent.map(AgentId::new),
        label: label.map(Label::parse).transpose().map_err(no_label)?,
        submitted_by: sought("submitted_by", submitted_by)?,
        text: sought("text", text)?,
    })
}

/// A type that is asked for.
pub(super) fn work_type(text: String) -> Result<WorkType, Problem> {
    WorkType::parse(text).map_err(|error| Problem::invalid_name(Code::InvalidQuery, &error))
}

fn sought(field: &'static str, text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if (1..=SOUGHT_CHARACTERS_MAX).contains(&text.chars().count()) && !text.contains('\0') {
        return Ok(Some(text));
    }
    let rule = format!("{field} must have 1 to {SOUGHT_CHARACTERS_MAX} characters and no NUL.");
    Err(Problem::new(Code::InvalidQuery, rule).with_details(json!({"field": field})))
}

pub(super) const fn queue_status(status: WorkOrderStatus) -> Option<QueueStatus> {
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
