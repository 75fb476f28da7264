//! What happened, in the order in which it did.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_agent::attempt::AttemptId;
use uuid::Uuid;

use crate::clock::SimulatedClock;

/// How work came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkEnd {
    /// By itself, and well.
    Succeeded,
    /// By itself, and not well.
    Failed,
    /// It was told to stop.
    Stopped,
    /// Its host went down.
    Killed,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A fault, or something else that only explains the rest.
    Note(String),
    /// The broker has accepted an order, under this key if there was one, whether or not anybody has heard it.
    Accepted { order: Uuid, key: Option<String> },
    /// Somebody has heard that the order was accepted under this key.
    Confirmed { order: Uuid, key: String },
    /// The broker gave out an attempt, or kept it going, until this time.
    Leased {
        id: AttemptId,
        agent: String,
        until: Duration,
    },
    /// The broker has taken an attempt back from whoever had not begun it.
    Released { id: AttemptId, agent: String },
    /// Work began.
    Started { id: AttemptId, host: String },
    /// Work is over.
    Stopped {
        id: AttemptId,
        host: String,
        end: WorkEnd,
    },
    /// The broker has answered a report.
    Reported {
        id: AttemptId,
        agent: String,
        success: bool,
        status: u16,
    },
    /// Somebody asked the broker to delete an order.
    DeleteAsked { order: Uuid },
}

/// An event and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) event: Event,
}

/// The record of one simulation. All clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    clock: SimulatedClock,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<Entry>,
    numbers: BTreeMap<Uuid, usize>,
}

impl Record {
    pub(crate) fn new(clock: SimulatedClock) -> Self {
        Self {
            clock,
            kept: Arc::default(),
        }
    }

    pub(crate) fn add(&self, event: Event) {
        let at = self.clock.elapsed();
        let mut kept = self.kept();
        if let Event::Accepted { order, .. } = &event {
            let next = kept.numbers.len() + 1;
            kept.numbers.entry(*order).or_insert(next);
        }
        kept.entries.push(Entry { at, event });
    }

    pub(crate) fn note(&self, note: impl Into<String>) {
        self.add(Event::Note(note.into()));
    }

    /// How many things have happened so far.
    pub(crate) fn length(&self) -> usize {
        self.kept().entries.len()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.kept().entries.clone()
    }

    /// A short name for an order.
    pub(crate) fn name(&self, order: Uuid) -> String {
        match self.kept().numbers.get(&order) {
            Some(number) => format!("#{number}"),
            None => order.to_string(),
        }
    }

    /// A short name for an attempt.
    pub(crate) fn name_of(&self, id: AttemptId) -> String {
        format!("{}.{}", self.name(id.order), id.attempt)
    }

    /// Everything, a line each.
    pub(crate) fn story(&self) -> Vec<String> {
        let entries = self.entries();
        entries
            .iter()
            .map(|entry| format!("{:>10.3}  {}", entry.at.as_secs_f64(), self.told(&entry.event)))
            .collect()
    }

    fn told(&self, event: &Event) -> String {
        match event {
            Event::Note(note) => note.clone(),
            Event::Accepted { order, .. } => format!("broker    accepts {} ({order})", self.name(*order)),
            Event::Confirmed { order, key } => {
                format!("user      hears that {key} is {}", self.name(*order))
            }
            Event::Leased { id, agent, until } => format!(
                "broker    leases {} to {agent} until {:.3}",
                self.name_of(*id),
                until.as_secs_f64()
            ),
            Event::Released { id, agent } => {
                format!("broker    takes {} back from {agent}", self.name_of(*id))
            }
            Event::Started { id, host } => format!("{host:<9} starts {}", self.name_of(*id)),
            Event::Stopped { id, host, end } => format!("{host:<9} {end} {}", self.name_of(*id)),
            Event::Reported {
                id,
                agent,
                success,
                status,
            } => {
                let what = if *success { "success" } else { "failure" };
                format!(
                    "broker    answers {status} to {agent}: {what} of {}",
                    self.name_of(*id)
                )
            }
            Event::DeleteAsked { order } => format!("user      asks to delete {}", self.name(*order)),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for WorkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "is done with",
            Self::Failed => "fails at",
            Self::Stopped => "stops",
            Self::Killed => "goes down with",
        })
    }
}
