//! What is to be told, until it is told.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokkr_core::ids::AgentId;
use tokio::sync::Notify;

use super::message;
use crate::app::waiters::Work;

/// More different things are not worth telling one by one.
const THINGS_MAX: usize = 1_000;

/// What the other brokers are to be told. Cheap to clone; all clones share it. It is closed, and keeps nothing, as long as
/// there is nobody to be told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: AtomicBool,
    news: Mutex<News>,
    filled: Notify,
}

/// What is new, each thing once.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Work that nobody here waited for, and how many pieces of it.
    pub(super) work: HashMap<Work, u32>,
    /// Agents whose routes or status have changed.
    pub(super) agents: BTreeSet<AgentId>,
    /// Events were written.
    pub(super) events: bool,
    /// There was more.
    pub(super) too_much: bool,
}

impl News {
    fn is_empty(&self) -> bool {
        self.work.is_empty() && self.agents.is_empty() && !self.events && !self.too_much
    }

    /// Keeps no more than is worth telling.
    fn bound(&mut self) {
        if self.work.len() + self.agents.len() > THINGS_MAX {
            *self = Self {
                too_much: true,
                events: self.events,
                ..Self::default()
            };
        }
    }
}

impl Outbox {
    /// From now on everything is kept. Answers whether it was closed, so that something may be missing.
    pub(crate) fn open(&self) -> bool {
        !self.0.open.swap(true, Ordering::SeqCst)
    }

    /// Throws away what is there, and keeps nothing.
    pub(super) fn close(&self) {
        self.0.open.store(false, Ordering::SeqCst);
        *self.0.news() = News::default();
    }

    /// Whether anything is kept.
    pub(crate) fn is_open(&self) -> bool {
        self.0.open.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.news().is_empty()
    }

    /// Work that nobody here waits for.
    pub(crate) fn add_work(&self, work: impl IntoIterator<Item = Work>) {
        let mut work = work.into_iter().peekable();
        if work.peek().is_none() {
            return;
        }
        self.add(|news| {
            for work in work {
                *news.work.entry(work).or_default() += 1;
                news.bound();
            }
        });
    }

    /// An agent whose routes or status have changed.
    pub(crate) fn add_agent(&self, agent: AgentId) {
        self.add(|news| {
            news.agents.insert(agent);
            news.bound();
        });
    }

    /// Events, for whoever listens elsewhere.
    pub(super) fn add_events(&self) {
        self.add(|news| news.events = true);
    }

    fn add(&self, change: impl FnOnce(&mut News)) {
        if !self.is_open() {
            return;
        }
        let mut news = self.0.news();
        let was_empty = news.is_empty();
        change(&mut news);
        drop(news);
        if was_empty {
            self.0.filled.notify_one();
        }
    }

    /// Waits until there is something to tell.
    pub(super) async fn filled(&self) {
        self.0.filled.notified().await;
    }

    /// Takes all that is to be told, as payloads of `from`.
    pub(super) fn take(&self, from: &str) -> Vec<String> {
        let news = std::mem::take(&mut *self.0.news());
        message::to_tell(from, news)
    }
}

impl Shared {
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::names::WorkType;
    use brokkr_core::routing::Route;
    use futures_util::FutureExt as _;

    use super::*;

    fn work(name: &str) -> Work {
        Work {
            routes: vec![Route::stored(format!("label:{name}"))],
            work_type: Some(WorkType::parse("command").unwrap()),
        }
    }

    #[test]
    fn a_thousand_pieces_of_work_that_gather_are_told_at_once() {
        let outbox = Outbox::default();
        outbox.open();
        for number in 0..1_000 {
            outbox.add_work([work(["a", "b"][number % 2])]);
        }
        assert!(outbox.filled().now_or_never().is_some());
        let told = outbox.take("x");
        assert_eq!(told.len(), 1);
        assert!(told[0].contains(",500]") && told[0].len() < 200, "{}", told[0]);
        assert!(outbox.filled().now_or_never().is_none());
        assert!(outbox.take("x").is_empty());
    }

    #[test]
    fn more_than_is_worth_telling_is_told_as_a_request_to_look() {
        let outbox = Outbox::default();
        outbox.open();
        outbox.add_work((0..=THINGS_MAX).map(|number| work(&number.to_string())));
        assert_eq!(outbox.take("x"), [r#"{"from":"x","look":true}"#]);
    }

    #[test]
    fn events_are_told_with_whatever_else_is_new_and_with_a_request_to_look() {
        let outbox = Outbox::default();
        outbox.open();
        outbox.add_events();
        outbox.add_events();
        assert_eq!(outbox.take("x"), [r#"{"from":"x","events":true}"#]);
        outbox.add_events();
        outbox.add_work((0..=THINGS_MAX).map(|number| work(&number.to_string())));
        assert_eq!(outbox.take("x"), [r#"{"from":"x","events":true,"look":true}"#]);
    }

    #[test]
    fn a_broker_without_others_keeps_nothing() {
        let outbox = Outbox::default();
        outbox.add_work([work("a")]);
        assert!(outbox.filled().now_or_never().is_none());
        assert!(outbox.open() && !outbox.open());
        outbox.add_work([work("a")]);
        outbox.close();
        assert!(outbox.take("x").is_empty());
    }
}
