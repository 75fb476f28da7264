//! Agents on the wire.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use brokkr_api::{
    AgentByName, AgentCreated, CreateAgent, Heartbeat, ListAgents, Problem as ProblemBody, RotatedAgentPak,
    UpdateAgent,
};
use brokkr_core::ids::{AgentId, GeneratorId};
use brokkr_core::names::{AgentName, ClusterName, NameError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{
    Admin, AdminOrGenerator, AdminOrSelfAgent, AgentReader, AnyCaller, Json, LenientJson, OwnAgent, Query,
};
use super::on_wire::OnWire as _;
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::agents::{Agent, AgentChanges, AgentError};

/// More milliseconds than any request takes, and few enough for every reader of JSON.
const LATENCY_MS_MAX: i64 = i32::MAX as i64;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(find))
        .routes(routes!(get, update, delete))
        .routes(routes!(rotate_pak))
        .routes(routes!(heartbeat))
}

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        let code = match &error {
            AgentError::Absent => Code::AgentNotFound,
            AgentError::NotOwn => Code::AgentPakMismatch,
            AgentError::NameTaken => Code::UniqueViolation,
            AgentError::GeneratorAbsent => Code::InvalidGeneratorId,
            AgentError::Storage(error) => return Self::storage(error),
        };
        Self::new(code, sentence(&error))
    }
}

impl From<Agent> for brokkr_api::Agent {
    fn from(agent: Agent) -> Self {
        Self {
            id: agent.id.as_uuid(),
            created_at: agent.created_at.on_wire(),
            updated_at: agent.updated_at.on_wire(),
            deleted_at: agent.deleted_at.on_wire(),
            name: agent.name.into_string(),
            cluster_name: agent.cluster_name.into_string(),
            last_heartbeat: agent.last_heartbeat.on_wire(),
            status: agent.status.as_str().to_owned(),
            k8s_reachable: agent.k8s_reachable,
            k8s_api_latency_ms: agent.k8s_api_latency_ms,
            k8s_reported_at: agent.k8s_reported_at.on_wire(),
            state: agent.state,
            reported_at: agent.report.as_ref().map(|(_, at)| *at).on_wire(),
            report: agent.report.map(|(report, _)| report.on_wire()),
        }
    }
}

fn invalid_agent(error: NameError) -> Problem {
    Problem::invalid_name(Code::InvalidAgent, &error)
}

fn generator_ids(texts: &[String]) -> Result<Vec<GeneratorId>, Problem> {
    let mut ids: Vec<GeneratorId> = Vec::with_capacity(texts.len());
    for text in texts {
        let invalid = |why: &str| {
            let told: String = text.chars().take(64).collect();
            Problem::new(
                Code::InvalidGeneratorId,
                format!("{told:?} in generator_ids {why}."),
            )
        };
        let id = text.parse().map_err(|_| invalid("is not a UUID"))?;
        if ids.contains(&id) {
            return Err(invalid("is named twice"));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// The name, the cluster and the generators that a request asks for, once they are found to be in order.
pub(crate) fn new_agent(body: CreateAgent) -> Result<(AgentName, ClusterName, Vec<GeneratorId>), Problem> {
    Ok((
        AgentName::parse(body.name).map_err(invalid_agent)?,
        ClusterName::parse(body.cluster_name).map_err(invalid_agent)?,
        generator_ids(&body.generator_ids.unwrap_or_default())?,
    ))
}

/// What a request to change an agent asks for, once it is found to be in order.
pub(crate) fn agent_changes(body: UpdateAgent) -> Result<AgentChanges, Problem> {
    Ok(AgentChanges {
        name: body
            .name
            .map(AgentName::parse)
            .transpose()
            .map_err(invalid_agent)?,
        cluster_name: body
            .cluster_name
            .map(ClusterName::parse)
            .transpose()
            .map_err(invalid_agent)?,
        status: body
            .status
            .map(|status| status.parse())
            .transpose()
            .map_err(|_| Problem::new(Code::InvalidAgent, "status must be ACTIVE or INACTIVE."))?,
    })
}

/// Creates an agent and its PAK, which is shown only now. The agent is `INACTIVE` until somebody activates it.
#[utoipa::path(post, path = brokkr_api::paths::AGENTS, tag = "agents", operation_id = "create_agent",
    request_body = CreateAgent,
    responses(
        (status = 201, body = AgentCreated),
        (status = 400, body = ProblemBody, description = "`invalid_agent`, `invalid_generator_id`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: the name is taken in this cluster"),
    ))]
async fn create(
    Admin(caller): Admin,
    State(app): State<App>,
    LenientJson(body): LenientJson<CreateAgent>,
) -> Result<(StatusCode, Json<AgentCreated>), Problem> {
    let (name, cluster_name, generators) = new_agent(body)?;
    let (agent, pak) = app.create_agent(&caller, name, cluster_name, &generators).await?;
    Ok((
        StatusCode::CREATED,
        Json(AgentCreated {
            agent: agent.into(),
            initial_pak: pak.on_wire(),
        }),
    ))
}

/// Lists agents, oldest first: all of them, or for a generator those that are registered with it.
#[utoipa::path(get, path = brokkr_api::paths::AGENTS, tag = "agents", operation_id = "list_agents", params(ListAgents),
    responses(
        (status = 200, body = Vec<brokkr_api::Agent>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`generator_required`"),
    ))]
