//! The API's description as it is served, with a page to read and try it. The page comes from the broker alone: it works
//! where there is no internet, and no stranger's script sees the keys that are typed into it.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use brokkr_api::paths;

use super::state::AppState;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; \
     base-uri 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route(paths::OPENAPI, get(document))
        .route(
            "/docs",
            get(|| file("text/html; charset=utf-8", include_str!("page.html"))),
        )
        .route(
            "/docs/page.js",
            get(|| file("text/javascript; charset=utf-8", include_str!("page.js"))),
        )
        .route(
            "/docs/page.css",
            get(|| file("text/css; charset=utf-8", include_str!("page.css"))),
        )
}

async fn document(State(state): State<AppState>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        state.document.to_string(),
    )
}

async fn file(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text)
}
