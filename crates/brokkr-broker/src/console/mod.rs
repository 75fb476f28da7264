//! HTML words: pages for people.
//!
//! A page is made at the broker and readable without scripts; `assets/console.js` refreshes its live parts, `assets/output.js` shows what
//! an order prints. What is shown was written by strangers: templates escape every text, and scripts put texts into pages as texts only. A
//! handler's arguments say who may see it or act. There are no cookies in the API: what a browser reads live is served here.

mod agent;
mod agents;
mod assets;
mod audit;
mod cancellations;
mod generators;
mod listed;
mod live;
mod log;
mod log_export;
mod log_filter;
mod many;
mod order;
mod order_filter;
mod orders;
mod output;
mod overview;
mod page;
mod paks;
mod plot;
mod recent;
mod retries;
mod secret;
mod session;
mod sign_in;
mod sign_in_limits;
mod submit;
mod targeting;
mod webhook;
mod webhook_deliveries;
mod webhook_fields;
mod webhooks;
mod when;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::map_response;
use axum::routing::{get, post};

use self::sign_in_limits::SignInLimits;
use crate::app::App;
use crate::config::ConsoleConfig;

const HOUR: Duration = Duration::from_secs(3_600);
const SESSION_HOURS_MAX: u32 = 168;

/// What every page can reach. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Console {
    pub(crate) app: App,
    sessions_last: Duration,
    cookies_over_tls: bool,
    sign_ins: Arc<SignInLimits>,
}

impl FromRef<Console> for App {
    fn from_ref(console: &Console) -> Self {
        console.app.clone()
    }
}

/// The console, unless it is switched off. `over_tls` says that the broker itself speaks TLS.
pub fn router(app: App, config: &ConsoleConfig, over_tls: bool) -> Router {
    if !config.enabled {
        return Router::new();
    }
    let console = Console {
        app,
        sessions_last: HOUR * config.session_hours.clamp(1, SESSION_HOURS_MAX),
        cookies_over_tls: over_tls || config.behind_tls,
        sign_ins: Arc::new(SignInLimits::new()),
    };
    Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/orders", get(orders::list))
        .route("/orders/retries", post(retries::retry))
        .route("/orders/cancellations", post(cancellations::cancel))
        .route("/orders/{id}", get(order::show))
        .route("/orders/{id}/cancel", post(order::cancel))
        .route("/orders/{id}/retry", post(order::retry))
        .route("/orders/{id}/targeting", post(targeting::change))
        .route("/orders/{id}/output.txt", get(output::download))
        .route("/log", get(log::list))
        .route("/log/export.csv", get(log_export::csv))
        .route("/log/export.jsonl", get(log_export::json_lines))
        .route("/submit", get(submit::show).post(submit::submit))
        .route("/agents", get(agents::list).post(agents::create))
        .route("/agents/{id}", get(agent::show).post(agent::change))
        .route("/paks", get(paks::list).post(paks::change))
        .route("/generators", get(generators::list).post(generators::create))
        .route("/generators/{id}", get(generators::show).post(generators::change))
        .route("/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/webhooks/{id}", get(webhook::show).post(webhook::change))
        .route(
            "/webhooks/{id}/deliveries/{delivery}",
            get(webhook_deliveries::show).post(webhook_deliveries::replay),
        )
        .route("/audit", get(audit::list))
        .route("/console/live/orders/{id}/output", get(output::follow))
        .route("/console/live/orders/{id}/output/earlier", get(output::earlier))
        .route("/console/live/changes", get(live::changes))
        .route("/assets/{version}/{name}", get(assets::serve))
        .layer(map_response(page::guard))
        .with_state(console)
}
