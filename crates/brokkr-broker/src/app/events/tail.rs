//! One look at the database for everybody at this broker who listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::warn;

use crate::app::App;
use crate::dal::events::{self, Event, Position, Seen};
use crate::dal::{DalError, Tx};
use crate::error_chain::chain;

/// So many of the latest events are kept for those who listen. Whoever is further behind reads the database.
const KEPT: usize = 4_096;
/// How many are read at once.
const PAGE: u32 = 1_000;
/// How long a change at another broker may go unnoticed while somebody listens and the other broker is not heard.
const DEAF_INTERVAL: Duration = Duration::from_millis(100);
/// Where everybody is heard who writes events, only a look for what was never told is needed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How soon it is asked again whether transactions have ended before which nothing can be told.
const UNSETTLED_INTERVAL: Duration = Duration::from_millis(10);
/// Transactions that are open for longer are worth a warning: they hold up everybody who listens.
const UNSETTLED_LONG: Duration = Duration::from_secs(10);
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// More streams than that are refused.
const LISTENERS_MAX: usize = 1_000;

/// The latest settled events, and who waits for more. Cheap to clone; all clones are one broker's.
#[derive(Debug, Clone)]
pub(in crate::app) struct Tail(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    latest: Mutex<Latest>,
    /// Somebody began to listen.
    begun: Notify,
    /// Another broker has written events, or may have.
    look: Notify,
    /// Up to where all that will ever be is there.
    settled: watch::Sender<Option<Position>>,
}

#[derive(Debug, Default)]
struct Latest {
    listeners: usize,
    /// Changes whenever the first one begins to listen, so that nothing from before is added.
    round: u64,
    /// Everything after this position up to the settled one is kept.
    after: Position,
    events: VecDeque<Arc<Event>>,
}

/// Somebody who listens, until dropped.
#[derive(Debug)]
pub(in crate::app) struct Listener {
    tail: Tail,
    settled: watch::Receiver<Option<Position>>,
}

impl Default for Tail {
    fn default() -> Self {
        Self(Arc::new(Shared {
            latest: Mutex::default(),
            begun: Notify::new(),
            look: Notify::new(),
            settled: watch::Sender::new(None),
        }))
    }
}

impl Tail {
    /// Begins to listen, unless too many do.
    pub(in crate::app) fn listen(&self) -> Option<Listener> {
        let mut latest = self.latest();
        if latest.listeners >= LISTENERS_MAX {
            return None;
        }
        latest.listeners += 1;
        if latest.listeners == 1 {
            latest.round += 1;
            latest.events.clear();
            self.0.settled.send_replace(None);
            self.0.begun.notify_one();
        }
        Some(Listener {
            tail: self.clone(),
            settled: self.0.settled.subscribe(),
        })
    }

    /// Makes the broker look for events, if anybody listens.
    pub(in crate::app) fn look(&self) {
        self.0.look.notify_one();
    }

    /// How many listen.
    pub(in crate::app) fn listeners(&self) -> usize {
        self.latest().listeners
    }

    /// The round of those who listen now, if anybody does.
    fn round(&self) -> Option<u64> {
        let latest = self.latest();
        (latest.listeners > 0).then_some(latest.round)
    }

    /// Everything is settled up to `position`, where a round begins.
    fn begin(&self, round: u64, position: Position) {
        let mut latest = self.latest();
        if latest.round == round {
            latest.after = position;
            self.0.settled.send_replace(Some(position));
        }
    }

    /// `events` are all that there are up to `position`.
    fn add(&self, round: u64, events: Vec<Event>, position: Position) {
        let mut latest = self.latest();
        if latest.round != round {
            return;
        }
        latest.events.extend(events.into_iter().map(Arc::new));
        while latest.events.len() > KEPT {
            if let Some(oldest) = latest.events.pop_front() {
                latest.after = oldest.position;
            }
        }
        self.0.settled.send_replace(Some(position));
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Waits for something after `position`, and answers up to where all is there.
    pub(in crate::app) async fn beyond(&mut self, position: Option<Position>) -> Option<Position> {
        let beyond =
            |settled: &Option<Position>| settled.is_some_and(|at| position.is_none_or(|after| at > after));
        *self.settled.wait_for(beyond).await.ok()?
    }

    /// Those after `position` up to `until`, if they are all kept.
    pub(in crate::app) fn kept(&self, position: Position, until: Position) -> Option<Vec<Arc<Event>>> {
        let latest = self.tail.latest();
        if position < latest.after {
            return None;
        }
        let from = latest.events.partition_point(|event| event.position <= position);
        let to = latest.events.partition_point(|event| event.position <= until);
        Some(latest.events.range(from..to).cloned().collect())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tail.latest().listeners -= 1;
    }
}

/// Reads in the order of positions, without leaving out what appears later.
#[derive(Debug)]
pub(in crate::app) struct Reading {
    pub(in crate::app) position: Position,
    /// Something is missing before what can be seen, and how long that has been so.
    unsettled: Option<(Seen, Instant)>,
}

impl Reading {
    pub(in crate::app) const fn after(position: Position) -> Self {
        Self {
            position,
            unsettled: None,
        }
    }

