//! Repeating many work orders that have ended, on the wire.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use brokkr_api::{
    Ending as WireEnding, Problem as ProblemBody, RefusedRetry, RetriedOrder, RetriesAnswer, RetriesRequest,
    Time,
};
use brokkr_core::life::Ending;
use brokkr_core::limits::PageLimit;
use brokkr_core::time::Timestamp;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Admin, Json};
use super::on_wire::OnWire as _;
use super::problem::{Code, Problem};
use super::state::AppState;
use super::work_orders::{Rendered, idempotency, rendered, terms};
use crate::app::App;
use crate::app::retries::{Retries, RetryFilter};
use crate::app::work_orders::Choice;

/// What is repeated unless it is said: not what succeeded, and not what somebody did not want any more.
const ENDINGS: [Ending; 3] = [Ending::Failed, Ending::Lost, Ending::Expired];

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(retry_many))
}

fn filter(app: &App, request: &RetriesRequest) -> Result<RetryFilter, Problem> {
    let endings: Vec<_> = match &request.endings {
        Some(endings) => endings.iter().copied().map(ending).collect(),
        None => ENDINGS.to_vec(),
    };
    if endings.is_empty() {
        let problem = Problem::new(Code::InvalidQuery, "endings must not be empty.");
        return Err(problem.with_details(json!({"field": "endings"})));
    }
    let micros = |time: Option<Time>| time.map(|time| Timestamp::from_micros(time.as_micros()));
    Ok(RetryFilter {
        endings,
        terms: terms(
            request.work_type.clone(),
            request.agent_id,
            request.label.clone(),
            request.submitted_by.clone(),
            request.text.clone(),
        )?,
        ended_from: micros(request.ended_from).unwrap_or(Timestamp::from_micros(0)),
        ended_before: app.ended_before(micros(request.ended_before)),
    })
}

pub(super) const fn ending(ending: WireEnding) -> Ending {
    match ending {
        WireEnding::Succeeded => Ending::Succeeded,
        WireEnding::Failed => Ending::Failed,
        WireEnding::Cancelled => Ending::Cancelled,
        WireEnding::Lost => Ending::Lost,
        WireEnding::Expired => Ending::Expired,
    }
}

/// Submits many work orders again that have ended, each as a new one, or counts them (`dry_run`). One that was repeated already
/// is left alone, so the same request may be sent again.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDER_LOG_RETRIES, tag = "work-order log", operation_id = "retry_work_orders",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$", description = "Makes it safe to send the same request again: 1 to 255 visible ASCII characters, kept for 24 hours")),
    request_body = RetriesRequest,
    responses(
        (status = 200, body = RetriesAnswer, headers(("Idempotency-Replayed" = String, description = "`true` when an earlier request with this key repeated them"))),
        (status = 400, body = ProblemBody, description = "`invalid_query`, `invalid_label`, `invalid_limit`, `invalid_idempotency_key`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`idempotency_key_reused`"),
    ))]
async fn retry_many(
    Admin(caller): Admin,
    State(app): State<App>,
    headers: HeaderMap,
    Json(body): Json<RetriesRequest>,
) -> Result<Rendered, Problem> {
    let idempotency = idempotency(&headers, "retry_many", &body)?;
    let filter = filter(&app, &body)?;
    let limit = body
        .limit
        .map_or_else(|| Ok(PageLimit::default()), PageLimit::new)
        .map_err(|error| Problem::out_of_bounds(Code::InvalidLimit, &error))?;
    let ended_before = filter.ended_before;
    let answered = |retries: &Retries| rendered(StatusCode::OK, &answer(retries, ended_before));
    let choice = Choice::All(filter);
    if body.dry_run {
        let matching = app.count_retries(&choice).await;
        let matching = matching.map_err(|error| Problem::storage(&error))?;
        return Ok(Rendered(answered(&counted(matching))));
    }
    let done = app.retry_work_orders_once(&caller, &choice, limit.get(), idempotency, answered);
    Ok(Rendered(done.await?))
}

const fn counted(matching: u64) -> Retries {
    Retries {
        matching,
        orders: Vec::new(),
        refused: Vec::new(),
    }
}

fn answer(retries: &Retries, ended_before: Timestamp) -> RetriesAnswer {
    let retried = retries.orders.iter().filter_map(|order| {
        Some(RetriedOrder {
            id: order.head.retry_of?.as_uuid(),
            retry_id: order.id().as_uuid(),
        })
    });
    let refused = retries.refused.iter().map(|(id, agent)| RefusedRetry {
        id: id.as_uuid(),
        error: Problem::new(
            Code::ForeignKeyViolation,
            format!("Agent {agent} does not exist any more."),
        )
        .body(),
    });
    RetriesAnswer {
        matching: i64::try_from(retries.matching).unwrap_or(i64::MAX),
        ended_before: ended_before.on_wire(),
        retried: retried.collect(),
        refused: refused.collect(),
    }
}
