use std::collections::VecDeque;
use std::time::Duration;

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::Ending;
use futures_util::stream::{self, BoxStream};
use tracing::warn;

use super::Position;
use super::read::{OrderNow, OutputPiece, order_now, page};
use crate::app::App;
use crate::app::followers::Follower;
use crate::app::work_orders::ReadError;
use crate::dal::output;

/// How many pieces are read at once.
const PIECES: u32 = 200;

/// How long output that came to another replica may wait until it is looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What to follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FollowFrom {
    /// Only this attempt. Without it: the latest one and those that follow it.
    pub attempt: Option<Attempt>,
    /// Where to begin, instead of at the beginning of the attempt.
    pub position: Option<Position>,
    /// Bytes to leave out, when there is no position.
    pub after: u64,
}

/// Something that a follower is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputEvent {
    /// A piece of output.
    Piece(OutputPiece),
    /// No more will come.
    Ended {
        /// The last attempt.
        attempt: Attempt,
        /// How the order ended; `None` when only the attempt that was followed has.
        ending: Option<Ending>,
    },
}

/// The output of an order as it comes. A stream that stops without [`OutputEvent::Ended`] was interrupted.
pub type OutputEvents = BoxStream<'static, OutputEvent>;

impl App {
    /// Follows the output of an order until its ending, or until the broker stops.
    ///
    /// # Errors
    /// [`ReadError::Absent`] when there is no such order.
    pub async fn follow_output(&self, id: WorkOrderId, from: FollowFrom) -> Result<OutputEvents, ReadError> {
        let follower = self.followers.follow(id);
        let order = order_now(&mut self.db.read().await?, id).await?;
        let begin = Position {
            attempt: from.attempt.unwrap_or(order.latest),
            offset: from.after,
        };
        let live = Live {
            app: self.clone(),
            id,
            follower,
            only: from.attempt,
            position: from.position.unwrap_or(begin),
            ready: VecDeque::new(),
        };
        Ok(Box::pin(stream::unfold(Some(live), Live::step)))
    }
}

struct Live {
    app: App,
    id: WorkOrderId,
    follower: Follower,
    only: Option<Attempt>,
    position: Position,
    ready: VecDeque<OutputEvent>,
}

/// What to do after a look that found nothing new.
enum Next {
    Look,
    /// Nothing comes of this attempt any more, but of a later one.
    Move,
    Wait,
    End(Option<Ending>),
}

impl Live {
    async fn step(live: Option<Self>) -> Option<(OutputEvent, Option<Self>)> {
        let mut live = live?;
        let event = live.next().await?;
        let ended = matches!(event, OutputEvent::Ended { .. });
        Some((event, (!ended).then_some(live)))
    }

    async fn next(&mut self) -> Option<OutputEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match self.look().await {
                Ok(Next::Look | Next::Move) => {}
                Ok(Next::Wait) => self.wait().await?,
                Ok(Next::End(ending)) => {
                    return Some(OutputEvent::Ended {
                        attempt: self.position.attempt,
                        ending,
                    });
                }
                // Removed while it was followed: there is nothing to say about its end.
                Err(ReadError::Absent) => return None,
                Err(error @ ReadError::Storage(_)) => {
                    warn!(work_order.id = %self.id, error = %error, "live output was interrupted");
                    return None;
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Next, ReadError> {
        let mut tx = self.app.db.read().await?;
        let order = order_now(&mut tx, self.id).await?;
        let page = page(&mut tx, self.id, order, self.position, PIECES).await?;
        self.position.offset = page.next;
        self.ready.extend(page.pieces.into_iter().map(OutputEvent::Piece));
        if !self.ready.is_empty() {
            return Ok(Next::Look);
        }
        let next = self.after_silence(order, page.complete);
        if let Next::Move = next {
            // Not simply the next number: there are gaps after a restoration.
            let printed = output::next_attempt(&mut tx, self.id, self.position.attempt).await?;
            let attempt = printed.unwrap_or(order.latest).min(order.latest);
            self.position = Position { attempt, offset: 0 };
        }
        Ok(next)
    }

    fn after_silence(&self, order: OrderNow, complete: bool) -> Next {
        let attempt = self.position.attempt;
        let last = attempt >= order.latest;
        match order.ending {
            Some(ending) if last => return Next::End(Some(ending)),
            _ if complete && self.only.is_some() => return Next::End(None),
            _ => {}
        }
        if !last && self.only.is_none() {
            return Next::Move;
        }
        Next::Wait
    }

    /// `None` when the broker stops.
    async fn wait(&self) -> Option<()> {
        tokio::select! {
            () = self.app.stopping().cancelled() => None,
            () = self.follower.told() => Some(()),
            () = tokio::time::sleep(LOOK_INTERVAL) => Some(()),
        }
    }
}
