//! Submitting work orders: one, or many at once.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokkr_api::{
    BatchAnswer, BatchCreate, BatchItem, CreateWorkOrder, KnownFields as _, Problem as ProblemBody, WorkOrder,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::submission::submission;
use crate::api::extract::{Admin, Json, LenientJson};
use crate::api::problem::{Code, Problem};
use crate::app::App;
use crate::app::idempotency::{Answer, Idempotency};
use crate::app::work_orders::{QueuedOrder, Submission};
use crate::config::Limits;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An answer that was rendered when the request was done, which may have been earlier.
pub(in crate::api) struct Rendered(pub(in crate::api) Answer);

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

pub(in crate::api) fn rendered(status: StatusCode, body: &impl Serialize) -> Answer {
    // Views are maps of plain values, which always serialise.
    let body = serde_json::to_string(body).unwrap_or_default();
    Answer {
        status: status.as_u16(),
        body,
        replayed: false,
    }
}

/// What makes a repetition of this request the same request, if its sender wants to be able to repeat it.
pub(in crate::api) fn idempotency(
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
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$", description = "Makes it safe to send the same request again: 1 to 255 visible ASCII characters, kept for 24 hours")),
    request_body = CreateWorkOrder,
    responses(
        (status = 201, body = WorkOrder, headers(("Idempotency-Replayed" = String, description = "`true` when an earlier request with this key created it"))),
        (status = 400, body = ProblemBody, description = "`no_targeting_specified`, `invalid_work_order`, `invalid_idempotency_key`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: an agent or a label is named twice; `idempotency_key_reused`"),
        (status = 422, body = ProblemBody, description = "`foreign_key_violation`: an agent does not exist"),
    ))]
pub(super) async fn create(
    Admin(caller): Admin,
    State(app): State<App>,
    headers: HeaderMap,
    LenientJson(body): LenientJson<CreateWorkOrder>,
) -> Result<Rendered, Problem> {
    let idempotency = idempotency(&headers, "create", &body)?;
    let submission = submission(body, &app.limits)?;
    let answer = |order: &QueuedOrder| {
        tracing::Span::current().record("work_order.id", tracing::field::display(order.id()));
        rendered(StatusCode::CREATED, &WorkOrder::from(order.clone()))
    };
    Ok(Rendered(
        app.create_work_order(&caller, submission, idempotency, answer)
            .await?,
    ))
}

/// The work orders of a batch, each to be understood or refused on its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    work_orders: Vec<Value>,
}

/// Submits many work orders at once. Each is created or refused on its own; those that are created are created together.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDERS_BATCH, tag = "work orders", operation_id = "create_work_orders",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$", description = "Makes it safe to send the same request again: 1 to 255 visible ASCII characters, kept for 24 hours")),
    request_body = BatchCreate,
    responses(
        (status = 207, body = BatchAnswer, description = "One item for each work order, with the status of the single call"),
        (status = 400, body = ProblemBody, description = "`invalid_batch`, `invalid_idempotency_key`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`idempotency_key_reused`"),
    ))]
pub(super) async fn create_batch(
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

pub(in crate::api) fn batch_size(found: usize, max: usize) -> Result<(), Problem> {
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
