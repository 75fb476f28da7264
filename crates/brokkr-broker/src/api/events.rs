//! What has happened to orders and agents, on the wire.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{Event as Sent, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use brokkr_api::{
    Event as WireEvent, EventPage as WirePage, EventsQuery, Problem as ProblemBody, event_stream,
};
use brokkr_core::attempt::Attempt;
use brokkr_core::events::EventPattern;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::PageLimit;
use brokkr_core::names::Label;
use futures_util::StreamExt as _;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Json, Query, Reader};
use super::on_wire::OnWire as _;
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::events::{Event, EventFilter, EventPage, EventsError, Position, Told};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Shorter than proxies take for an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

impl From<EventsError> for Problem {
    fn from(error: EventsError) -> Self {
        let text = sentence(&error);
        match error {
            EventsError::Forgotten { forgotten, .. } => {
                Self::new(Code::EventsForgotten, text).with_details(json!({"after": forgotten}))
            }
            EventsError::Future(_) => Self::new(Code::InvalidPosition, text),
            EventsError::TooMany => Self::new(Code::Overloaded, text),
            EventsError::Storage(error) => Self::storage(&error),
        }
    }
}

/// Shows what has happened to work orders and agents, the oldest first; with `Accept: text/event-stream` live, each one exactly
/// once and those of one work order in their order.
#[utoipa::path(get, path = brokkr_api::paths::EVENTS, tag = "events", operation_id = "list_events",
    params(EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Resumes a live stream after this event, as `after` does")),
    responses(
        (status = 200, description = "Live: one event `listening`, then events with the types of those that happen, each with an `Event`",
            content((WirePage = "application/json"), (WireEvent = "text/event-stream"))),
        (status = 400, body = ProblemBody, description = "`invalid_query`, `invalid_limit`, `invalid_label`, `invalid_position`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
        (status = 410, body = ProblemBody, description = "`events_forgotten`"),
        (status = 503, body = ProblemBody, description = "`overloaded`"),
    ))]
async fn list(
    Reader(caller): Reader,
    State(app): State<App>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = query
        .limit
        .map_or_else(|| Ok(PageLimit::default()), PageLimit::new)
        .map_err(|error| Problem::out_of_bounds(Code::InvalidLimit, &error))?;
    let after = query.after.map(position).transpose()?;
    let filter = filter(query)?;
    if !wants_stream(&headers) {
        let page = app.list_events(&filter, after, limit.get()).await?;
        return Ok(Json(WirePage::from(page)).into_response());
    }
    let resumed = match headers.get(LAST_EVENT_ID) {
        Some(value) => Some(last_event_id(value.to_str().unwrap_or_default())?),
        None => after,
    };
    let events = app.listen_to_events(caller.key, filter, resumed).await?;
    let events = events.map(|told| Ok::<_, Infallible>(sent(told)));
    // A proxy that gathers the answer would make it anything but live.
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok((headers, Sse::new(events).keep_alive(keep_alive)).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut types = accept
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    types.find(|media_type| matches!(*media_type, "text/event-stream" | "application/json" | "*/*"))
        == Some("text/event-stream")
}

fn filter(query: EventsQuery) -> Result<EventFilter, Problem> {
    let types = query.types.as_deref().map(patterns).transpose()?;
    let label = query.label.map(Label::parse).transpose();
    Ok(EventFilter {
        work_order: query.work_order_id.map(WorkOrderId::new),
        agent: query.agent_id.map(AgentId::new),
        label: label.map_err(|error| Problem::new(Code::InvalidLabel, sentence(&error)))?,
        types: types.unwrap_or_default(),
    })
}

fn patterns(text: &str) -> Result<Vec<EventPattern>, Problem> {
    let parse = |word: &str| EventPattern::parse(word.trim());
    text.split(',')
        .map(parse)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            Problem::new(Code::InvalidQuery, sentence(&error)).with_details(json!({"field": "type"}))
        })
}

fn position(number: i64) -> Result<Position, Problem> {
    (0..=Attempt::MAX.number())
        .contains(&number)
        .then_some(number)
        .ok_or_else(|| Problem::new(Code::InvalidPosition, "after is not the id of an event."))
}

fn last_event_id(text: &str) -> Result<Position, Problem> {
    let invalid = || {
        Problem::new(
            Code::InvalidPosition,
            "Last-Event-ID is not one that this stream gave out.",
        )
    };
    let number: i64 = text.parse().map_err(|_| invalid())?;
    // `+1` would read as a number, and was never given out.
    if number.to_string() != text {
        return Err(invalid());
    }
    position(number).map_err(|_| invalid())
}

impl From<&Event> for WireEvent {
    fn from(event: &Event) -> Self {
        Self {
            id: event.position,
            at: event.at.on_wire(),
            kind: event.kind.as_str().to_owned(),
            work_order_id: event.work_order.map(WorkOrderId::as_uuid),
            agent_id: event.agent.map(AgentId::as_uuid),
            actor: event.actor.clone(),
            before: event.before.clone(),
            after: event.after.clone(),
            attempt: event.attempt.map(Attempt::number),
            labels: event.labels.clone(),
            details: serde_json::from_str(&event.details).unwrap_or_default(),
        }
    }
}

impl From<EventPage> for WirePage {
    fn from(page: EventPage) -> Self {
        Self {
            events: page.events.iter().map(WireEvent::from).collect(),
            next: page.next,
            more: page.more,
        }
    }
}

fn sent(told: Told) -> Sent {
    match told {
        Told::Listening(position) => Sent::default()
            .event(event_stream::LISTENING)
            .id(position.to_string())
            .data(json!({"after": position}).to_string()),
        Told::Event(event) => {
            let event = WireEvent::from(&*event);
            Sent::default()
                .event(&event.kind)
                .id(event.id.to_string())
                .data(serde_json::to_string(&event).unwrap_or_default())
        }
    }
}
