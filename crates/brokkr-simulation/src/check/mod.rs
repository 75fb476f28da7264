//! What must be true of every simulation, whatever went wrong in it.

mod attempts;
mod orders;
mod restorations;
mod runs;

use std::collections::BTreeSet;
use std::time::Duration;

use brokkr_agent::attempt::AttemptId;
use brokkr_api::Attempt;
use uuid::Uuid;

use crate::clock::since_began;
use crate::evidence::Evidence;
use crate::record::{Entry, Event, Record};

/// What happened, and what the broker says of it.
pub(crate) struct Case<'c> {
    record: &'c Record,
    entries: Vec<Entry>,
    evidence: &'c Evidence,
    /// Everything has come to its end, so that what is still open stays open.
    over: bool,
    /// Somebody asked for their deletion, so they may be gone.
    deleted: BTreeSet<Uuid>,
}

/// An attempt as the broker tells of it.
#[derive(Debug, Clone)]
struct Told<'c> {
    row: &'c Attempt,
    ended_at: Option<Duration>,
}

/// Every promise that was broken, in words. What a restored backup has made forgotten is judged by what was known before.
pub(crate) fn violations(record: &Record, evidence: &Evidence) -> Vec<String> {
    let entries = record.entries();
    let mut found = Vec::new();
    if let Some(restoration) = &evidence.restoration {
        let earlier = entries[..restoration.position].to_vec();
        let earlier = Case::new(record, earlier, &restoration.before, false).violations();
        found.extend(
            earlier
                .iter()
                .map(|words| format!("before the restoration, {words}")),
        );
    }
    found.extend(Case::new(record, entries, evidence, true).violations());
    found
}

impl<'c> Case<'c> {
    fn new(record: &'c Record, entries: Vec<Entry>, evidence: &'c Evidence, over: bool) -> Self {
        let deleted = entries.iter().filter_map(|entry| match entry.event {
            Event::DeleteAsked { order } => Some(order),
            _ => None,
        });
        Self {
            record,
            deleted: deleted.collect(),
            entries,
            evidence,
            over,
        }
    }

    fn violations(&self) -> Vec<String> {
        let mut found = orders::violations(self);
        found.extend(attempts::violations(self));
        found.extend(runs::violations(self));
        found.extend(restorations::violations(self));
        found
    }
}

impl Case<'_> {
    fn told(&self, id: AttemptId) -> Option<Told<'_>> {
        let rows = self.evidence.attempts.get(&id.order)?;
        let row = rows.iter().find(|row| row.attempt == id.attempt)?;
        Some(Told {
            row,
            ended_at: row.ended_at.map(since_began),
        })
    }

    fn name(&self, id: AttemptId) -> String {
        self.record.name_of(id)
    }

    /// Whether the broker still knows the order, so that there is something to compare with.
    fn knows(&self, order: Uuid) -> bool {
        self.evidence.orders.contains_key(&order)
    }
}
