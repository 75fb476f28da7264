//! Annotations of agents on the wire.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use brokkr_api::{AddAnnotation, ListAgents, Problem as ProblemBody};
use brokkr_core::ids::AgentId;
use brokkr_core::names::{AnnotationKey, AnnotationValue, NameError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::agent_labels::{mark_problem, same_agent};
use super::extract::{Admin, AgentReader, Json, KeyInPath, LenientJson, Path, Query};
use super::paging::{CursorKey, Page, PageRequest};
use super::problem::{Code, Problem};
use super::state::AppState;
use crate::app::App;
use crate::app::agent_annotations::AgentAnnotation;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
}

impl From<AgentAnnotation> for brokkr_api::AgentAnnotation {
    fn from(annotation: AgentAnnotation) -> Self {
        Self {
            id: annotation.id.as_uuid(),
            agent_id: annotation.agent_id.as_uuid(),
            key: annotation.key.into_string(),
            value: annotation.value.into_string(),
        }
    }
}

impl CursorKey for AnnotationKey {
    fn to_cursor(&self) -> String {
        super::paging::hex(self.as_str())
    }

    fn from_cursor(text: &str) -> Option<Self> {
        Self::parse(super::paging::unhex(text)?).ok()
    }
}

fn invalid(error: NameError) -> Problem {
    Problem::invalid_name(Code::InvalidAnnotation, &error)
}

/// Lists an agent's annotations, by key.
#[utoipa::path(get, path = brokkr_api::paths::AGENT_ANNOTATIONS, tag = "agents", operation_id = "list_agent_annotations",
    params(("id" = Uuid, Path), ListAgents),
    responses(
        (status = 200, body = Vec<brokkr_api::AgentAnnotation>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
    ))]
async fn list(
    AgentReader { agent, .. }: AgentReader,
    State(app): State<App>,
    Query(query): Query<ListAgents>,
    uri: Uri,
) -> Result<Page<brokkr_api::AgentAnnotation>, Problem> {
    let page: PageRequest<AnnotationKey> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let annotations = app
        .list_agent_annotations(agent, page.after.as_ref(), page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(page.answer(annotations, |annotation| annotation.key.clone()))
}

/// Gives an agent an annotation. A key has one value.
#[utoipa::path(post, path = brokkr_api::paths::AGENT_ANNOTATIONS, tag = "agents", operation_id = "add_agent_annotation",
    params(("id" = Uuid, Path)), request_body = AddAnnotation,
    responses(
        (status = 201, body = brokkr_api::AgentAnnotation),
        (status = 400, body = ProblemBody, description = "`agent_id_mismatch`, `invalid_annotation`, `too_many_labels`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: the agent has a value for the key"),
        (status = 422, body = ProblemBody, description = "`foreign_key_violation`: there is no such agent"),
    ))]
async fn add(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(agent): Path<AgentId>,
    LenientJson(body): LenientJson<AddAnnotation>,
) -> Result<(StatusCode, Json<brokkr_api::AgentAnnotation>), Problem> {
    same_agent(agent, body.agent_id)?;
    let key = AnnotationKey::parse(body.key).map_err(invalid)?;
    let value = AnnotationValue::parse(body.value).map_err(invalid)?;
    let annotation = app
        .add_agent_annotation(&caller, agent, key, value)
        .await
        .map_err(|error| mark_problem(error, Code::AgentAnnotationNotFound))?;
    Ok((StatusCode::CREATED, Json(annotation.into())))
}

/// Takes an annotation from an agent.
#[utoipa::path(delete, path = brokkr_api::paths::AGENT_ANNOTATION, tag = "agents", operation_id = "remove_agent_annotation",
    params(("id" = Uuid, Path), ("key" = String, Path, min_length = 1, max_length = 64, pattern = r"^[^\s\x00-\x1F\x7F-\x9F]+$")),
    responses(
        (status = 204),
        (status = 400, body = ProblemBody, description = "`invalid_annotation`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`agent_annotation_not_found`"),
    ))]
async fn remove(
    Admin(caller): Admin,
    State(app): State<App>,
    Path((agent, KeyInPath(key))): Path<(AgentId, KeyInPath)>,
) -> Result<StatusCode, Problem> {
    let key = AnnotationKey::parse(key).map_err(invalid)?;
    app.remove_agent_annotation(&caller, agent, &key)
        .await
        .map_err(|error| mark_problem(error, Code::AgentAnnotationNotFound))?;
    Ok(StatusCode::NO_CONTENT)
}
