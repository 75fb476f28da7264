//! What probes and scrapers ask. No key is needed, and nothing about the work is told but counts.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use brokkr_api::Problem as ProblemBody;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{Code, Problem};
use super::state::AppState;
use crate::app::App;
use crate::app::health::NotReady;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

impl From<NotReady> for Problem {
    fn from(reason: NotReady) -> Self {
        match reason {
            NotReady::Stopping => Self::new(Code::NotReady, "The broker is stopping."),
            NotReady::ClockUnknown => Self::new(
                Code::NotReady,
                "The broker cannot tell the time to within a second.",
            ),
            NotReady::DatabaseAway => Self::new(Code::DatabaseUnavailable, "The database does not answer."),
        }
    }
}

/// Tells that the process lives.
#[utoipa::path(get, path = brokkr_api::paths::HEALTHZ, tag = "health", operation_id = "healthz",
    responses((status = 200, body = String, content_type = "text/plain", description = "`OK`")))]
async fn healthz() -> &'static str {
    "OK"
}

/// Tells whether the broker can accept work: the database answers and the time is known.
#[utoipa::path(get, path = brokkr_api::paths::READYZ, tag = "health", operation_id = "readyz",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "`Ready`"),
        (status = 503, body = ProblemBody, description = "`not_ready`, `database_unavailable`"),
    ))]
async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    app.ready().await?;
    Ok("Ready")
}

/// What the broker counts, for Prometheus.
#[utoipa::path(get, path = brokkr_api::paths::METRICS, tag = "health", operation_id = "metrics",
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(app): State<App>) -> impl IntoResponse {
    app.measure().await;
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        app.metrics().render(),
    )
}
