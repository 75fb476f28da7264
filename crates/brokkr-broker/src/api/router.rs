//! All routes, and what surrounds them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use super::middleware::{bound, observe, panicked};
use super::problem::{Code, Problem};
use super::state::{AppState, LinkTrace};
use super::{
    agent_annotations, agent_labels, agents, attempts, auth, cancellations, claims, docs, endings, events,
    explain, generators, health, openapi, output, paks, renewals, retries, webhook_deliveries, webhooks,
    work_order_log, work_orders,
};
use crate::app::App;

/// Every operation, with its part of the OpenAPI document. One line per noun.
pub(super) fn operations() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(work_orders::router())
        .merge(cancellations::router())
        .merge(claims::router())
        .merge(renewals::router())
        .merge(endings::router())
        .merge(attempts::router())
        .merge(explain::router())
        .merge(events::router())
        .merge(output::router())
        .merge(work_order_log::router())
        .merge(retries::router())
        .merge(agents::router())
        .merge(agent_labels::router())
        .merge(agent_annotations::router())
        .merge(generators::router())
        .merge(paks::router())
        .merge(webhooks::router())
        .merge(webhook_deliveries::router())
        .merge(auth::router())
        .merge(health::router())
}

/// The broker's HTTP interface, with `pages` beside the API: what bounds, observes and survives requests is around both. `link_trace`
/// joins requests to their callers' traces, where traces are exported.
pub fn router(app: App, link_trace: Option<LinkTrace>, pages: Router) -> Router {
    let (routes, document) = operations().split_for_parts();
    let document: Arc<str> = openapi::text(openapi::finish(document)).into();
    let state = AppState::new(app, link_trace, document);
    routes
        .merge(docs::routes())
        .with_state(state.clone())
        .merge(pages)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), bound))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state, observe))
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "There is nothing at this path.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "There is something at this path, but not for this method.",
    )
}
