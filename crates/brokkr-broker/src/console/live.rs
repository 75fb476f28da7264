//! What a page reads while it is open.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::StreamExt as _;
use serde_json::json;

use super::order::order_id;
use super::page::Trouble;
use super::session::ConsoleReader;
use crate::app::App;
use crate::app::output::{FollowFrom, OutputEvent};

/// Shorter than proxies take for an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Follows the output of an order from the beginning of its latest attempt, as long as the session lasts.
pub(super) async fn output(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Trouble> {
    let over = app.clone();
    let events = app.follow_output(order_id(&id)?, FollowFrom::default()).await?;
    let over = async move { over.session_over(&session.token).await };
    let told = events
        .take_until(Box::pin(over))
        .map(|event| Ok::<_, Infallible>(told(&event)));
    // A proxy that gathers the answer would make it anything but live.
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let stream = Sse::new(told).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok((headers, stream).into_response())
}

fn told(event: &OutputEvent) -> Event {
    match event {
        OutputEvent::Piece(piece) => {
            let piece = json!({
                "attempt": piece.attempt.number(), "offset": piece.offset, "stream": piece.stream, "text": piece.text,
            });
            Event::default().event("output").data(piece.to_string())
        }
        OutputEvent::Ended { .. } => Event::default().event("ended").data("{}"),
    }
}
