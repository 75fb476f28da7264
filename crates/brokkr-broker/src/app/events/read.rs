//! Reading events: a page, or a stream of them as they come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::events::EventPattern;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::names::Label;
use brokkr_core::pak::ShortPart;
use futures_util::stream::{self, BoxStream};
use tokio::time::Instant;
use tracing::warn;

use super::tail::{Listener, Reading};
use crate::app::App;
use crate::dal::events::{self, Event, Position};
use crate::dal::{DalError, credentials};

/// How many are read at once.
const PAGE: u32 = 1_000;
/// How often it is looked whether whoever listens still may.
const ACCESS_CHECKED_EVERY: Duration = Duration::from_secs(10);
/// How long a page waits for transactions that are about to end.
const UNSETTLED_PATIENCE: Duration = Duration::from_millis(500);
/// No request looks at more events than that, however few of them are wanted.
const SCANNED_MAX: usize = 20_000;
const UNSETTLED_INTERVAL: Duration = Duration::from_millis(10);

/// Which events somebody wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those of this order.
    pub work_order: Option<WorkOrderId>,
    /// Only those of this agent, and of the orders that it held then.
    pub agent: Option<AgentId>,
    /// Only those of orders that are for this label, and of agents that have it.
    pub label: Option<Label>,
    /// Only those of these types; of every type when there are none.
    pub types: Vec<EventPattern>,
}

impl EventFilter {
    /// Whether the event is one of those.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.work_order.is_none_or(|id| event.work_order == Some(id))
            && self.agent.is_none_or(|id| event.agent == Some(id))
            && self
                .label
                .as_ref()
                .is_none_or(|label| event.labels.iter().any(|own| own == label.as_str()))
            && (self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(event.kind)))
    }
}

/// Why no events are told.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Events after that position were forgotten.
    #[error(
        "the events after {after} are not kept any more, the first of those that are comes after {forgotten}"
    )]
    Forgotten {
        /// What was asked for.
        after: Position,
        /// The last one that was forgotten.
        forgotten: Position,
    },
    /// There is no event with that position yet.
    #[error("there is no event {0} yet")]
    Future(Position),
    /// As many listen as the broker holds.
    #[error("as many streams of events are open as the broker holds")]
    TooMany,
    /// The database did not do its part.
    #[error("could not read the events")]
    Storage(#[from] DalError),
}

/// Some events, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Those that were wanted.
    pub events: Vec<Event>,
    /// Everything up to here was looked at.
    pub next: Position,
    /// Whether there is more to look at.
    pub more: bool,
}

impl EventPage {
    const fn new(events: Vec<Event>, next: Position, more: bool) -> Self {
        Self { events, next, more }
    }
}

/// Something that a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Everything after this position will be told.
    Listening(Position),
    /// It happened.
    Event(Arc<Event>),
}

/// Events as they come. A stream that stops was interrupted: go on after the last one.
pub type Events = BoxStream<'static, Told>;

