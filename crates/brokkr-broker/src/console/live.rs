//! What a page reads while it is open.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Deserialize;

use super::order::order_id;
use super::page::Trouble;
use super::session::ConsoleReader;
use crate::app::App;
use crate::app::console_sessions::SessionToken;
use crate::app::events::{EventFilter, EventsError, Told};

/// Shorter than proxies take for an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// However much happens, a page hears of it so seldom.
const GATHERED_FOR: Duration = Duration::from_millis(250);

/// What is read live, as long as the session lasts.
pub(super) fn live(
    app: App,
    token: SessionToken,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response {
    let over = async move { app.session_over(&token).await };
    let events = events.take_until(Box::pin(over)).map(Ok::<_, Infallible>);
    // A proxy that gathers the answer would make it anything but live.
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    (headers, stream).into_response()
}

#[derive(Deserialize)]
pub(super) struct Watched {
    /// One order; everything without it.
    order: Option<String>,
}

impl From<EventsError> for Trouble {
    fn from(error: EventsError) -> Trouble {
        match error {
            EventsError::Storage(error) => error.into(),
            EventsError::TooMany => Trouble::told(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not available",
                "As many pages are open as the broker tells of changes.",
            ),
            error @ (EventsError::Forgotten { .. } | EventsError::Future(_)) => Trouble::defect(&error),
        }
    }
}

/// Tells that something has changed, at any replica, and not what: a page then looks at itself again.
pub(super) async fn changes(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(watched): Query<Watched>,
) -> Result<Response, Trouble> {
    let filter = EventFilter {
        work_order: watched.order.as_deref().map(order_id).transpose()?,
        ..EventFilter::default()
    };
    let events = app.listen_to_events(session.caller.key, filter, None).await?;
    let changes = stream::unfold(events.fuse(), async |mut events| {
        let word = match events.next().await? {
            Told::Listening(_) => "listening",
            Told::Event(_) => "changed",
        };
        gather(&mut events).await;
        Some((Event::default().event(word).data("{}"), events))
    });
    Ok(live(app, session.token, changes))
}

/// Takes what happens in the next moment together with what has happened.
async fn gather(events: &mut (impl Stream<Item = Told> + Unpin)) {
    let take = async { while events.next().await.is_some() {} };
    // What was not read before the time is over is read afterwards.
    let _ = tokio::time::timeout(GATHERED_FOR, take).await;
}