    /// Whether something could be seen that cannot be told yet.
    pub(in crate::app) const fn unsettled(&self) -> bool {
        self.unsettled.is_some()
    }

    /// The next events, at most `limit`, and no more than that there are for good. None does not mean that there are no more
    /// when something is unsettled.
    pub(in crate::app) async fn next(&mut self, tx: &mut Tx, limit: u32) -> Result<Vec<Event>, DalError> {
        let settled = match self.unsettled {
            Some((seen, _)) if events::settled(tx, seen).await? => Some(seen.position),
            _ => None,
        };
        // Read after it was asked what is settled.
        let mut page = events::page(tx, None, self.position, Position::MAX, limit).await?;
        let full = page.len() >= limit as usize;
        let until = settled.unwrap_or(self.position);
        let mut end = self.position;
        let good = page.iter().take_while(|event| {
            let good = event.position <= until || event.position == end + 1;
            end = event.position;
            good
        });
        let good = good.count();
        let more = page.len() > good;
        page.truncate(good);
        self.position = match page.last() {
            Some(last) => last.position,
            None => self.position,
        };
        if !full || more {
            // What was not there up to here will never be.
            self.position = self.position.max(until);
        }
        if settled.is_some_and(|settled| self.position >= settled) {
            self.unsettled = None;
        }
        if more && self.unsettled.is_none() {
            self.unsettled = Some((events::seen(tx).await?, Instant::now()));
        }
        Ok(page)
    }
}

impl App {
    /// Reads events for all who listen at this broker, until the broker stops. Asks the database nothing while nobody does.
    pub async fn tail_events(&self) {
        let stopping = self.stopping();
        while !stopping.is_cancelled() {
            let Some(round) = self.events.round() else {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = self.events.0.begun.notified() => continue,
                }
            };
            if let Err(error) = self.tail_round(round).await {
                warn!(error = %chain(&error), "the events could not be read for those who listen");
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(FAILURE_PAUSE) => {}
                }
            }
        }
    }

    async fn tail_round(&self, round: u64) -> Result<(), DalError> {
        let known = *self.events.0.settled.borrow();
        let position = match known {
            // After a failure.
            Some(position) => position,
            None => {
                let Some(position) = self.settled_now(round).await? else {
                    return Ok(());
                };
                self.events.begin(round, position);
                position
            }
        };
        let mut reading = Reading::after(position);
        let mut warned = false;
        while self.events.round() == Some(round) {
            let before = reading.position;
            let changed = self.db.events_written();
            let page = reading.next(&mut self.db.read().await?, PAGE).await?;
            if reading.position > before {
                self.events.add(round, page, reading.position);
                continue;
            }
            match reading.unsettled {
                Some((_, since)) if since.elapsed() > UNSETTLED_LONG => {
                    if !warned {
                        warned = true;
                        warn!(
                            events.position = reading.position,
                            "events are held back by a transaction that has been open for long: see docs/events.md"
                        );
                    }
                }
                _ => warned = false,
            }
            let deaf = self.others_possible() && !*self.hears_others().borrow();
            let pause = match (reading.unsettled(), deaf) {
                (true, _) => UNSETTLED_INTERVAL,
                (false, true) => DEAF_INTERVAL,
                (false, false) => LOOK_INTERVAL,
            };
            tokio::select! {
                () = self.stopping().cancelled() => return Ok(()),
                () = changed => {}
                () = self.events.0.look.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// A position up to which everything is there. Nothing, when nobody waits for it any more.
    async fn settled_now(&self, round: u64) -> Result<Option<Position>, DalError> {
        let seen = events::seen(&mut self.db.read().await?).await?;
        loop {
            if events::settled(&mut self.db.read().await?, seen).await? {
                return Ok(Some(seen.position));
            }
            if self.events.round() != Some(round) {
                return Ok(None);
            }
            tokio::select! {
                () = self.stopping().cancelled() => return Ok(None),
                () = tokio::time::sleep(UNSETTLED_INTERVAL) => {}
            }
        }
    }
}
