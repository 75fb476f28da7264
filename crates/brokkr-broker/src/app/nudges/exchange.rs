//! One connection's life: what is new here is told, and what others tell is done.
//!
//! Whoever begins to hear says hello; whoever hears that answers and looks at the database, since the other one may have
//! been unable to tell something. A broker that got no answer is alone and tells nothing.

use std::collections::HashSet;
use std::time::Duration;

use brokkr_core::ids::AgentId;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::message::Message;
use super::{NudgeError, Outbox};
use crate::app::App;
use crate::dal::DalError;
use crate::dal::nudges::Channel;

/// How long the database may take for one answer on the channel.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so long without a word the connection is asked for a sign of life.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Who has not answered a hello by then is not there.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// The shortest time from one nudge to the next. The first is told at once; under load it bounds what nudges cost, and stays
/// far below what a claim takes to come again.
const TOLD_EVERY: Duration = Duration::from_millis(5);

/// The shortest time from one nudge about events to the next, unless there is more to tell: whoever listens sees no difference,
/// and a broker under load writes events all the time.
const EVENTS_TOLD_EVERY: Duration = Duration::from_millis(25);

pub(super) struct Exchange<'a, L> {
    app: &'a App,
    channel: Channel,
    name: &'a str,
    outbox: Outbox,
    others: HashSet<String>,
    hearing: Option<Hearing<'a>>,
    look: &'a L,
}

/// When something is to be done next.
struct Moments {
    /// The connection is asked for a sign of life.
    ask: Instant,
    /// The outbox may be looked into.
    tell: Instant,
    /// It may be told that there are events.
    events: Instant,
    /// Whoever is there has answered.
    alone: Option<Instant>,
}

impl<'a, L: Fn() + Sync> Exchange<'a, L> {
    pub(super) fn new(app: &'a App, channel: Channel, look: &'a L) -> Self {
        Self {
            app,
            channel,
            name: app.nudges.name(app),
            outbox: app.nudges.outbox(),
            others: HashSet::new(),
            hearing: None,
            look,
        }
    }

    /// Goes on until the broker stops.
    pub(super) async fn run(mut self) -> Result<(), NudgeError> {
        // Before the hello: what is new after somebody has looked because of that has to be told.
        self.outbox.open();
        let hello = Message {
            hello: true,
            ..Message::of(self.name)
        };
        self.tell(&hello).await?;
        let outbox = self.outbox.clone();
        let mut written = Box::pin(self.app.db.events_written());
        let now = Instant::now();
        let mut next = Moments {
            ask: now + SILENCE_MAX,
            tell: now,
            events: now,
            alone: Some(now + ANSWERED_WITHIN),
        };
        loop {
            tokio::select! {
                () = self.app.stopping().cancelled() => break,
                heard = self.channel.hear() => {
                    self.heard(&heard?).await?;
                    next.ask = Instant::now() + SILENCE_MAX;
                }
                () = after(next.events, written.as_mut()) => {
                    written.set(self.app.db.events_written());
                    outbox.add_events();
                    next.events = Instant::now() + EVENTS_TOLD_EVERY;
                }
                () = filled(&outbox, next.tell) => {
                    self.tell_news().await?;
                    next.tell = Instant::now() + TOLD_EVERY;
                }
                () = at(next.alone) => {
                    next.alone = None;
                    self.close_if_alone();
                }
                () = sleep_until(next.ask) => {
                    self.sign_of_life().await?;
                    next.ask = Instant::now() + SILENCE_MAX;
                }
            }
        }
        self.stop().await
    }

    async fn stop(mut self) -> Result<(), NudgeError> {
        self.tell_news().await?;
        let bye = Message {
            bye: true,
            ..Message::of(self.name)
        };
        self.tell(&bye).await?;
        drop(self.hearing);
        timeout(PATIENCE, self.channel.close()).await.ok();
        Ok(())
    }

    async fn sign_of_life(&mut self) -> Result<(), NudgeError> {
        if self.hearing.is_none() {
            return Err(NudgeError::Unheard);
        }
        in_time(self.channel.ping()).await
    }

    async fn tell_news(&mut self) -> Result<(), NudgeError> {
        for payload in self.outbox.take(self.name) {
            in_time(self.channel.tell(&payload)).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, message: &Message) -> Result<(), NudgeError> {
        in_time(self.channel.tell(&message.to_json())).await
    }

    async fn heard(&mut self, payload: &str) -> Result<(), NudgeError> {
        let message = match Message::from_json(payload) {
            Ok(message) => message,
            Err(error) => {
                debug!(%error, "ignored a nudge that makes no sense");
                return Ok(());
            }
        };
        self.app.keys.forget(&message.forgotten());
        if message.from == self.name {
            self.proven();
            return Ok(());
        }
        self.obey(&message);
        match self.meet(message) {
            Some(answer) => self.tell(&answer).await,
            None => Ok(()),
        }
    }

    fn obey(&self, message: &Message) {
        let waiters = &self.app.waiters;
        for (work, count) in message.work() {
            waiters.wake_heard(&work, count);
        }
        for agent in &message.agents {
            waiters.wake_agent_heard(AgentId::new(*agent));
        }
        if message.look || message.hello {
            (self.look)();
        }
        if message.events || message.look || message.hello {
            self.app.events.look();
        }
    }

    /// Takes note of who is there, and answers who has not heard of this broker or has missed something of it.
    fn meet(&mut self, message: Message) -> Option<Message> {
        let Message { from, hello, bye, .. } = message;
        if bye {
            self.others.remove(&from);
            self.close_if_alone();
        }
        if bye || from.is_empty() {
            return None;
        }
        self.others.insert(from);
        let look = self.outbox.open();
        (hello || look).then(|| Message {
            look,
            ..Message::of(self.name)
        })
    }

    fn close_if_alone(&self) {
        if self.others.is_empty() {
            self.outbox.close();
        }
    }

    /// The broker hears what is told, and what was told before may have been missed.
    fn proven(&mut self) {
        if self.hearing.is_none() {
            self.hearing = Some(Hearing::begin(self.app));
            (self.look)();
            self.app.events.look();
        }
    }
}

/// Keys may be remembered exactly as long as this lives.
struct Hearing<'a>(&'a App);

impl<'a> Hearing<'a> {
    fn begin(app: &'a App) -> Self {
        app.keys.open();
        app.nudges.hearing.send_replace(true);
        Self(app)
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        self.0.keys.close();
        self.0.nudges.hearing.send_replace(false);
    }
}

async fn filled(outbox: &Outbox, not_before: Instant) {
    after(not_before, outbox.filled()).await;
}

async fn after(moment: Instant, then: impl Future<Output = ()>) {
    sleep_until(moment).await;
    then.await;
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T, DalError>>) -> Result<T, NudgeError> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(NudgeError::Silent),
    }
}
