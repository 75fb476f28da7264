//! What an order prints: on its page, live, and as a file.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::live::live;
use super::order::order_id;
use super::page::Trouble;
use super::session::ConsoleReader;
use crate::app::App;
use crate::app::output::{FollowFrom, OutputEvent, OutputPiece, Position};
use crate::app::work_orders::ReadError;

/// As much output as stands in the page itself. Scripts load the rest.
const PIECES: u32 = 200;
const PIECES_OF_DOWNLOAD: u32 = 1_000;

/// Whose output is asked for: the attempt's, or that of the latest.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Asked {
    attempt: Option<String>,
}

impl Asked {
    pub(super) fn attempt(&self) -> Result<Option<Attempt>, Trouble> {
        self.attempt.as_deref().map(attempt).transpose()
    }
}

fn attempt(text: &str) -> Result<Attempt, Trouble> {
    match text.parse() {
        Ok(number @ 1..) => Ok(Attempt::new(number)),
        Ok(_) | Err(_) => Err(Trouble::bad("An attempt is a number from 1 on.")),
    }
}

/// The beginning of the output, as it stands in a page.
pub(super) struct OutputShown {
    /// Without colours.
    pub(super) text: String,
    pub(super) goes_on: bool,
    /// The attempt that was asked for.
    pub(super) attempt: Option<i64>,
}

impl OutputShown {
    pub(super) async fn of(
        app: &App,
        id: WorkOrderId,
        attempt: Option<Attempt>,
    ) -> Result<OutputShown, Trouble> {
        let page = app.output(id, attempt, 0, PIECES).await?;
        Ok(OutputShown {
            text: page
                .pieces
                .iter()
                .map(|piece| without_escapes(&piece.text))
                .collect(),
            goes_on: page.pieces.len() >= PIECES as usize,
            attempt: attempt.map(Attempt::number),
        })
    }

    /// What the addresses of the output end with.
    pub(super) fn query(&self) -> String {
        self.attempt
            .map_or_else(String::new, |number| format!("?attempt={number}"))
    }
}

/// Without the sequences that colour a terminal, which scripts show as colours.
fn without_escapes(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            shown.push(letter);
            continue;
        }
        if letters.next_if_eq(&'[').is_some() {
            while letters.next_if(|letter| !('@'..='~').contains(letter)).is_some() {}
            letters.next();
        }
    }
    shown
}

/// Follows the output of an order from the beginning of the attempt, or of the latest one on, as long as the session lasts.
pub(super) async fn follow(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let from = FollowFrom {
        attempt: asked.attempt()?,
        ..FollowFrom::default()
    };
    let events = app.follow_output(order_id(&id)?, from).await?;
    let events = events.map(|event| match event {
        OutputEvent::Piece(piece) => Event::default().event("output").data(told(&piece).to_string()),
        OutputEvent::Ended { .. } => Event::default().event("ended").data("{}"),
    });
    Ok(live(app, session.token, events))
}

fn told(piece: &OutputPiece) -> Value {
    json!({
        "attempt": piece.attempt.number(), "offset": piece.offset, "stream": piece.stream, "text": piece.text,
    })
}

/// Where a page begins that has dropped what was before.
#[derive(Deserialize)]
pub(super) struct Place {
    attempt: String,
    before: u64,
}

/// The pieces that end where a page begins.
pub(super) async fn earlier(
    ConsoleReader(_): ConsoleReader,
    State(app): State<App>,
    Path(id): Path<String>,
    Query(place): Query<Place>,
) -> Result<Json<Vec<Value>>, Trouble> {
    let end = Position {
        attempt: attempt(&place.attempt)?,
        offset: place.before,
    };
    let pieces = app.output_before(order_id(&id)?, end).await?;
    Ok(Json(pieces.iter().map(told).collect()))
}

/// All that the attempt printed, as it was printed.
pub(super) async fn download(
    ConsoleReader(_): ConsoleReader,
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let id = order_id(&id)?;
    let first = app.output(id, asked.attempt()?, 0, PIECES_OF_DOWNLOAD).await?;
    let attempt = first.attempt;
    let pages = stream::try_unfold(Some(first), move |page| {
        let app = app.clone();
        async move {
            let Some(page) = page else { return Ok(None) };
            let text: String = page.pieces.iter().map(|piece| piece.text.as_str()).collect();
            let next = match page.pieces.len() < PIECES_OF_DOWNLOAD as usize {
                true => None,
                false => Some(
                    app.output(id, Some(attempt), page.next, PIECES_OF_DOWNLOAD)
                        .await?,
                ),
            };
            Ok::<_, ReadError>(Some((text, next)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{id}.txt\""),
        ),
    ];
    Ok((headers, axum::body::Body::from_stream(pages)).into_response())
}

#[cfg(test)]
mod tests {
    use super::without_escapes;

    #[test]
    fn colours_are_left_out_and_everything_else_stays() {
        assert_eq!(without_escapes("\u{1b}[1;31mred\u{1b}[0m <b>"), "red <b>");
        assert_eq!(without_escapes("cut \u{1b}["), "cut ");
        assert_eq!(without_escapes("\u{1b}"), "");
    }
}
