//! Whom a work order is for, on the wire.

use axum::extract::State;
use brokkr_api::{Problem as ProblemBody, SetTargeting, Targeting};
use brokkr_core::ids::WorkOrderId;

use super::submission::{targeting, unknown_agent};
use crate::api::extract::{Admin, Json, Path, Reader};
use crate::api::on_wire::OnWire as _;
use crate::api::problem::{Code, Problem, sentence};
use crate::app::App;
use crate::app::work_orders::TargetingChangeError;

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
pub(super) async fn get_targeting(
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
pub(super) async fn set_targeting(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
    Json(body): Json<SetTargeting>,
) -> Result<Json<Targeting>, Problem> {
    let targeting = targeting(body.into(), None, &app.limits)?;
    app.set_targeting(&caller, id, &targeting).await?;
    Ok(Json(targeting.on_wire()))
}
