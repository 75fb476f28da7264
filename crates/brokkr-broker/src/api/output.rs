//! What the work prints, on the wire.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use brokkr_api::{
    AppendOutput, OutputAppended, OutputAppendedItem, OutputChunk, OutputEnded, OutputPage as WirePage,
    OutputPiece as WirePiece, OutputPosition, OutputQuery, Problem as ProblemBody, event, stream,
};
use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::limits::PageLimit;
use brokkr_core::time::Timestamp;
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Json, OwnAgent, Path, Query, Reader};
use super::on_wire::OnWire as _;
use super::problem::{Code, Problem, sentence};
use super::renewals::attempt;
use super::state::AppState;
use super::work_orders::batch_size;
use crate::app::App;
use crate::app::output::{AppendError, FollowFrom, NewChunk, OutputEvent, OutputPage, OutputPiece, Position};

const CHUNKS_MAX: usize = 1_000;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Shorter than proxies take for an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(append)).routes(routes!(read))
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let text = sentence(&error);
        match error {
            AppendError::StaleAttempt => Self::new(Code::StaleAttempt, text),
            AppendError::Gap { expected } => {
                Self::new(Code::OutputGap, text).with_details(json!({"expected": expected}))
            }
            AppendError::Limit { bytes_max } => {
                Self::new(Code::OutputLimit, text).with_details(json!({"bytes_max": bytes_max}))
            }
        }
    }
}

/// Appends output to attempts that the agent holds. Each chunk is stored or refused on its own; one that is stored already
/// is fine.
#[utoipa::path(post, path = brokkr_api::paths::AGENT_OUTPUT, tag = "output", operation_id = "append_output",
    params(("id" = uuid::Uuid, Path)), request_body = AppendOutput,
    responses(
        (status = 200, body = OutputAppended, description = "One item for each chunk: 200, 400 `invalid_output`, 409 `stale_attempt` or `output_gap`, 413 `output_limit`"),
        (status = 400, body = ProblemBody, description = "`invalid_batch`"),
        (status = 403, body = ProblemBody, description = "`agent_pak_mismatch`"),
    ))]
async fn append(
    who: OwnAgent,
    State(app): State<App>,
    Json(body): Json<AppendOutput>,
) -> Result<Json<OutputAppended>, Problem> {
    batch_size(body.chunks.len(), CHUNKS_MAX)?;
    let named: Vec<_> = body
        .chunks
        .iter()
        .map(|chunk| (chunk.id, chunk.attempt, chunk.offset))
        .collect();
    let mut good = Vec::new();
    let places: Vec<Result<(), Problem>> = body
        .chunks
        .into_iter()
        .map(|item| chunk(item).map(|item| good.push(item)))
        .collect();
    let verdicts = app
        .append_output(who.agent, good)
        .await
        .map_err(|error| Problem::storage(&error))?;
    let mut verdicts = verdicts.into_iter();
    let mut verdict = |place: Result<(), Problem>| {
        place.and_then(|()| {
            verdicts
                .next()
                .unwrap_or(Err(AppendError::StaleAttempt))
                .map_err(Problem::from)
        })
    };
    let items = named
        .into_iter()
        .zip(places)
        .map(|(named, place)| appended(named, verdict(place)))
        .collect();
    Ok(Json(OutputAppended { items }))
}

fn chunk(chunk: OutputChunk) -> Result<NewChunk, Problem> {
    let invalid = |rule: &str| Problem::new(Code::InvalidOutput, rule);
    if ![stream::STDOUT, stream::STDERR, stream::SYSTEM].contains(&chunk.stream.as_str()) {
        return Err(invalid("stream must be stdout, stderr or system."));
    }
    if chunk.at.as_micros() < 0 {
        return Err(invalid("at must not be before 1970."));
    }
    Ok(NewChunk {
        id: WorkOrderId::new(chunk.id),
        attempt: attempt(chunk.attempt, Code::InvalidOutput)?,
        offset: u64::try_from(chunk.offset).map_err(|_| invalid("offset must not be negative."))?,
        stream: chunk.stream,
        at: Timestamp::from_micros(chunk.at.as_micros()),
        data: chunk.data.into_bytes(),
    })
}

fn appended(
    (id, attempt, offset): (uuid::Uuid, i64, i64),
    verdict: Result<(), Problem>,
) -> OutputAppendedItem {
    let (status, error) = match verdict {
        Ok(()) => (200, None),
        Err(problem) => (problem.code().status().as_u16(), Some(problem.body())),
    };
    OutputAppendedItem {
        id,
        attempt,
        offset,
        status,
        error,
    }
}

impl From<OutputPiece> for WirePiece {
    fn from(piece: OutputPiece) -> Self {
        Self {
            attempt: piece.attempt.number(),
            offset: signed(piece.offset),
            stream: piece.stream,
            at: piece.at.on_wire(),
            data: piece.text,
        }
    }
}

impl From<OutputPage> for WirePage {
    fn from(page: OutputPage) -> Self {
        Self {
            attempt: page.attempt.number(),
            chunks: page.pieces.into_iter().map(WirePiece::from).collect(),
            next: signed(page.next),
            complete: page.complete,
        }
    }
}

