//! Cancelling many work orders, on the wire.

use axum::extract::State;
use brokkr_api::{CancellationsAnswer, CancellationsRequest, Problem as ProblemBody, Time};
use brokkr_core::ids::WorkOrderId;
use brokkr_core::limits::PageLimit;
use brokkr_core::time::Timestamp;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Admin, Json};
use super::on_wire::OnWire as _;
use super::problem::{Code, Problem};
use super::state::AppState;
use super::work_orders::{queue_status, reason, terms};
use crate::app::App;
use crate::app::cancellations::{CancelFilter, Cancellations};
use crate::app::work_orders::Choice;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(cancel_many))
}

fn invalid(field: &'static str, rule: &str) -> Problem {
    Problem::new(Code::InvalidQuery, rule).with_details(json!({"field": field}))
}

/// Nobody cancels everything by leaving something out.
fn says_which(request: &CancellationsRequest) -> bool {
    request.status.is_some()
        || request.work_type.is_some()
        || request.agent_id.is_some()
        || request.label.is_some()
        || request.submitted_by.is_some()
        || request.text.is_some()
        || request.created_from.is_some()
        || request.created_before.is_some()
}

fn choice(
    request: &CancellationsRequest,
    created_before: Timestamp,
) -> Result<Choice<CancelFilter>, Problem> {
    match &request.ids {
        Some(_) if says_which(request) => Err(invalid(
            "ids",
            "ids name the work orders: leave out by what else they would be chosen.",
        )),
        Some(ids) if ids.is_empty() || ids.len() > PageLimit::MAX as usize => Err(invalid(
            "ids",
            &format!("ids must name 1 to {} work orders.", PageLimit::MAX),
        )),
        Some(ids) => Ok(Choice::These(ids.iter().copied().map(WorkOrderId::new).collect())),
        None if !says_which(request) => Err(invalid(
            "ids",
            "Say which work orders: name them by ids, or by what they are chosen. created_before alone means all of them.",
        )),
        None => filter(request, created_before).map(Choice::All),
    }
}

fn filter(request: &CancellationsRequest, created_before: Timestamp) -> Result<CancelFilter, Problem> {
    let status = match request.status.map(queue_status) {
        Some(None) => return Err(invalid("status", "What has ended cannot be cancelled.")),
        status => status.flatten(),
    };
    Ok(CancelFilter {
        status,
        terms: terms(
            request.work_type.clone(),
            request.agent_id,
            request.label.clone(),
            request.submitted_by.clone(),
            request.text.clone(),
        )?,
        created_from: micros(request.created_from).unwrap_or(Timestamp::from_micros(0)),
        created_before,
    })
}

fn micros(time: Option<Time>) -> Option<Timestamp> {
    time.map(|time| Timestamp::from_micros(time.as_micros()))
}

/// Cancels many work orders, or counts them (`dry_run`): each at once while it waits, else through the agent that holds it. What has
/// ended, or is being stopped already, is left alone, so the same request may be sent again.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDERS_CANCELLATIONS, tag = "work orders", operation_id = "cancel_work_orders",
    request_body = CancellationsRequest,
    responses(
        (status = 200, body = CancellationsAnswer),
        (status = 400, body = ProblemBody, description = "`invalid_query`, `invalid_label`, `invalid_limit`, `invalid_reason`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
    ))]
async fn cancel_many(
    Admin(caller): Admin,
    State(app): State<App>,
    Json(body): Json<CancellationsRequest>,
) -> Result<Json<CancellationsAnswer>, Problem> {
    let created_before = app.created_before(micros(body.created_before));
    let choice = choice(&body, created_before)?;
    let limit = body
        .limit
        .map_or_else(|| Ok(PageLimit::default()), PageLimit::new)
        .map_err(|error| Problem::out_of_bounds(Code::InvalidLimit, &error))?;
    let reason = reason(body.reason)?;
    let cancellations = if body.dry_run {
        app.count_cancellations(&choice)
            .await
            .map(|matching| Cancellations {
                matching,
                ..Cancellations::default()
            })
    } else {
        app.cancel_work_orders(&caller, &choice, reason, limit.get())
            .await
    };
    let done = cancellations.map_err(|error| Problem::storage(&error))?;
    let uuids = |ids: Vec<WorkOrderId>| ids.into_iter().map(WorkOrderId::as_uuid).collect();
    Ok(Json(CancellationsAnswer {
        matching: i64::try_from(done.matching).unwrap_or(i64::MAX),
        created_before: created_before.on_wire(),
        ended: uuids(done.ended),
        requested: uuids(done.requested),
    }))
}
