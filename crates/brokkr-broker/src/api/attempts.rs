//! The attempts of a work order, on the wire.

use axum::extract::State;
use axum::http::Uri;
use brokkr_api::{
    Attempt as WireAttempt, AttemptEnding as WireEnding, ListAgents as ListAttempts, Problem as ProblemBody,
};
use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::AttemptEnding;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, Query, Reader};
use super::on_wire::OnWire;
use super::paging::{CursorKey, Page, PageRequest};
use super::problem::Problem;
use super::state::AppState;
use super::work_orders::json;
use crate::app::App;
use crate::app::attempts::{AttemptAt, EndedAttempt};
use crate::app::work_orders::Claim;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

impl CursorKey for Attempt {
    fn to_cursor(&self) -> String {
        self.number().to_string()
    }

    fn from_cursor(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::new)
    }
}

impl OnWire for AttemptEnding {
    type Form = WireEnding;

    fn on_wire(self) -> WireEnding {
        match self {
            Self::Succeeded => WireEnding::Succeeded,
            Self::Failed => WireEnding::Failed,
            Self::Cancelled => WireEnding::Cancelled,
            Self::Lost => WireEnding::Lost,
            Self::Released => WireEnding::Released,
        }
    }
}

impl From<AttemptAt> for WireAttempt {
    fn from(attempt: AttemptAt) -> Self {
        match attempt {
            AttemptAt::Ended(ended) => ended.into(),
            AttemptAt::Current(number, claim) => current(number, &claim),
        }
    }
}

impl From<EndedAttempt> for WireAttempt {
    fn from(ended: EndedAttempt) -> Self {
        Self {
            attempt: ended.attempt.number(),
            agent_id: ended.agent.as_uuid(),
            claimed_at: ended.started_at.on_wire(),
            lease_expires_at: None,
            ended_at: Some(ended.ended_at.on_wire()),
            ending: Some(ended.ending.on_wire()),
            class: ended.report.class.on_wire(),
            message: ended.report.message,
            exit_code: ended.report.exit_code,
            result: ended.report.result.as_deref().map(json),
        }
    }
}

fn current(number: Attempt, claim: &Claim) -> WireAttempt {
    WireAttempt {
        attempt: number.number(),
        agent_id: claim.agent.as_uuid(),
        claimed_at: claim.claimed_at.on_wire(),
        lease_expires_at: Some(claim.lease_expires_at.on_wire()),
        ended_at: None,
        ending: None,
        class: None,
        message: None,
        exit_code: None,
        result: None,
    }
}

/// Lists the attempts of a work order: every one that has ended, and the current one last.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDER_ATTEMPTS, tag = "work orders", operation_id = "list_attempts",
    params(("id" = uuid::Uuid, Path), ListAttempts),
    responses(
        (status = 200, body = Vec<WireAttempt>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
    ))]
async fn list(
    _: Reader,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
    Query(query): Query<ListAttempts>,
    uri: Uri,
) -> Result<Page<WireAttempt>, Problem> {
    let page: PageRequest<Attempt> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let attempts = app
        .list_attempts(id, page.after.unwrap_or(Attempt::NONE), page.fetch())
        .await?;
    Ok(page.answer(attempts, AttemptAt::number))
}