/// Offsets come from columns that hold no more.
fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// Which part of the output is asked for.
struct Part {
    attempt: Option<Attempt>,
    after: u64,
    limit: Option<u32>,
}

fn part(query: &OutputQuery) -> Result<Part, Problem> {
    let after = query.after.map_or(Ok(0), u64::try_from);
    let limit = query.limit.map(PageLimit::new).transpose();
    Ok(Part {
        attempt: query
            .attempt
            .map(|number| attempt(number, Code::InvalidPosition))
            .transpose()?,
        after: after.map_err(|_| Problem::new(Code::InvalidPosition, "after must not be negative."))?,
        limit: limit
            .map_err(|error| Problem::out_of_bounds(Code::InvalidLimit, &error))?
            .map(PageLimit::get),
    })
}

/// Shows what a work order printed: as JSON, as `text/plain` (all of it, unless `limit` is given), or with
/// `Accept: text/event-stream` live until its ending.
#[utoipa::path(get, path = brokkr_api::paths::WORK_ORDER_OUTPUT, tag = "output", operation_id = "get_output",
    params(("id" = uuid::Uuid, Path), OutputQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Resumes a live stream after this event")),
    responses(
        (status = 200, description = "Live: events `output` with an `OutputPiece`, and one `ended` with an `OutputEnded`",
            content((WirePage = "application/json"), (String = "text/plain"), (OutputEnded = "text/event-stream"))),
        (status = 400, body = ProblemBody, description = "`invalid_position`, `invalid_limit`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 404, body = ProblemBody, description = "`work_order_not_found`"),
    ))]
async fn read(
    _: Reader,
    State(app): State<App>,
    Path(id): Path<WorkOrderId>,
    Query(query): Query<OutputQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let part = part(&query)?;
    match accepted(&headers) {
        Accepted::Live => live(app, id, part, &headers).await,
        Accepted::Text => text(&app, id, part).await,
        Accepted::Json => {
            let limit = part.limit.unwrap_or(PageLimit::default().get());
            let page = app.output(id, part.attempt, part.after, limit).await?;
            Ok(Json(WirePage::from(page)).into_response())
        }
    }
}

enum Accepted {
    Json,
    Text,
    Live,
}

fn accepted(headers: &HeaderMap) -> Accepted {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let types = accept
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    types
        .filter_map(|media_type| match media_type {
            "text/event-stream" => Some(Accepted::Live),
            "text/plain" => Some(Accepted::Text),
            "application/json" | "*/*" => Some(Accepted::Json),
            _ => None,
        })
        .next()
        .unwrap_or(Accepted::Json)
}

async fn text(app: &App, id: WorkOrderId, part: Part) -> Result<Response, Problem> {
    let limit = part.limit.unwrap_or(PageLimit::MAX);
    let mut page = app.output(id, part.attempt, part.after, limit).await?;
    let mut text = String::new();
    loop {
        let full = page.pieces.len() >= limit as usize;
        page.pieces.iter().for_each(|piece| text.push_str(&piece.text));
        if part.limit.is_some() || !full {
            break;
        }
        page = app.output(id, Some(page.attempt), page.next, limit).await?;
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

async fn live(app: App, id: WorkOrderId, part: Part, headers: &HeaderMap) -> Result<Response, Problem> {
    let position = headers
        .get(LAST_EVENT_ID)
        .map(|value| position(value.to_str().unwrap_or_default()))
        .transpose()?;
    if let (Some(only), Some(position)) = (part.attempt, position)
        && only != position.attempt
    {
        return Err(Problem::new(
            Code::InvalidPosition,
            "Last-Event-ID is about another attempt.",
        ));
    }
    let from = FollowFrom {
        attempt: part.attempt,
        position,
        after: part.after,
    };
    let events = app
        .follow_output(id, from)
        .await?
        .map(|event| Ok::<_, Infallible>(told(event)));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    // A proxy that gathers the answer would make it anything but live.
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Sse::new(events).keep_alive(keep_alive)).into_response())
}

fn position(text: &str) -> Result<Position, Problem> {
    let invalid = || {
        Problem::new(
            Code::InvalidPosition,
            "Last-Event-ID is not one that this stream gave out.",
        )
    };
    let position: OutputPosition = text.parse().map_err(|_| invalid())?;
    // `+1:02` would read as a position, and was never given out.
    if position.to_string() != text {
        return Err(invalid());
    }
    Ok(Position {
        attempt: stored(position.attempt).ok_or_else(invalid)?,
        offset: u64::try_from(position.offset).map_err(|_| invalid())?,
    })
}

fn stored(attempt: i64) -> Option<Attempt> {
    (0..=Attempt::MAX.number())
        .contains(&attempt)
        .then(|| Attempt::new(attempt))
}

fn told(told: OutputEvent) -> Event {
    match told {
        OutputEvent::Piece(piece) => {
            let piece = WirePiece::from(piece);
            Event::default()
                .event(event::OUTPUT)
                .id(piece.end().to_string())
                .data(data(&piece))
        }
        OutputEvent::Ended { attempt, ending } => {
            let ended = OutputEnded {
                attempt: attempt.number(),
                ending: ending.map(|ending| ending.on_wire()),
            };
            Event::default().event(event::ENDED).data(data(&ended))
        }
    }
}

/// JSON in one line, as an event needs it.
fn data(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}
