//! A host or cluster: work that goes on whatever becomes of the agent's process, and the endings that it has on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use brokkr_agent::StopReason;
use brokkr_agent::attempt::AttemptId;
use brokkr_agent::journal::Journal;
use brokkr_api::{EndingItem, FailureClass};
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use crate::clock::HostClock;
use crate::dice::{Dice, SharedDice};
use crate::record::{Event, Record, WorkEnd};
use crate::script::Script;

/// A host. All clones are one.
#[derive(Clone)]
pub(crate) struct Host(Arc<Inner>);

struct Inner {
    name: String,
    clock: HostClock,
    record: Record,
    scripts: Dice,
    disk: SharedDice,
    work: Mutex<BTreeMap<AttemptId, Work>>,
    journal: Mutex<BTreeMap<AttemptId, EndingItem>>,
}

/// Work on a host.
#[derive(Clone)]
struct Work {
    phase: watch::Receiver<Phase>,
    orders: watch::Sender<Orders>,
}

/// What work was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Orders {
    GoOn,
    Stop(StopReason),
    GoDown,
}

/// Where work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Succeeded,
    Failed(FailureClass),
    Stopped(StopReason),
    Killed,
}

impl Work {
    /// Whether its end says something about the order.
    fn tells_an_outcome(&self) -> bool {
        match *self.phase.borrow() {
            Phase::Running => *self.orders.borrow() == Orders::GoOn,
            Phase::Succeeded | Phase::Failed(_) => true,
            Phase::Stopped(_) | Phase::Killed => false,
        }
    }

    fn runs(&self) -> bool {
        *self.phase.borrow() == Phase::Running
    }
}

impl Host {
    pub(crate) fn new(name: String, clock: HostClock, record: Record, seed: &Dice) -> Self {
        let disk = SharedDice::new(seed.of("disks").of(&name));
        Self(Arc::new(Inner {
            name,
            clock,
            record,
            scripts: seed.of("scripts"),
            disk,
            work: Mutex::default(),
            journal: Mutex::default(),
        }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn clock(&self) -> &HostClock {
        &self.0.clock
    }

    pub(crate) fn script(&self, id: AttemptId) -> Script {
        Script::of(&self.0.scripts, id)
    }

    /// Starts the work of an attempt.
    pub(crate) fn start(&self, id: AttemptId) {
        let (ended, phase) = watch::channel(Phase::Running);
        let (orders, told) = watch::channel(Orders::GoOn);
        self.work().insert(id, Work { phase, orders });
        let host = self.0.name.clone();
        self.0.record.add(Event::Started { id, host });
        let (host, script) = (self.clone(), self.script(id));
        tokio::spawn(async move {
            let (phase, end) = run(script, told).await;
            let name = host.0.name.clone();
            host.0.record.add(Event::Stopped { id, host: name, end });
            ended.send_replace(phase);
        });
    }

    /// Tells work to stop, unless it was told before.
    pub(crate) fn stop(&self, id: AttemptId, reason: StopReason) {
        if let Some(work) = self.work().get(&id) {
            work.orders.send_if_modified(|orders| {
                let first = *orders == Orders::GoOn;
                if first {
                    *orders = Orders::Stop(reason);
                }
                first
            });
        }
    }

    /// Completes when the work is over. Nothing when there is none.
    pub(crate) async fn end_of(&self, id: AttemptId) -> Option<Phase> {
        let mut phase = self.work().get(&id)?.phase.clone();
        let ended = phase.wait_for(|phase| *phase != Phase::Running).await;
        ended.ok().map(|phase| *phase)
    }

    /// Whether the outcome of this attempt can be had here.
    pub(crate) fn has(&self, id: AttemptId, own: bool) -> bool {
        self.work()
            .get(&id)
            .is_some_and(|work| own || work.tells_an_outcome())
    }

    /// Another attempt at the order that still runs here.
    pub(crate) fn sibling(&self, id: AttemptId) -> Option<AttemptId> {
        let work = self.work();
        let mut siblings = work
            .iter()
            .filter(|(other, work)| other.order == id.order && **other != id && work.runs());
        siblings.next().map(|(id, _)| *id)
    }

    /// Forgets what the broker's answer makes superfluous.
    pub(crate) fn settled(&self, id: AttemptId, accepted: bool) {
        self.work().retain(|other, work| {
            let superfluous = match accepted {
                true => other.order == id.order,
                false => *other == id && !work.tells_an_outcome(),
            };
            !superfluous || work.runs()
        });
    }

    /// Stops the work of orders that nobody holds.
    pub(crate) fn tidy(&self, held: &BTreeSet<Uuid>) {
        let orphans: Vec<_> = {
            let work = self.work();
            work.iter()
                .filter(|(id, work)| !held.contains(&id.order) && work.runs())
                .map(|(id, _)| *id)
                .collect()
        };
        for id in orphans {
            self.stop(id, StopReason::LeaseLost);
        }
    }

    /// Everything that runs here ends at once.
    pub(crate) fn go_down(&self) {
        for work in self.work().values() {
            work.orders.send_replace(Orders::GoDown);
        }
    }

    fn work(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Work>> {
        self.0.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, BTreeMap<AttemptId, EndingItem>> {
        self.0.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(script: Script, mut told: watch::Receiver<Orders>) -> (Phase, WorkEnd) {
    let natural_end = sleep(script.duration);
    tokio::pin!(natural_end);
    let mut reason = None;
    let stopped = async {
        loop {
            let orders = *told.borrow_and_update();
            match orders {
                Orders::GoDown => return None,
                Orders::Stop(why) if reason.is_none() => {
                    reason = Some(why);
                    tokio::select! {
                        biased;
                        Ok(()) = told.changed() => {}
                        () = sleep(script.stopping) => return reason,
                    }
                }
                // Whoever tells it anything lives as long as the host.
                _ => drop(told.changed().await),
            }
        }
    };
    tokio::select! {
        biased;
        reason = stopped => match reason {
            Some(reason) => (Phase::Stopped(reason), WorkEnd::Stopped),
            None => (Phase::Killed, WorkEnd::Killed),
        },
        () = &mut natural_end => match script.failure {
            Some(class) => (Phase::Failed(class), WorkEnd::Failed),
            None => (Phase::Succeeded, WorkEnd::Succeeded),
        },
    }
}

#[async_trait]
impl Journal for Host {
    async fn record(&self, ending: &EndingItem) -> io::Result<()> {
        let wait = {
            let mut dice = self.0.disk.throw();
            match dice.per_mille(50) {
                true => dice.millis(100..3_000),
                false => dice.millis(1..5),
            }
        };
        sleep(wait).await;
        let id = AttemptId {
            order: ending.id,
            attempt: ending.attempt,
        };
        self.journal().insert(id, ending.clone());
        Ok(())
    }

    fn remove(&self, id: AttemptId) -> io::Result<()> {
        self.journal().remove(&id);
        Ok(())
    }

    fn all(&self) -> io::Result<Vec<EndingItem>> {
        Ok(self.journal().values().cloned().collect())
    }
}
