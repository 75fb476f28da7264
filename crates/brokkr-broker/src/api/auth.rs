//! Asking whom a key belongs to.

use brokkr_api::AuthAnswer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{AnyCaller, Json};
use super::state::AppState;
use crate::app::caller::Role;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(whoami))
}

/// Tells whom the PAK of this request belongs to.
#[utoipa::path(post, path = brokkr_api::paths::AUTH_PAK, tag = "auth", operation_id = "auth_pak",
    responses((status = 200, body = AuthAnswer)))]
async fn whoami(AnyCaller(caller): AnyCaller) -> Json<AuthAnswer> {
    let (agent, generator) = match caller.role {
        Role::Admin | Role::Viewer => (None, None),
        Role::Agent(id) => (Some(id.as_uuid()), None),
        Role::Generator(id) => (None, Some(id.as_uuid())),
    };
    Json(AuthAnswer {
        admin: caller.role == Role::Admin,
        agent,
        generator,
        readonly: caller.role == Role::Viewer,
    })
}
