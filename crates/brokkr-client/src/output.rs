//! What the work printed.

use std::collections::VecDeque;

use brokkr_api::{
    AppendOutput, OutputAppended, OutputEnded, OutputPage, OutputPiece, OutputPosition, OutputQuery, event,
    paths,
};
use futures_util::stream::{self, BoxStream};
use http::Method;
use http::header::ACCEPT;
use reqwest::Response;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::Unreachable;
use crate::sse::{Event, Parser};

use crate::{Client, ClientError};

/// More than any event of the broker; a stream that exceeds it is not the broker's.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Something that a live stream tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputEvent {
    /// A piece of output. [`OutputPiece::end`] is where to resume after it.
    Output(OutputPiece),
    /// No more will come.
    Ended(OutputEnded),
}

/// A live stream of output. When it stops without [`OutputEvent::Ended`] it was interrupted, and may be resumed.
pub type OutputEvents = BoxStream<'static, Result<OutputEvent, ClientError>>;

impl Client {
    /// Appends output to attempts that the agent holds. The answer tells of each chunk what became of it.
    ///
    /// # Errors
    /// Only when all chunks were refused together.
    pub async fn append_output(
        &self,
        agent: Uuid,
        chunks: &AppendOutput,
    ) -> Result<OutputAppended, ClientError> {
        self.post(&paths::with_id(paths::AGENT_OUTPUT, agent), chunks)
            .await
    }

    /// One page of the output.
    ///
    /// # Errors
    /// `work_order_not_found`.
    pub async fn output(&self, work_order: Uuid, query: &OutputQuery) -> Result<OutputPage, ClientError> {
        let path = paths::with_id(paths::WORK_ORDER_OUTPUT, work_order);
        let answer = self.send(self.request(Method::GET, &path).query(query)).await?;
        crate::transport::read(answer).await
    }

    /// The output as plain text.
    ///
    /// # Errors
    /// `work_order_not_found`.
    pub async fn output_text(&self, work_order: Uuid, query: &OutputQuery) -> Result<String, ClientError> {
        let request = self
            .unbounded(Method::GET, &paths::with_id(paths::WORK_ORDER_OUTPUT, work_order))
            .header(ACCEPT, "text/plain")
            .timeout(self.config().request_timeout)
            .query(query);
        Ok(self.send(request).await?.text().await?)
    }

    /// The output, live until the ending. `resume` continues after the last piece of a stream that was interrupted.
    ///
    /// # Errors
    /// `work_order_not_found`. Later errors come in the stream, which stops with them.
    pub async fn follow_output(
        &self,
        work_order: Uuid,
        query: &OutputQuery,
        resume: Option<OutputPosition>,
    ) -> Result<OutputEvents, ClientError> {
        let mut request = self
            .unbounded(Method::GET, &paths::with_id(paths::WORK_ORDER_OUTPUT, work_order))
            .header(ACCEPT, "text/event-stream")
            .query(query);
        if let Some(position) = resume {
            request = request.header("last-event-id", position.to_string());
        }
        let idle = self.config().stream_idle_timeout;
        // Only the head has to come in time; the body may take as long as the work.
        let answer = tokio::time::timeout(self.config().request_timeout, self.send(request)).await;
        let answer = answer.map_err(|_| Unreachable::Silent(self.config().request_timeout));
        let answer = answer.map_err(ClientError::Unreachable)??;
        Ok(events(Live {
            answer,
            idle,
            parser: Parser::default(),
            ready: VecDeque::new(),
        }))
    }
}

struct Live {
    answer: Response,
    idle: std::time::Duration,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl Live {
    /// The next event, or none when the connection was closed.
    async fn next(&mut self) -> Result<Option<OutputEvent>, ClientError> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                if let Some(known) = known(&event)? {
                    return Ok(Some(known));
                }
            }
            let arrived = tokio::time::timeout(self.idle, self.answer.chunk()).await;
            let arrived = arrived.map_err(|_| ClientError::Unreachable(Unreachable::Silent(self.idle)))?;
            let Some(bytes) = arrived? else { return Ok(None) };
            self.ready.extend(self.parser.push(&bytes));
            if EVENT_BYTES_MAX < self.parser.pending() {
                return Err(ClientError::protocol("an event of the live output is too long"));
            }
        }
    }
}

fn events(live: Live) -> OutputEvents {
    let step = |live: Option<Live>| async move {
        let mut live = live?;
        match live.next().await {
            Ok(None) => None,
            Ok(Some(ended @ OutputEvent::Ended(_))) => Some((Ok(ended), None)),
            Ok(Some(output)) => Some((Ok(output), Some(live))),
            Err(error) => Some((Err(error), None)),
        }
    };
    Box::pin(stream::unfold(Some(live), step))
}

/// Events with other names are skipped, so that a newer broker may tell more.
fn known(event: &Event) -> Result<Option<OutputEvent>, ClientError> {
    match event.name.as_str() {
        event::OUTPUT => Ok(Some(OutputEvent::Output(parsed(event)?))),
        event::ENDED => Ok(Some(OutputEvent::Ended(parsed(event)?))),
        _ => Ok(None),
    }
}

fn parsed<T: DeserializeOwned>(event: &Event) -> Result<T, ClientError> {
    serde_json::from_str(&event.data)
        .map_err(|error| ClientError::protocol_from("an event of the live output cannot be read", error))
}
