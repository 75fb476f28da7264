//! How agents keep what they have claimed, on the wire.

use axum::extract::State;
use brokkr_api::{
    CancelRequested, Lost, Problem as ProblemBody, Renewals as WireRenewals, RenewalsRequest,
    Renewed as WireRenewed,
};
use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::agent_report::agent_report;
use super::claims::{instance_id, lease_seconds};
use super::extract::{Json, OwnAgent};
use super::on_wire::OnWire as _;
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::renewals::{Loss, RenewError, RenewalRequest, Renewals};

const CLAIMS_MAX: usize = 1_000;
const STATE_CHARACTERS_MAX: usize = 64;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(renew))
}

impl From<RenewError> for Problem {
    fn from(error: RenewError) -> Self {
        match error {
            RenewError::Superseded => Self::new(Code::SupersededInstance, sentence(&error)),
            RenewError::NoAgent => Self::new(Code::AgentNotFound, sentence(&error)),
            RenewError::Storage(error) => Self::storage(&error),
        }
    }
}

impl From<Renewals> for WireRenewals {
    fn from(renewals: Renewals) -> Self {
        let cancel = renewals.renewed.iter().filter_map(|renewed| {
            let reason = renewed.cancel.as_ref()?.reason.clone();
            Some(CancelRequested {
                id: renewed.id.as_uuid(),
                attempt: renewed.attempt.number(),
                reason,
            })
        });
        Self {
            cancel: cancel.collect(),
            renewed: renewals
                .renewed
                .iter()
                .map(|renewed| WireRenewed {
                    id: renewed.id.as_uuid(),
                    attempt: renewed.attempt.number(),
                    lease_expires_at: renewed.lease_expires_at.on_wire(),
                })
                .collect(),
            lost: renewals.lost.into_iter().map(lost).collect(),
        }
    }
}

fn lost((id, attempt, loss): (WorkOrderId, Attempt, Loss)) -> Lost {
    let code = match loss {
        Loss::Absent => Code::WorkOrderNotFound,
        Loss::Ended => Code::WorkOrderEnded,
        Loss::Stale => Code::StaleAttempt,
    };
    Lost {
        id: id.as_uuid(),
        attempt: attempt.number(),
        code: code.as_str().to_owned(),
    }
}

/// Renews the leases of everything that an agent holds. It counts as the agent's heartbeat, and tells what the agent does
/// not hold any more and what it is to stop.
#[utoipa::path(post, path = brokkr_api::paths::AGENT_RENEWALS, tag = "claims", operation_id = "renew_claims",
    params(("id" = uuid::Uuid, Path)), request_body = RenewalsRequest,
    responses(
        (status = 200, body = WireRenewals),
        (status = 400, body = ProblemBody, description = "`invalid_renewal`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
        (status = 404, body = ProblemBody, description = "`agent_not_found`"),
        (status = 409, body = ProblemBody, description = "`superseded_instance`"),
    ))]
async fn renew(
    who: OwnAgent,
    State(app): State<App>,
    Json(body): Json<RenewalsRequest>,
) -> Result<Json<WireRenewals>, Problem> {
    let request = request(body)?;
    Ok(Json(app.renew(who.agent, request).await?.into()))
}

fn request(body: RenewalsRequest) -> Result<RenewalRequest, Problem> {
    let invalid = |rule: String| Problem::new(Code::InvalidRenewal, rule);
    if body.claims.len() > CLAIMS_MAX {
        return Err(invalid(format!(
            "claims must have at most {CLAIMS_MAX} entries, not {}.",
            body.claims.len()
        )));
    }
    let claim = |held: brokkr_api::HeldClaim| {
        Ok((
            WorkOrderId::new(held.id),
            attempt(held.attempt, Code::InvalidRenewal)?,
        ))
    };
    Ok(RenewalRequest {
        instance_id: instance_id(body.instance_id, Code::InvalidRenewal)?,
        lease_seconds: lease_seconds(body.lease_seconds, Code::InvalidRenewal)?,
        claims: body
            .claims
            .into_iter()
            .map(claim)
            .collect::<Result<_, Problem>>()?,
        state: body.state.map(state).transpose()?,
        report: body.report.map(agent_report).transpose()?,
    })
}

fn state(text: String) -> Result<String, Problem> {
    if text.chars().count() <= STATE_CHARACTERS_MAX && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let rule = format!("state must have at most {STATE_CHARACTERS_MAX} printable characters.");
    Err(Problem::new(Code::InvalidRenewal, rule))
}

/// The number of an attempt, which begins at 1.
pub(super) fn attempt(number: i64, code: Code) -> Result<Attempt, Problem> {
    let max = Attempt::MAX.number();
    if (1..=max).contains(&number) {
        return Ok(Attempt::new(number));
    }
    let rule = format!("attempt must be between 1 and {max}, not {number}.");
    Err(Problem::new(code, rule))
}
