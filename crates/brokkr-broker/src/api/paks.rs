//! Administrators' and viewers' keys on the wire.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use brokkr_api::{CreatePak, ListPaks, PakCreated, PakInfo, PakRole, Problem as ProblemBody};
use brokkr_core::names::KeyName;
use brokkr_core::pak::ShortPart;
use brokkr_core::time::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Admin, Json, Path, Query, Reader, ShortInPath};
use super::on_wire::OnWire as _;
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::caller::Role;
use crate::app::credentials::{Credential, NamedRole, PakError};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(delete))
}

impl From<PakError> for Problem {
    fn from(error: PakError) -> Self {
        let code = match &error {
            PakError::Absent => Code::PakNotFound,
            PakError::Expired(_) => Code::InvalidPak,
            PakError::LastAdmin => Code::LastAdminPak,
            PakError::Storage(error) => return Self::storage(error),
        };
        Self::new(code, sentence(&error))
    }
}

impl From<Credential> for PakInfo {
    fn from(credential: Credential) -> Self {
        Self {
            short: credential.short.as_str().to_owned(),
            name: credential.name.map(KeyName::into_string).unwrap_or_default(),
            role: if credential.role == Role::Admin {
                PakRole::Admin
            } else {
                PakRole::Viewer
            },
            created_at: credential.created_at.on_wire(),
            expires_at: credential.expires_at.on_wire(),
        }
    }
}

/// Creates a PAK for a person or a tool. It is shown only now.
#[utoipa::path(post, path = brokkr_api::paths::PAKS, tag = "paks", operation_id = "create_pak", request_body = CreatePak,
    responses(
        (status = 201, body = PakCreated),
        (status = 400, body = ProblemBody, description = "`invalid_pak`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
    ))]
async fn create(
    Admin(caller): Admin,
    State(app): State<App>,
    Json(body): Json<CreatePak>,
) -> Result<(StatusCode, Json<PakCreated>), Problem> {
    let name = KeyName::parse(body.name).map_err(|error| Problem::invalid_name(Code::InvalidPak, &error))?;
    let role = match body.role {
        PakRole::Admin => NamedRole::Admin,
        PakRole::Viewer => NamedRole::Viewer,
    };
    let expires_at = body.expires_at.map(|at| Timestamp::from_micros(at.as_micros()));
    let (credential, pak) = app.create_pak(&caller, name, role, expires_at).await?;
    Ok((
        StatusCode::CREATED,
        Json(PakCreated {
            pak_info: credential.into(),
            pak: pak.on_wire(),
        }),
    ))
}

/// Lists the PAKs of administrators and viewers that work, by short part.
#[utoipa::path(get, path = brokkr_api::paths::PAKS, tag = "paks", operation_id = "list_paks", params(ListPaks),
    responses(
        (status = 200, body = Vec<PakInfo>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
    ))]
async fn list(
    _: Reader,
    State(app): State<App>,
    Query(query): Query<ListPaks>,
    uri: Uri,
) -> Result<Page<PakInfo>, Problem> {
    let page: PageRequest<ShortPart> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let paks = app
        .list_paks(page.after.as_ref(), page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(page.answer(paks, |pak| pak.short.clone()))
}

/// Revokes a PAK of an administrator or a viewer, at once and for ever.
#[utoipa::path(delete, path = brokkr_api::paths::PAK, tag = "paks", operation_id = "delete_pak",
    params(("short" = String, Path)),
    responses(
        (status = 204),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`pak_not_found`"),
        (status = 409, body = ProblemBody, description = "`last_admin_pak`: nobody could administer the broker without it"),
    ))]
async fn delete(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(ShortInPath(short)): Path<ShortInPath>,
) -> Result<StatusCode, Problem> {
    let short = ShortPart::parse(&short).ok_or_else(|| Problem::from(PakError::Absent))?;
    app.delete_pak(&caller, &short).await?;
    Ok(StatusCode::NO_CONTENT)
}