impl App {
    /// At most `limit` events after `after`, or from the first that is kept. An event that is seen is one before which nothing
    /// appears any more.
    ///
    /// # Errors
    /// [`EventsError::Forgotten`] and [`EventsError::Future`].
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        limit: u32,
    ) -> Result<EventPage, EventsError> {
        let after = match after {
            Some(after) => self.resumable(after).await?,
            None => events::forgotten(&mut self.db.read().await?).await?,
        };
        if filter.work_order.is_some() {
            return self.list_of_order(filter, after, limit).await;
        }
        let mut reading = Reading::after(after);
        let began = Instant::now();
        let (mut wanted, mut scanned) = (Vec::new(), 0);
        loop {
            let before = reading.position;
            let page = reading.next(&mut self.db.read().await?, PAGE).await?;
            scanned += page.len();
            for event in page.into_iter().filter(|event| filter.matches(event)) {
                let next = event.position;
                wanted.push(event);
                if wanted.len() >= limit as usize {
                    return Ok(EventPage::new(wanted, next, true));
                }
            }
            let waits = reading.unsettled() && began.elapsed() < UNSETTLED_PATIENCE;
            match reading.position > before {
                true if scanned < SCANNED_MAX => {}
                false if waits => tokio::time::sleep(UNSETTLED_INTERVAL).await,
                more => {
                    return Ok(EventPage::new(
                        wanted,
                        reading.position,
                        more || reading.unsettled(),
                    ));
                }
            }
        }
    }

    /// The events of one order take their positions while the order is locked, so each that is seen comes after all before it.
    async fn list_of_order(
        &self,
        filter: &EventFilter,
        after: Position,
        limit: u32,
    ) -> Result<EventPage, EventsError> {
        let mut tx = self.db.read().await?;
        let page = events::page(&mut tx, filter.work_order, after, Position::MAX, limit).await?;
        let next = page.last().map_or(after, |last| last.position);
        let more = page.len() >= limit as usize;
        let wanted = page.into_iter().filter(|event| filter.matches(event)).collect();
        Ok(EventPage::new(wanted, next, more))
    }

    /// Events as they come, from `after` on or from now on, until the broker stops or the key `listener` is not accepted any more.
    ///
    /// # Errors
    /// [`EventsError`].
    pub async fn listen_to_events(
        &self,
        listener: ShortPart,
        filter: EventFilter,
        after: Option<Position>,
    ) -> Result<Events, EventsError> {
        if let Some(after) = after {
            self.resumable(after).await?;
        }
        let tail = self.events.listen().ok_or(EventsError::TooMany)?;
        let live = Live {
            app: self.clone(),
            tail,
            key: listener,
            filter,
            position: after,
            told: false,
            ready: VecDeque::new(),
            checked_at: Instant::now(),
        };
        Ok(Box::pin(stream::unfold(live, async |mut live| {
            let told = live.next().await?;
            Some((told, live))
        })))
    }

    /// How many streams of events are open.
    #[must_use]
    pub fn event_listeners(&self) -> usize {
        self.events.listeners()
    }

    async fn resumable(&self, after: Position) -> Result<Position, EventsError> {
        let mut tx = self.db.read().await?;
        let forgotten = events::forgotten(&mut tx).await?;
        if after < forgotten {
            return Err(EventsError::Forgotten { after, forgotten });
        }
        if after > events::last(&mut tx).await?.max(forgotten) {
            return Err(EventsError::Future(after));
        }
        Ok(after)
    }
}

struct Live {
    app: App,
    tail: Listener,
    key: ShortPart,
    filter: EventFilter,
    position: Option<Position>,
    told: bool,
    ready: VecDeque<Arc<Event>>,
    checked_at: Instant,
}

impl Live {
    async fn next(&mut self) -> Option<Told> {
        if !self.told {
            let position = match self.position {
                Some(position) => position,
                None => self.wait().await?,
            };
            (self.told, self.position) = (true, Some(position));
            return Some(Told::Listening(position));
        }
        loop {
            if self.checked_at.elapsed() >= ACCESS_CHECKED_EVERY && !self.may_listen().await? {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(Told::Event(event));
            }
            let until = self.wait().await?;
            match self.read(until).await {
                Ok(true) => {}
                // So slow a reader has missed something, and hears so when it comes again.
                Ok(false) => return None,
                Err(error) => {
                    warn!(error = %error, "a stream of events was interrupted");
                    return None;
                }
            }
        }
    }

    /// Up to where there is something new. Nothing when the broker stops or the key is dead.
    async fn wait(&mut self) -> Option<Position> {
        loop {
            let check_at = self.checked_at + ACCESS_CHECKED_EVERY;
            tokio::select! {
                biased;
                () = self.app.stopping().cancelled() => return None,
                settled = self.tail.beyond(self.position) => return settled,
                () = tokio::time::sleep_until(check_at) => {}
            }
            if !self.may_listen().await? {
                return None;
            }
        }
    }

    async fn read(&mut self, until: Position) -> Result<bool, DalError> {
        let position = self.position.unwrap_or(until);
        if let Some(kept) = self.tail.kept(position, until) {
            self.ready
                .extend(kept.into_iter().filter(|event| self.filter.matches(event)));
            self.position = Some(until);
            return Ok(true);
        }
        let mut tx = self.app.db.read().await?;
        let page = events::page(&mut tx, self.filter.work_order, position, until, PAGE).await?;
        // Asked after the page was read: nothing of it was forgotten before then.
        if position < events::forgotten(&mut tx).await? {
            return Ok(false);
        }
        let full = page.len() >= PAGE as usize;
        let last = page.last().map(|event| event.position).filter(|_| full);
        self.position = Some(last.unwrap_or(until));
        let wanted = page.into_iter().filter(|event| self.filter.matches(event));
        self.ready.extend(wanted.map(Arc::new));
        Ok(true)
    }

    async fn may_listen(&mut self) -> Option<bool> {
        self.checked_at = Instant::now();
        let find = async {
            let mut tx = self.app.db.read().await?;
            credentials::find_live(&mut tx, &self.key, self.app.now()).await
        };
        match find.await {
            Ok(found) => Some(found.is_some()),
            Err(error) => {
                warn!(error = %error, "a stream of events was interrupted");
                None
            }
        }
    }
}
