//! What happens to work orders and agents.

use std::collections::VecDeque;
use std::time::Duration;

use brokkr_api::{Event, EventPage, EventsQuery, event_stream, paths};
use futures_util::stream::{self, BoxStream};
use http::Method;
use http::header::ACCEPT;
use reqwest::Response;
use serde::Deserialize;

use crate::error::Unreachable;
use crate::sse::{Event as Sent, Parser};
use crate::{Client, ClientError};

/// More than any event of the broker; a stream that exceeds it is not the broker's.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long to wait before a stream that was interrupted is begun again, and how long that may grow.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Something that a live stream tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventTold {
    /// Everything after the event with this id will be told.
    Listening(i64),
    /// It happened.
    Event(Box<Event>),
}

/// A live stream of events. When it stops it was interrupted, and may be resumed after the last event.
pub type EventsTold = BoxStream<'static, Result<EventTold, ClientError>>;

#[derive(Deserialize)]
struct Listening {
    after: i64,
}

impl Client {
    /// Some events that have happened, the oldest first.
    ///
    /// # Errors
    /// `events_forgotten` when those after `after` are not kept any more.
    pub async fn events(&self, query: &EventsQuery) -> Result<EventPage, ClientError> {
        let answer = self
            .send(self.request(Method::GET, paths::EVENTS).query(query))
            .await?;
        crate::transport::read(answer).await
    }

    /// Events as they happen, after `query.after` or from now on, over one connection.
    ///
    /// # Errors
    /// `events_forgotten`. Later errors come in the stream, which stops with them.
    pub async fn follow_events(&self, query: &EventsQuery) -> Result<EventsTold, ClientError> {
        let request = self
            .unbounded(Method::GET, paths::EVENTS)
            .header(ACCEPT, "text/event-stream")
            .query(query);
        let patience = self.config().request_timeout;
        // Only the head has to come in time.
        let answer = tokio::time::timeout(patience, self.send(request)).await;
        let answer = answer.map_err(|_| ClientError::Unreachable(Unreachable::Silent(patience)))??;
        let live = Live {
            answer,
            idle: self.config().stream_idle_timeout,
            parser: Parser::default(),
            ready: VecDeque::new(),
        };
        Ok(Box::pin(stream::unfold(Some(live), step)))
    }

    /// As [`Client::follow_events`], and goes on after interruptions without leaving out or repeating an event. It ends with an
    /// error that trying again does not help, if ever.
    pub fn listen(&self, query: EventsQuery) -> EventsTold {
        let listening = Resuming {
            client: self.clone(),
            query,
            stream: None,
            begun: false,
            pause: PAUSE_MIN,
        };
        Box::pin(stream::unfold(Some(listening), |listening| async {
            let mut listening = listening?;
            let told = listening.next().await;
            let more = told.is_ok().then_some(listening);
            Some((told, more))
        }))
    }
}

struct Resuming {
    client: Client,
    query: EventsQuery,
    stream: Option<EventsTold>,
    begun: bool,
    pause: Duration,
}

impl Resuming {
    async fn next(&mut self) -> Result<EventTold, ClientError> {
        use futures_util::StreamExt as _;
        loop {
            let told = match &mut self.stream {
                Some(stream) => stream.next().await,
                None => match self.client.follow_events(&self.query).await {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        continue;
                    }
                    Err(error) => Some(Err(error)),
                },
            };
            match told {
                Some(Ok(EventTold::Listening(after))) => {
                    self.query.after = Some(after);
                    self.pause = PAUSE_MIN;
                    if !std::mem::replace(&mut self.begun, true) {
                        return Ok(EventTold::Listening(after));
                    }
                }
                Some(Ok(EventTold::Event(event))) => {
                    self.query.after = Some(event.id);
                    return Ok(EventTold::Event(event));
                }
                Some(Err(error)) if !error.is_transient() => return Err(error),
                Some(Err(_)) | None => {
                    self.stream = None;
                    tokio::time::sleep(self.pause).await;
                    self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX);
                }
            }
        }
    }
}

struct Live {
    answer: Response,
    idle: Duration,
    parser: Parser,
    ready: VecDeque<Sent>,
}

impl Live {
    /// What is told next, or nothing when the connection was closed.
    async fn next(&mut self) -> Result<Option<EventTold>, ClientError> {
        loop {
            if let Some(sent) = self.ready.pop_front() {
                return told(&sent).map(Some);
            }
            let arrived = tokio::time::timeout(self.idle, self.answer.chunk()).await;
            let arrived = arrived.map_err(|_| ClientError::Unreachable(Unreachable::Silent(self.idle)))?;
            let Some(bytes) = arrived? else { return Ok(None) };
            self.ready.extend(self.parser.push(&bytes));
            if EVENT_BYTES_MAX < self.parser.pending() {
                return Err(ClientError::protocol("an event is too long"));
            }
        }
    }
}

async fn step(live: Option<Live>) -> Option<(Result<EventTold, ClientError>, Option<Live>)> {
    let mut live = live?;
    match live.next().await {
        Ok(None) => None,
        Ok(Some(told)) => Some((Ok(told), Some(live))),
        Err(error) => Some((Err(error), None)),
    }
}

fn told(sent: &Sent) -> Result<EventTold, ClientError> {
    let unreadable = |error| ClientError::protocol_from("an event cannot be read", error);
    if sent.name == event_stream::LISTENING {
        let listening: Listening = serde_json::from_str(&sent.data).map_err(unreadable)?;
        return Ok(EventTold::Listening(listening.after));
    }
    let event = serde_json::from_str(&sent.data).map_err(unreadable)?;
    Ok(EventTold::Event(Box::new(event)))
}
