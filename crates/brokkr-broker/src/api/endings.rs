//! How attempts end, on the wire.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use brokkr_api::{
    Complete, EndingItem, EndingResult, EndingsAnswer, EndingsRequest, Problem as ProblemBody, Release,
    RetryScheduled, WorkOrder, WorkOrderLog,
};
use brokkr_core::ids::{AgentId, WorkOrderId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{AdminOrAgent, Json, LenientJson, OwnAgent, Path};
use super::problem::{Code, Problem, sentence};
use super::renewals::attempt;
use super::state::AppState;
use super::work_orders::{batch_size, class, reason};
use crate::app::App;
use crate::app::attempts::Report;
use crate::app::endings::{EndError, Ended, EndingReport};

const ENDINGS_MAX: usize = 1_000;
/// The longest message and result of a report, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(complete))
        .routes(routes!(end))
        .routes(routes!(release))
}

impl From<EndError> for Problem {
    fn from(error: EndError) -> Self {
        let code = match &error {
            EndError::Absent => Code::WorkOrderNotFound,
            EndError::NotHolder => Code::WorkOrderNotClaimedByAgent,
            EndError::NotClaimed => Code::WorkOrderNotClaimed,
            EndError::StaleAttempt => Code::StaleAttempt,
            EndError::EndedOtherwise => Code::WorkOrderEnded,
            EndError::Storage(error) => return Self::storage(error),
        };
        Self::new(code, sentence(&error))
    }
}

fn report(id: WorkOrderId, body: Complete) -> Result<EndingReport, Problem> {
    let result = body.result.map(|result| result.to_string());
    for (field, text) in [("message", &body.message), ("result", &result)] {
        let Some(text) = text else { continue };
        if text.len() > TEXT_BYTES_MAX || text.contains('\0') {
            let rule = format!("{field} must have at most {TEXT_BYTES_MAX} bytes and no NUL.");
            return Err(Problem::new(Code::InvalidEnding, rule));
        }
    }
    Ok(EndingReport {
        id,
        attempt: body
            .attempt
            .map(|number| attempt(number, Code::InvalidEnding))
            .transpose()?,
        success: body.success,
        retryable: body.retryable,
        report: Report {
            message: body.message,
            class: body.class.map(class),
            exit_code: body.exit_code,
            result,
        },
    })
}

/// Reports the outcome of a claimed work order. The same report may be sent again.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDER_COMPLETE, tag = "claims", operation_id = "complete_work_order",
    params(("id" = uuid::Uuid, Path)), request_body = Complete,
    responses(
        (status = 200, body = WorkOrderLog, description = "It has ended"),
        (status = 202, body = RetryScheduled, description = "It failed and will be tried again"),
        (status = 400, body = ProblemBody, description = "`invalid_ending`"),
        (status = 403, body = ProblemBody, description = "`work_order_not_claimed_by_agent`, `admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
        (status = 409, body = ProblemBody, description = "`stale_attempt`, `work_order_not_claimed`, `work_order_ended`"),
    ))]
async fn complete(
    AdminOrAgent(caller): AdminOrAgent,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
    LenientJson(body): LenientJson<Complete>,
) -> Result<Response, Problem> {
    let report = report(id, body)?;
    Ok(match app.complete_work_order(&caller, report).await? {
        Ended::Logged(entry) => Json(WorkOrderLog::from(*entry)).into_response(),
        Ended::RetryScheduled => (StatusCode::ACCEPTED, Json(RetryScheduled::default())).into_response(),
    })
}

/// Reports the outcomes of many attempts at once. Each is recorded or refused on its own.
#[utoipa::path(post, path = brokkr_api::paths::AGENT_ENDINGS, tag = "claims", operation_id = "end_work_orders",
    params(("id" = uuid::Uuid, Path)), request_body = EndingsRequest,
    responses(
        (status = 200, body = EndingsAnswer, description = "One item for each ending, with the status of the single call"),
        (status = 400, body = ProblemBody, description = "`invalid_batch`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
    ))]
async fn end(
    who: OwnAgent,
    State(app): State<App>,
    Json(body): Json<EndingsRequest>,
) -> Result<Json<EndingsAnswer>, Problem> {
    batch_size(body.endings.len(), ENDINGS_MAX)?;
    let named: Vec<_> = body.endings.iter().map(|item| (item.id, item.attempt)).collect();
    let reports: Vec<_> = body.endings.into_iter().map(item).collect();
    let good = reports.iter().flatten().cloned().collect();
    let ended = app
        .end_work_orders(&who.caller, good)
        .await
        .map_err(|error| Problem::storage(&error))?;
    let mut ended = ended.into_iter();
    let mut verdict = |report: Result<EndingReport, Problem>| {
        report.and_then(|_| {
            ended
                .next()
                .unwrap_or(Err(EndError::Absent))
                .map_err(Problem::from)
        })
    };
    let items = named
        .into_iter()
        .zip(reports)
        .map(|(named, report)| result(named, verdict(report)))
        .collect();
    Ok(Json(EndingsAnswer { items }))
}

fn item(item: EndingItem) -> Result<EndingReport, Problem> {
    report(WorkOrderId::new(item.id), item.into())
}

fn result((id, attempt): (uuid::Uuid, i64), verdict: Result<Ended, Problem>) -> EndingResult {
    let none = EndingResult {
        id,
        attempt,
        status: 200,
        work_order_log: None,
        retry: None,
        error: None,
    };
    match verdict {
        Ok(Ended::Logged(entry)) => EndingResult {
            work_order_log: Some((*entry).into()),
            ..none
        },
        Ok(Ended::RetryScheduled) => EndingResult {
            status: 202,
            retry: Some(RetryScheduled::default()),
            ..none
        },
        Err(problem) => EndingResult {
            status: problem.code().status().as_u16(),
            error: Some(problem.body()),
            ..none
        },
    }
}

/// Gives a claimed work order back that was not run. This uses up no retry.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDER_RELEASE, tag = "claims", operation_id = "release_work_order",
    params(("id" = uuid::Uuid, Path)), request_body = Release,
    responses(
        (status = 200, body = WorkOrder, description = "As it is now: waiting again, or cancelled if that was asked for"),
        (status = 400, body = ProblemBody, description = "`invalid_ending`, `invalid_reason`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`, `work_order_not_claimed_by_agent`, `admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
        (status = 409, body = ProblemBody, description = "`stale_attempt`"),
    ))]
async fn release(
    caller: AdminOrAgent,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
    Json(body): Json<Release>,
) -> Result<Json<WorkOrder>, Problem> {
    let agent = AgentId::new(body.agent_id);
    let caller = caller.acting_as(agent)?;
    let attempt = attempt(body.attempt, Code::InvalidEnding)?;
    app.release_work_order(&caller, agent, id, attempt, reason(body.reason)?)
        .await?;
    Ok(Json(app.work_order(id).await?.into()))
}
