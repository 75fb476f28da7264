//! What every handler can reach.

use std::sync::Arc;

use axum::extract::FromRef;
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::app::App;

/// Makes a request's span a child of the trace that its `traceparent` names. Given by whoever exports traces.
pub type LinkTrace = fn(&tracing::Span, &str);

/// How many seconds' worth of requests a key may send at once after it has been quiet.
const BURST_SECONDS: u32 = 10;

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub(crate) app: App,
    pub(super) link_trace: Option<LinkTrace>,
    pub(super) document: Arc<str>,
    limiter: Option<Arc<DefaultKeyedRateLimiter<String>>>,
}

impl AppState {
    pub(super) fn new(app: App, link_trace: Option<LinkTrace>, document: Arc<str>) -> Self {
        let limiter = NonZeroU32::new(app.limits.requests_per_second_max).map(|per_second| {
            let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
            Arc::new(RateLimiter::keyed(
                Quota::per_second(per_second).allow_burst(burst),
            ))
        });
        Self {
            app,
            link_trace,
            document,
            limiter,
        }
    }

    /// Counts one request of a key. When the key has sent too many, says how long it has to wait.
    pub(super) fn admit(&self, key: &str) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        limiter
            .check_key(&key.to_owned())
            .map_err(|refusal| refusal.wait_time_from(limiter.clock().now()))
    }
}

impl FromRef<AppState> for App {
    fn from_ref(state: &AppState) -> Self {
        state.app.clone()
    }
}