async fn list(
    AdminOrGenerator(caller): AdminOrGenerator,
    State(app): State<App>,
    Query(query): Query<ListAgents>,
    uri: Uri,
) -> Result<Page<brokkr_api::Agent>, Problem> {
    let page: PageRequest<AgentId> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let agents = app
        .list_agents(&caller, page.after, page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(page.answer(agents, |agent| agent.id))
}

/// Finds the agent of this name in this cluster. An agent finds only itself.
#[utoipa::path(get, path = brokkr_api::paths::AGENT_BY_NAME, tag = "agents", operation_id = "find_agent", params(AgentByName),
    responses(
        (status = 200, body = brokkr_api::Agent),
        (status = 400, body = ProblemBody, description = "`name_and_cluster_required`, `invalid_agent`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
        (status = 404, body = ProblemBody, description = "`agent_not_found`"),
    ))]
async fn find(
    AnyCaller(caller): AnyCaller,
    State(app): State<App>,
    Query(query): Query<AgentByName>,
) -> Result<Json<brokkr_api::Agent>, Problem> {
    let (Some(name), Some(cluster_name)) = (query.name, query.cluster_name) else {
        return Err(Problem::new(
            Code::NameAndClusterRequired,
            "Both name and cluster_name are needed.",
        ));
    };
    let name = AgentName::parse(name).map_err(invalid_agent)?;
    let cluster_name = ClusterName::parse(cluster_name).map_err(invalid_agent)?;
    Ok(Json(
        app.agent_by_name(&caller, &name, &cluster_name).await?.into(),
    ))
}

/// Shows an agent.
#[utoipa::path(get, path = brokkr_api::paths::AGENT, tag = "agents", operation_id = "get_agent",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = brokkr_api::Agent),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
        (status = 404, body = ProblemBody, description = "`agent_not_found`"),
    ))]
async fn get(
    AgentReader { agent, .. }: AgentReader,
    State(app): State<App>,
) -> Result<Json<brokkr_api::Agent>, Problem> {
    Ok(Json(app.agent(agent).await?.into()))
}

/// Changes an agent's name, cluster or status. Its PAK stays what it is.
#[utoipa::path(put, path = brokkr_api::paths::AGENT, tag = "agents", operation_id = "update_agent",
    params(("id" = uuid::Uuid, Path)), request_body = UpdateAgent,
    responses(
        (status = 200, body = brokkr_api::Agent),
        (status = 400, body = ProblemBody, description = "`invalid_agent`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`agent_not_found`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: the name is taken in this cluster"),
    ))]
async fn update(
    who: AdminOrSelfAgent,
    State(app): State<App>,
    LenientJson(body): LenientJson<UpdateAgent>,
) -> Result<Json<brokkr_api::Agent>, Problem> {
    let changes = agent_changes(body)?;
    Ok(Json(
        app.update_agent(&who.caller, who.agent, &changes).await?.into(),
    ))
}

/// Deletes an agent. Its PAKs are dead and its claims taken back at once; its name is free again.
#[utoipa::path(delete, path = brokkr_api::paths::AGENT, tag = "agents", operation_id = "delete_agent",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`agent_not_found`"),
    ))]
async fn delete(
    Admin(caller): Admin,
    State(app): State<App>,
    super::extract::Path(id): super::extract::Path<AgentId>,
) -> Result<StatusCode, Problem> {
    app.delete_agent(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces an agent's PAK. The new one is shown only now, and every earlier one is dead at once.
#[utoipa::path(post, path = brokkr_api::paths::AGENT_ROTATE_PAK, tag = "agents", operation_id = "rotate_agent_pak",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = RotatedAgentPak),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`agent_not_found`"),
    ))]
async fn rotate_pak(who: AdminOrSelfAgent, State(app): State<App>) -> Result<Json<RotatedAgentPak>, Problem> {
    let (agent, pak) = app.rotate_agent_pak(&who.caller, who.agent).await?;
    Ok(Json(RotatedAgentPak {
        agent: agent.into(),
        pak: pak.on_wire(),
    }))
}

/// Records that an agent lives, and what it knows of its Kubernetes API. The body may be absent.
#[utoipa::path(post, path = brokkr_api::paths::AGENT_HEARTBEAT, tag = "agents", operation_id = "heartbeat",
    params(("id" = uuid::Uuid, Path)), request_body = Option<Heartbeat>,
    responses(
        (status = 204),
        (status = 400, body = ProblemBody, description = "`invalid_agent`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
        (status = 404, body = ProblemBody, description = "`agent_not_found`"),
    ))]
async fn heartbeat(
    who: OwnAgent,
    State(app): State<App>,
    body: Option<LenientJson<Heartbeat>>,
) -> Result<StatusCode, Problem> {
    let report = body.map(|LenientJson(report)| report).unwrap_or_default();
    if report
        .k8s_api_latency_ms
        .is_some_and(|found| !(0..=LATENCY_MS_MAX).contains(&found))
    {
        let rule = format!("k8s_api_latency_ms must be between 0 and {LATENCY_MS_MAX}.");
        return Err(Problem::new(Code::InvalidAgent, rule));
    }
    app.heartbeat(who.agent, report.k8s_reachable, report.k8s_api_latency_ms)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
