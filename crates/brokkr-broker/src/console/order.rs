//! One order: why it is where it is, what was tried, what it prints, and what can be done about it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_api::{Explanation, WorkOrder, WorkOrderStatus};
use brokkr_core::ids::WorkOrderId;
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::orders::whom;
use super::output::{Asked, OutputShown};
use super::page::{Shell, Trouble, page};
use super::session::{ConsoleAdmin, ConsoleReader};
use super::targeting::Targets;
use super::when::When;
use crate::app::App;
use crate::app::explain::ExplainError;
use crate::app::work_orders::{self, CancelError, ReadError, RetryError};

const REASON_CHARACTERS_MAX: usize = 1_024;

struct ReasonShown {
    sentence: String,
    remedy: String,
    since: Option<When>,
    agents: Vec<(String, String, String)>,
}

struct AttemptShown {
    number: i64,
    agent: String,
    began: When,
    ended: Option<When>,
    ending: String,
    cause: String,
    exit_code: Option<i64>,
    evidence: Option<String>,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    shell: Shell,
    id: String,
    state: &'static str,
    has_ended: bool,
    since: When,
    created: When,
    work_type: String,
    priority: i64,
    whom: String,
    /// Whom it is for, as long as that can be changed.
    targets: Option<Targets>,
    submitted_by: String,
    cancel_requested: bool,
    retry_of: Option<String>,
    retried_as: Vec<String>,
    metadata: Vec<(String, String)>,
    reasons: Vec<ReasonShown>,
    attempts: Vec<AttemptShown>,
    output: OutputShown,
    yaml: String,
}

pub(super) fn absent() -> Trouble {
    Trouble::absent(
        "There is no such work order. It may have been deleted, or forgotten after its retention.",
    )
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Trouble {
        match error {
            ReadError::Absent => absent(),
            ReadError::Storage(error) => error.into(),
        }
    }
}

impl From<ExplainError> for Trouble {
    fn from(error: ExplainError) -> Trouble {
        match error {
            ExplainError::Absent => absent(),
            ExplainError::Storage(error) => error.into(),
            unexplained @ ExplainError::Unexplained { .. } => Trouble::defect(&unexplained),
        }
    }
}

pub(super) fn order_id(text: &str) -> Result<WorkOrderId, Trouble> {
    text.parse().map_err(|_| absent())
}

pub(super) async fn show(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let id = order_id(&id)?;
    let explanation = app.explain(id).await?;
    let has_ended = matches!(explanation.order, work_orders::WorkOrder::Ended(_));
    let output = OutputShown::of(&app, id, asked.attempt()?).await?;
    let now = explanation.as_of;
    let order = WorkOrder::from(explanation.order.clone());
    let waits = !has_ended && order.status != WorkOrderStatus::Claimed;
    let told = Explanation::from(explanation);
    let attempts = told
        .attempts
        .into_iter()
        .map(|attempt| attempt_shown(attempt, now));
    page(&OrderPage {
        shell: Shell::new(&session, "orders"),
        id: order.id.to_string(),
        state: order.status.as_str(),
        has_ended,
        since: When::new(told.since, now),
        created: When::new(order.created_at, now),
        work_type: order.work_type,
        priority: order.priority,
        whom: whom(&order.targeting),
        targets: waits.then(|| Targets::new(&order.targeting)),
        submitted_by: order.submitted_by,
        cancel_requested: order.cancel_requested_at.is_some() && !has_ended,
        retry_of: told.retry_of.map(|id| id.to_string()),
        retried_as: told.retried_as.iter().map(ToString::to_string).collect(),
        metadata: order.metadata.into_iter().collect(),
        reasons: told
            .reasons
            .into_iter()
            .map(|reason| reason_shown(reason, now))
            .collect(),
        attempts: attempts.collect(),
        output,
        yaml: order.yaml_content,
    })
}

fn reason_shown(reason: brokkr_api::ExplanationReason, now: Timestamp) -> ReasonShown {
    ReasonShown {
        sentence: reason.sentence,
        remedy: reason.remedy,
        since: When::maybe(reason.since, now),
        agents: reason
            .agents
            .into_iter()
            .map(|agent| (agent.id.to_string(), agent.name, agent.detail))
            .collect(),
    }
}

fn attempt_shown(attempt: brokkr_api::Attempt, now: Timestamp) -> AttemptShown {
    AttemptShown {
        number: attempt.attempt,
        agent: attempt.agent_id.to_string(),
        began: When::new(attempt.claimed_at, now),
        ended: When::maybe(attempt.ended_at, now),
        ending: attempt
            .ending
            .and_then(|ending| serde_json::to_value(ending).ok()?.as_str().map(str::to_owned))
            .unwrap_or_else(|| "runs".to_owned()),
        cause: attempt.message.unwrap_or_default(),
        exit_code: attempt.exit_code,
        evidence: attempt
            .result
            .and_then(|result| serde_json::to_string_pretty(&result).ok()),
    }
}

#[derive(Deserialize)]
pub(super) struct CancelForm {
    #[serde(default)]
    reason: String,
}

pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    ConsoleAdmin { session, form }: ConsoleAdmin<CancelForm>,
) -> Result<Response, Trouble> {
    let id = order_id(&id)?;
    let reason = form.reason.trim();
    if reason.chars().count() > REASON_CHARACTERS_MAX || reason.contains('\0') {
        return Err(Trouble::bad("A reason has at most 1,024 characters."));
    }
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    match app.cancel_work_order(&session.caller, id, reason).await {
        // That it has ended meanwhile is what its page shows.
        Ok(_) | Err(CancelError::Ended) => Ok(Redirect::to(&format!("/orders/{id}")).into_response()),
        Err(CancelError::Absent) => Err(absent()),
        Err(CancelError::Storage(error)) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

pub(super) async fn retry(
    State(app): State<App>,
    Path(id): Path<String>,
    ConsoleAdmin {
        session,
        form: Nothing {},
    }: ConsoleAdmin<Nothing>,
) -> Result<Response, Trouble> {
    match app.retry_work_order(&session.caller, order_id(&id)?).await {
        Ok(order) => Ok(Redirect::to(&format!("/orders/{}", order.id())).into_response()),
        Err(RetryError::Absent) => Err(absent()),
        Err(error @ (RetryError::NotEnded | RetryError::UnknownAgent(_))) => {
            Err(Trouble::bad(&format!("It was not repeated: {error}.")))
        }
        Err(RetryError::Storage(error)) => Err(error.into()),
    }
}
