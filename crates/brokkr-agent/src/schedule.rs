//! When work may begin, and how much of each type at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_api::{AgentReport, HoldsBack, WorkTypeReport};
use chrono::{DateTime, SecondsFormat, Utc};

use crate::availability::Unavailable;
use crate::clock::Clock;
use crate::policy::{ClusterPolicy, Window};

/// The most characters that the broker takes of an agent's state.
const STATE_CHARS_MAX: usize = 64;
/// The most that the broker takes of a report.
const UNAVAILABLE_CHARS_MAX: usize = 256;
const WORK_TYPES_MAX: usize = 100;
/// What the broker is told while nothing stands against claiming.
pub(crate) const RUNNING: &str = "running";

/// The rules of the agent's place about when it begins work. They decide about claiming alone: what runs goes on.
pub trait Openings: Send + Sync {
    /// Whether work of this type is done here at all.
    fn permits(&self, work_type: &str) -> bool;

    /// Whether work may begin now.
    fn window(&self, now: DateTime<Utc>) -> Window;

    /// How many attempts of this type may run at the same time, where that is less than the agent's slots.
    fn slots(&self, work_type: &str) -> Option<usize>;
}

/// Work may begin at any time.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlwaysOpen;

impl Openings for AlwaysOpen {
    fn permits(&self, _work_type: &str) -> bool {
        true
    }

    fn window(&self, _now: DateTime<Utc>) -> Window {
        Window::Open { until: None }
    }

    fn slots(&self, _work_type: &str) -> Option<usize> {
        None
    }
}

impl Openings for ClusterPolicy {
    fn permits(&self, work_type: &str) -> bool {
        Self::permits(self, work_type).is_ok()
    }

    fn window(&self, now: DateTime<Utc>) -> Window {
        Self::window(self, now)
    }

    fn slots(&self, work_type: &str) -> Option<usize> {
        Self::slots(self, work_type)
    }
}

/// What the agent has and what it could do, at one moment.
#[derive(Debug, Default)]
pub(crate) struct Situation {
    /// How many attempts of each type are held.
    pub(crate) held: BTreeMap<String, usize>,
    /// The types that the agent can and may do.
    pub(crate) work_types: Vec<String>,
    /// Those of them that cannot be done now, and why.
    pub(crate) unavailable: Unavailable,
}

impl Situation {
    /// What nobody has been asked about is not.
    fn is_available(&self, work_type: &str) -> bool {
        self.unavailable
            .as_ref()
            .is_some_and(|unavailable| !unavailable.contains_key(work_type))
    }
}

/// What may be claimed at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chance {
    /// How much of all `work_types` together. Zero: nothing may be claimed before something has changed.
    pub(crate) max: usize,
    pub(crate) work_types: Vec<String>,
    /// For how long this holds at most, unless something is taken or given back.
    pub(crate) holds: Duration,
    /// What the broker is told, for people.
    pub(crate) state: String,
    /// The same for programs. Nothing before the executors were asked whether they can work.
    pub(crate) report: Option<AgentReport>,
}

/// Decides what may be claimed.
pub(crate) struct Schedule {
    pub(crate) openings: Arc<dyn Openings>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many attempts run at the same time.
    pub(crate) slots: usize,
    /// How long a chance holds that does not take in everything.
    pub(crate) look_again: Duration,
}

impl Schedule {
    /// What may be claimed now.
    pub(crate) fn chance(&self, situation: &Situation) -> Chance {
        let now = self.clock.now();
        let window = self.openings.window(now);
        let report = self.report(situation, window);
        let (closes, state) = match window {
            Window::Open { until } => (until, open_state(situation)),
            Window::Closed { until } => return self.nothing(closed_state(until), report),
        };
        let free_of_type = |work_type: &String| {
            let held = situation.held.get(work_type).copied().unwrap_or(0);
            let slots = self.openings.slots(work_type);
            slots.map_or(usize::MAX, |slots| slots.saturating_sub(held))
        };
        let able = situation
            .work_types
            .iter()
            .filter(|work_type| situation.is_available(work_type));
        let (work_types, free): (Vec<_>, Vec<_>) = able
            .map(|work_type| (work_type.clone(), free_of_type(work_type)))
            .filter(|(_, free)| 0 < *free)
            .unzip();
        let Some(narrowest) = free.into_iter().min() else {
            return self.nothing(state, report);
        };
        let whole = work_types.len() == situation.work_types.len();
        let until_closed = closes.map_or(Duration::MAX, |closes| {
            (closes - now).to_std().unwrap_or_default()
        });
        Chance {
            // The broker may answer with any of the types, so none of them may get more than it has room for.
            max: narrowest.min(self.slots.saturating_sub(situation.held.values().sum())),
            work_types,
            holds: until_closed.min(if whole { Duration::MAX } else { self.look_again }),
            state,
            report,
        }
    }

    /// What the agent is able to do, as the broker is told.
    fn report(&self, situation: &Situation, window: Window) -> Option<AgentReport> {
        let unavailable = situation.unavailable.as_ref()?;
        let number = |slots: usize| i64::try_from(slots).unwrap_or(i64::MAX);
        let of_type = |work_type: &String| WorkTypeReport {
            work_type: work_type.clone(),
            slots: self
                .openings
                .slots(work_type)
                .filter(|slots| *slots < self.slots)
                .map(number),
            unavailable: unavailable
                .get(work_type)
                .map(|reason| shortened(reason, UNAVAILABLE_CHARS_MAX)),
        };
        let (holds_back, opens) = match window {
            Window::Open { .. } => (None, None),
            Window::Closed { until } => (
                Some(HoldsBack::WindowClosed),
                Some(until).filter(|until| *until != DateTime::<Utc>::MAX_UTC),
            ),
        };
        Some(AgentReport {
            slots: number(self.slots),
            running: 0,
            work_types: situation
                .work_types
                .iter()
                .take(WORK_TYPES_MAX)
                .map(of_type)
                .collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            window_opens_at: opens.map(Into::into),
            holds_back,
        })
    }

    fn nothing(&self, state: String, report: Option<AgentReport>) -> Chance {
        Chance {
            max: 0,
            work_types: Vec::new(),
            holds: self.look_again,
            state,
            report,
        }
    }
}

fn open_state(situation: &Situation) -> String {
    if situation.work_types.is_empty() {
        return "running, but its policy allows no work".to_owned();
    }
    let reasons = situation
        .unavailable
        .iter()
        .flatten()
        .map(|(work_type, reason)| format!("; no {work_type}: {reason}"));
    shortened(
        &(RUNNING.to_owned() + &reasons.collect::<String>()),
        STATE_CHARS_MAX,
    )
}

fn closed_state(until: DateTime<Utc>) -> String {
    if until == DateTime::<Utc>::MAX_UTC {
        return "closed (no maintenance window will come)".to_owned();
    }
    let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("closed until {until} (maintenance window)")
}

/// At most as long as the broker takes it, and printable.
fn shortened(text: &str, chars_max: usize) -> String {
    let printable: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if printable.chars().count() <= chars_max {
        return printable;
    }
    let kept: String = printable.chars().take(chars_max - 1).collect();
    kept + "…"
}

#[cfg(test)]
mod tests;
