//! Labels of agents on the wire.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use brokkr_api::{AddLabel, ListAgents, Problem as ProblemBody};
use brokkr_core::ids::AgentId;
use brokkr_core::names::Label;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::extract::{Admin, AgentReader, Json, LabelInPath, LenientJson, Path, Query};
use super::paging::{CursorKey, Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::agent_labels::{AgentLabel, MarkError};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
}

impl From<AgentLabel> for brokkr_api::AgentLabel {
    fn from(label: AgentLabel) -> Self {
        Self {
            id: label.id.as_uuid(),
            agent_id: label.agent_id.as_uuid(),
            label: label.label.into_string(),
        }
    }
}

/// The answer to a mark that could not be given or taken; `absent` is the code for one that is not there.
pub(super) fn mark_problem(error: MarkError, absent: Code) -> Problem {
    let code = match &error {
        MarkError::AgentAbsent => Code::ForeignKeyViolation,
        MarkError::Present => Code::UniqueViolation,
        MarkError::Absent => absent,
        MarkError::TooMany(_) => Code::TooManyLabels,
        MarkError::Storage(error) => return Problem::storage(error),
    };
    Problem::new(code, sentence(&error))
}

/// The body of a mark names its agent again, and must mean the same one as the path.
pub(super) fn same_agent(path: AgentId, body: Uuid) -> Result<(), Problem> {
    if path.as_uuid() == body {
        return Ok(());
    }
    Err(Problem::new(
        Code::AgentIdMismatch,
        "agent_id in the body is not the agent of the path.",
    ))
}

impl CursorKey for Label {
    fn to_cursor(&self) -> String {
        super::paging::hex(self.as_str())
    }

    fn from_cursor(text: &str) -> Option<Self> {
        Self::parse(super::paging::unhex(text)?).ok()
    }
}

/// Lists an agent's labels, in their own order.
#[utoipa::path(get, path = brokkr_api::paths::AGENT_LABELS, tag = "agents", operation_id = "list_agent_labels",
    params(("id" = Uuid, Path), ListAgents),
    responses(
        (status = 200, body = Vec<brokkr_api::AgentLabel>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
    ))]
async fn list(
    AgentReader { agent, .. }: AgentReader,
    State(app): State<App>,
    Query(query): Query<ListAgents>,
    uri: Uri,
) -> Result<Page<brokkr_api::AgentLabel>, Problem> {
    let page: PageRequest<Label> = PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let labels = app
        .list_agent_labels(agent, page.after.as_ref(), page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(page.answer(labels, |label| label.label.clone()))
}

/// Gives an agent a label.
#[utoipa::path(post, path = brokkr_api::paths::AGENT_LABELS, tag = "agents", operation_id = "add_agent_label",
    params(("id" = Uuid, Path)), request_body = AddLabel,
    responses(
        (status = 201, body = brokkr_api::AgentLabel),
        (status = 400, body = ProblemBody, description = "`agent_id_mismatch`, `invalid_label`, `too_many_labels`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: the agent has the label"),
        (status = 422, body = ProblemBody, description = "`foreign_key_violation`: there is no such agent"),
    ))]
async fn add(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(agent): Path<AgentId>,
    LenientJson(body): LenientJson<AddLabel>,
) -> Result<(StatusCode, Json<brokkr_api::AgentLabel>), Problem> {
    same_agent(agent, body.agent_id)?;
    let label =
        Label::parse(body.label).map_err(|error| Problem::invalid_name(Code::InvalidLabel, &error))?;
    let label = app
        .add_agent_label(&caller, agent, label)
        .await
        .map_err(|error| mark_problem(error, Code::AgentLabelNotFound))?;
    Ok((StatusCode::CREATED, Json(label.into())))
}

/// Takes a label from an agent.
#[utoipa::path(delete, path = brokkr_api::paths::AGENT_LABEL, tag = "agents", operation_id = "remove_agent_label",
    params(("id" = Uuid, Path), ("label" = String, Path, min_length = 1, max_length = 64, pattern = r"^[^\s\x00-\x1F\x7F-\x9F]+$")),
    responses(
        (status = 204),
        (status = 400, body = ProblemBody, description = "`invalid_label`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`agent_label_not_found`"),
    ))]
async fn remove(
    Admin(caller): Admin,
    State(app): State<App>,
    Path((agent, LabelInPath(label))): Path<(AgentId, LabelInPath)>,
) -> Result<StatusCode, Problem> {
    let label = Label::parse(label).map_err(|error| Problem::invalid_name(Code::InvalidLabel, &error))?;
    app.remove_agent_label(&caller, agent, &label)
        .await
        .map_err(|error| mark_problem(error, Code::AgentLabelNotFound))?;
    Ok(StatusCode::NO_CONTENT)
}
