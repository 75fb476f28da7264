//! Why work orders are where they are, on the wire.

use axum::extract::State;
use brokkr_api::{
    CreateWorkOrder, Explanation as WireExplanation, ExplanationReason, Preview as WirePreview,
    Problem as ProblemBody, ReasonAgent, WorkOrder as WireOrder,
};
use brokkr_core::explain::{AgentCause, Reason};
use brokkr_core::ids::WorkOrderId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Json, LenientJson, Path, Reader};
use super::on_wire::OnWire;
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use super::work_orders::submission;
use crate::app::App;
use crate::app::explain::{ExplainError, Explanation, Preview};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(explain))
        .routes(routes!(preview))
}

impl From<ExplainError> for Problem {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Absent => Self::new(Code::WorkOrderNotFound, sentence(&error)),
            ExplainError::Unexplained { .. } => Self::unexplained(&error),
            ExplainError::Storage(error) => Self::storage(&error),
        }
    }
}

impl OnWire for AgentCause {
    type Form = ReasonAgent;

    fn on_wire(self) -> ReasonAgent {
        ReasonAgent {
            id: self.id.as_uuid(),
            name: self.name,
            detail: self.detail,
            since: self.since.on_wire(),
        }
    }
}

impl OnWire for Reason {
    type Form = ExplanationReason;

    fn on_wire(self) -> ExplanationReason {
        ExplanationReason {
            code: self.code.as_str().to_owned(),
            since: self.since.on_wire(),
            until: self.until.on_wire(),
            sentence: self.sentence,
            remedy: self.remedy,
            agents: self.agents.into_iter().map(OnWire::on_wire).collect(),
            agents_total: number(self.agents_total),
        }
    }
}

impl From<Explanation> for WireExplanation {
    fn from(explanation: Explanation) -> Self {
        let order = WireOrder::from(explanation.order);
        Self {
            work_order_id: order.id,
            status: order.status,
            since: order.updated_at,
            as_of: explanation.as_of.on_wire(),
            reasons: explanation.reasons.into_iter().map(OnWire::on_wire).collect(),
            attempts: explanation.attempts.into_iter().map(Into::into).collect(),
            retry_of: order.retry_of,
            retried_as: explanation
                .retried_as
                .into_iter()
                .map(WorkOrderId::as_uuid)
                .collect(),
        }
    }
}

impl From<Preview> for WirePreview {
    fn from(preview: Preview) -> Self {
        Self {
            as_of: preview.as_of.on_wire(),
            matching: number(preview.matching),
            able: number(preview.able()),
            reasons: preview.reasons.into_iter().map(OnWire::on_wire).collect(),
        }
    }
}

fn number(agents: u64) -> i64 {
    i64::try_from(agents).unwrap_or(i64::MAX)
}

/// Tells why a work order is where it is, and what would change that: which agents it waits for and what is the matter with
/// each, who runs it, or how it ended and why nothing more was tried.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDER_EXPLAIN, tag = "work orders", operation_id = "explain_work_order",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = WireExplanation),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
        (status = 500, body = ProblemBody, description = "`unexplained`: no reason was found, which is a defect of the broker"),
    ))]
async fn explain(
    _: Reader,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
) -> Result<Json<WireExplanation>, Problem> {
    Ok(Json(app.explain(id).await?.into()))
}

/// Checks a work order as if it were submitted, submits nothing, and tells which agents could claim it now and why others could
/// not.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDERS_PREVIEW, tag = "work orders", operation_id = "preview_work_order",
    request_body = CreateWorkOrder,
    responses(
        (status = 200, body = WirePreview),
        (status = 400, body = ProblemBody, description = "`no_targeting_specified`, `invalid_work_order`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: an agent or a label is named twice"),
        (status = 422, body = ProblemBody, description = "`foreign_key_violation`: an agent does not exist"),
    ))]
async fn preview(
    _: Reader,
    State(app): State<App>,
    LenientJson(body): LenientJson<CreateWorkOrder>,
) -> Result<Json<WirePreview>, Problem> {
    let submission = submission(body, &app.limits)?;
    let submission = app.check_work_order(submission).await?;
    let preview = app
        .preview(&submission.targeting, &submission.work_type)
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(Json(preview.into()))
}
