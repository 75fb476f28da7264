//! Bounds on size and time, and what is said when a handler panics.

use std::any::Any;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use brokkr_api::paths;
use tracing::error;

use crate::api::extract::{hear_out, too_large};
use crate::api::problem::{Code, Problem};
use crate::api::state::AppState;

/// Refuses a body that says of itself that it is too large, and ends a request that takes too long.
pub(in crate::api) async fn bound(
    State(state): State<AppState>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let limits = &state.app.limits;
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|bytes: usize| bytes > limits.body_bytes_max) {
        // Who asked whether to send the body has not begun to.
        if !request.headers().contains_key(header::EXPECT) {
            hear_out(request.into_body().into_data_stream()).await;
        }
        return too_large(limits.body_bytes_max).into_response();
    }
    if waits_by_design(path.as_ref().map(MatchedPath::as_str), request.method()) {
        return next.run(request).await;
    }
    let patience = Duration::from_secs(limits.request_seconds_max.max(1));
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Code::Timeout,
            "The broker did not finish in time. Whether the change was made is not known.",
        )
        .into_response(),
    }
}

/// A long poll and live output bound their own waiting.
fn waits_by_design(path: Option<&str>, method: &Method) -> bool {
    match path {
        Some(paths::AGENT_CLAIMS) => method == Method::POST,
        Some(paths::WORK_ORDER_OUTPUT) => method == Method::GET,
        _ => false,
    }
}

/// What is answered when a handler panicked.
pub(in crate::api) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no words");
    error!(panic = words, "a request handler panicked");
    Problem::new(
        Code::InternalError,
        "The broker failed. Its log tells why, under this answer's X-Request-Id.",
    )
    .into_response()
}
