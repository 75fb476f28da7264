//! How agents take work orders, on the wire.

use axum::extract::State;
use axum::http::Uri;
use brokkr_api::{
    ClaimById, ClaimRequest as WireRequest, ClaimedWorkOrder, ListPending, Problem as ProblemBody, WorkOrder,
};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::{ClaimMax, LeaseSeconds, OutOfBounds, WaitSeconds};
use brokkr_core::names::WorkType;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{AdminOrAgent, AgentReader, Json, LenientJson, OwnAgent, Path, Query};
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use super::work_orders::work_type;
use crate::app::App;
use crate::app::caller::Role;
use crate::app::claims::{ClaimError, ClaimRequest, HeldOrder, InstanceId};
use crate::app::work_orders::QueuedOrder;

/// The most types that one claim may name.
const WORK_TYPES_MAX: usize = 100;

/// How many orders a pending list has unless a limit is given. Whoever lists takes the oldest ones first, and others take them too: more
/// would be out of date before it is read.
const PENDING_PAGE: i64 = 100;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(pending))
        .routes(routes!(claim_by_id))
        .routes(routes!(claim, held))
}

impl From<ClaimError> for Problem {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::NotClaimable => Self::new(Code::WorkOrderNotClaimable, sentence(&error)),
            ClaimError::Superseded => Self::new(Code::SupersededInstance, sentence(&error)),
            ClaimError::NoAgent => Self::new(Code::AgentNotFound, sentence(&error)),
            ClaimError::Storage(error) => Self::storage(&error),
        }
    }
}

impl From<HeldOrder> for ClaimedWorkOrder {
    fn from(held: HeldOrder) -> Self {
        let lost_attempts = held
            .lost_attempts
            .iter()
            .map(|attempt| attempt.number())
            .collect();
        Self {
            instance_id: held
                .order
                .head
                .claim
                .as_ref()
                .and_then(|claim| claim.instance_id.clone()),
            traceparent: held.order.head.traceparent.clone(),
            work_order: held.order.into(),
            lost_attempts,
        }
    }
}

/// Lists what an agent could claim now, oldest first.
#[utoipa::path(get, path = brokkr_api::paths::AGENT_PENDING, tag = "claims", operation_id = "list_pending_work_orders",
    params(("id" = uuid::Uuid, Path), ListPending),
    responses(
        (status = 200, body = Vec<WorkOrder>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
    ))]
async fn pending(
    AgentReader { caller, agent }: AgentReader,
    State(app): State<App>,
    Query(query): Query<ListPending>,
    uri: Uri,
) -> Result<Page<WorkOrder>, Problem> {
    let rows = PENDING_PAGE.min(app.limits.page_rows_max.max(1).into());
    let limit = query.limit.unwrap_or(rows);
    let page: PageRequest<WorkOrderId> =
        PageRequest::new(Some(limit), query.cursor.as_deref(), uri, &app.limits)?;
    let work_type = query.work_type.map(work_type).transpose()?;
    let orders = match (caller.role, page.after, query.limit) {
        (Role::Agent(_), None, None) => {
            app.offered_work_orders(agent, work_type.as_ref(), page.fetch())
                .await
        }
        (_, after, _) => {
            app.pending_work_orders(agent, work_type.as_ref(), after, page.fetch())
                .await
        }
    };
    let orders = orders.map_err(|error| Problem::storage(&error))?;
    Ok(page.answer(orders, QueuedOrder::id))
}

/// Claims one known work order, for as long as its `claim_timeout_seconds`.
#[utoipa::path(post, path = brokkr_api::paths::WORK_ORDER_CLAIM, tag = "claims", operation_id = "claim_work_order",
    params(("id" = uuid::Uuid, Path)), request_body = ClaimById,
    responses(
        (status = 200, body = WorkOrder),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`, `admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_claimable`: it does not exist, is not waiting or is not for this agent, or the agent is not active"),
    ))]
async fn claim_by_id(
    caller: AdminOrAgent,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
    LenientJson(body): LenientJson<ClaimById>,
) -> Result<Json<WorkOrder>, Problem> {
    let agent = AgentId::new(body.agent_id);
    caller.acting_as(agent)?;
    Ok(Json(app.claim_work_order(agent, id).await?.into()))
}

/// Claims the next work orders for an agent, and waits for some when there are none.
#[utoipa::path(post, path = brokkr_api::paths::AGENT_CLAIMS, tag = "claims", operation_id = "claim_work_orders",
    params(("id" = uuid::Uuid, Path)), request_body = WireRequest,
    responses(
        (status = 200, body = Vec<ClaimedWorkOrder>, description = "None when none came in time"),
        (status = 400, body = ProblemBody, description = "`invalid_claim`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
        (status = 404, body = ProblemBody, description = "`agent_not_found`"),
        (status = 409, body = ProblemBody, description = "`superseded_instance`"),
    ))]
async fn claim(
    who: OwnAgent,
    State(app): State<App>,
    Json(body): Json<WireRequest>,
) -> Result<Json<Vec<ClaimedWorkOrder>>, Problem> {
    let request = request(body)?;
    let claimed = app.claim_work_orders(who.agent, &request).await?;
    Ok(Json(claimed.into_iter().map(ClaimedWorkOrder::from).collect()))
}

fn request(body: WireRequest) -> Result<ClaimRequest, Problem> {
    let bounds = |error: OutOfBounds| Problem::out_of_bounds(Code::InvalidClaim, &error);
    let types = body.work_types.unwrap_or_default();
    if types.len() > WORK_TYPES_MAX {
        return Err(Problem::new(
            Code::InvalidClaim,
            format!("work_types must have at most {WORK_TYPES_MAX} entries."),
        ));
    }
    let types: Result<_, _> = types.into_iter().map(WorkType::parse).collect();
    Ok(ClaimRequest {
        max: body
            .max
            .map_or(Ok(ClaimMax::default()), ClaimMax::new)
            .map_err(bounds)?,
        work_types: types.map_err(|error| Problem::invalid_name(Code::InvalidClaim, &error))?,
        lease_seconds: lease_seconds(body.lease_seconds, Code::InvalidClaim)?,
        wait_seconds: body
            .wait_seconds
            .map_or(Ok(WaitSeconds::default()), WaitSeconds::new)
            .map_err(bounds)?,
        instance_id: instance_id(body.instance_id, Code::InvalidClaim)?,
    })
}

/// How long a claim is to hold.
pub(super) fn lease_seconds(value: Option<i64>, code: Code) -> Result<LeaseSeconds, Problem> {
    value
        .map_or(Ok(LeaseSeconds::default()), LeaseSeconds::new)
        .map_err(|error| Problem::out_of_bounds(code, &error))
}

/// Which process of the agent speaks.
pub(super) fn instance_id(text: String, code: Code) -> Result<InstanceId, Problem> {
    InstanceId::parse(text).map_err(|error| Problem::new(code, sentence(&error)))
}

/// Lists what an agent holds now, oldest first, so that it can go on with it after a restart.
#[utoipa::path(get, path = brokkr_api::paths::AGENT_CLAIMS, tag = "claims", operation_id = "list_claims",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Vec<ClaimedWorkOrder>),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
    ))]
async fn held(
    AgentReader { agent, .. }: AgentReader,
    State(app): State<App>,
) -> Result<Json<Vec<ClaimedWorkOrder>>, Problem> {
    let held = app
        .held_work_orders(agent)
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(Json(held.into_iter().map(ClaimedWorkOrder::from).collect()))
}
