//! The work-order log on the wire.

use axum::extract::State;
use axum::http::Uri;
use brokkr_api::{ListLog, Problem as ProblemBody, WorkOrderLog};
use brokkr_core::ids::WorkOrderId;
use brokkr_core::time::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Json, Path, Query, Reader};
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::retries::ending;
use super::state::AppState;
use super::work_orders::terms;
use crate::app::App;
use crate::app::log::{LogEntry, LogError, LogFilter, LogPosition};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Absent => Self::new(Code::WorkOrderLogEntryNotFound, sentence(&error)),
            LogError::Storage(error) => Self::storage(&error),
        }
    }
}

/// Lists work orders that have ended, the latest ending first. A page may have fewer than `limit`, or none, and still a next one: no
/// request looks at more than 10,000.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDER_LOG, tag = "work-order log", operation_id = "list_log", params(ListLog),
    responses(
        (status = 200, body = Vec<WorkOrderLog>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_query`, `invalid_label`, `invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
    ))]
async fn list(
    _: Reader,
    State(app): State<App>,
    Query(query): Query<ListLog>,
    uri: Uri,
) -> Result<Page<WorkOrderLog>, Problem> {
    let page: PageRequest<(Timestamp, WorkOrderId)> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let filter = LogFilter {
        success: query.success,
        ending: query.ending.map(ending),
        lost_attempt: query.lost_attempt,
        terms: terms(
            query.work_type,
            query.agent_id,
            query.label,
            query.submitted_by,
            query.text,
        )?,
        ..LogFilter::default()
    };
    let after = page
        .after
        .map(|(completed_at, id)| LogPosition { completed_at, id });
    let found = app
        .find_in_log(filter, after, page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    let looked_until = found.looked_until.map(|until| (until.completed_at, until.id));
    Ok(page.answer_until(found.rows, looked_until, |entry: &LogEntry| {
        (entry.completed_at, entry.id)
    }))
}

/// Shows how a work order ended.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDER_LOG_ENTRY, tag = "work-order log", operation_id = "get_log_entry",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = WorkOrderLog),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`work_order_log_entry_not_found`"),
    ))]
async fn get(
    _: Reader,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
) -> Result<Json<WorkOrderLog>, Problem> {
    Ok(Json(app.log_entry(id).await?.into()))
}
