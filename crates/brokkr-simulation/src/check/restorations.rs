//! A restored backup: what it knows stays, what was held is lost, and nothing from before is taken for something from now.
//!
//! What was done after the backup is forgotten, and no more than that.

use std::collections::BTreeMap;
use std::time::Duration;

use brokkr_agent::attempt::AttemptId;
use brokkr_api::{Attempt, AttemptEnding};
use uuid::Uuid;

use super::Case;
use crate::record::Event;
use crate::restoration::Restoration;

pub(super) fn violations(case: &Case<'_>) -> Vec<String> {
    let Some(restoration) = &case.evidence.restoration else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (order, rows) in &restoration.backup.attempts {
        if !case.deleted.contains(order) {
            found.extend(rows.iter().filter_map(|row| kept(case, restoration, *order, row)));
        }
    }
    for (order, rows) in &case.evidence.attempts {
        let new = rows.iter().map(|row| row.attempt);
        let new =
            new.filter(|number| *number <= restoration.epoch && restoration.row(*order, *number).is_none());
        found.extend(new.map(|attempt| {
            let name = case.name(AttemptId {
                order: *order,
                attempt,
            });
            format!("{name} was made after the restoration, and is not numbered above it")
        }));
    }
    found
}

/// An attempt of the backup that had ended is as it was, and one that had not is lost.
fn kept(case: &Case<'_>, restoration: &Restoration, order: Uuid, row: &Attempt) -> Option<String> {
    let id = AttemptId {
        order,
        attempt: row.attempt,
    };
    let told = case.told(id);
    if row.ending.is_some() {
        let same = told.is_some_and(|told| told.row == row);
        return (!same).then(|| format!("{} is not what the backup says", case.name(id)));
    }
    let lost = told.is_some_and(|told| {
        told.row.ending == Some(AttemptEnding::Lost)
            && told.ended_at.is_some_and(|ended_at| ended_at >= restoration.at)
    });
    (!lost).then(|| format!("{} was held in the backup, and was not lost", case.name(id)))
}

impl Restoration {
    fn row(&self, order: Uuid, attempt: i64) -> Option<&Attempt> {
        let rows = self.backup.attempts.get(&order)?;
        rows.iter().find(|row| row.attempt == attempt)
    }

    fn had_ended(&self, id: AttemptId) -> bool {
        self.row(id.order, id.attempt)
            .is_some_and(|row| row.ending.is_some())
    }
}

impl Case<'_> {
    fn restoration(&self) -> Option<&Restoration> {
        self.evidence.restoration.as_deref()
    }

    /// Whether the attempt was made before a restoration whose backup does not know it.
    pub(super) fn forgotten(&self, id: AttemptId) -> bool {
        self.restoration().is_some_and(|restoration| {
            id.attempt <= restoration.epoch && restoration.row(id.order, id.attempt).is_none()
        })
    }

    /// Whether the broker said this before a restoration whose backup has the attempt as open, or not at all.
    pub(super) fn outdated(&self, position: usize, event: &Event) -> bool {
        let (Event::Leased { id, .. } | Event::Reported { id, .. }) = event else {
            return false;
        };
        self.restoration()
            .is_some_and(|restoration| position < restoration.position && !restoration.had_ended(*id))
    }

    /// Whether the order was accepted after the backup was taken, and not again after it was restored.
    pub(super) fn given_up(&self, order: Uuid) -> bool {
        let Some(restoration) = self.restoration() else {
            return false;
        };
        let since = &self.entries[restoration.position..];
        let again = since
            .iter()
            .any(|entry| matches!(entry.event, Event::Accepted { order: accepted, .. } if accepted == order));
        !again && !restoration.backup.orders.contains_key(&order)
    }

    /// Whether the order comes of a late copy of a request whose own order was given up.
    pub(super) fn repeated(&self, order: Uuid, of_key: &BTreeMap<&str, Uuid>) -> bool {
        let mut keys = self.entries.iter().filter_map(|entry| match &entry.event {
            Event::Accepted {
                order: accepted,
                key: Some(key),
            } if *accepted == order => Some(key.as_str()),
            _ => None,
        });
        keys.any(|key| of_key.get(key).is_some_and(|first| self.given_up(*first)))
    }

    pub(super) fn since_restoration(&self, at: Duration) -> bool {
        self.restoration().is_some_and(|restoration| at >= restoration.at)
    }

    /// The numbers that attempts have up to this one: without gaps, but for the one that a restoration makes.
    pub(super) fn numbers_up_to(&self, last: i64, numbers: &[i64]) -> Vec<i64> {
        let epoch = self.restoration().map_or(0, |restoration| restoration.epoch);
        if last <= epoch {
            return (1..=last).collect();
        }
        let earlier = numbers.iter().filter(|number| **number <= epoch).count() as i64;
        (1..=earlier).chain(epoch + 1..=last).collect()
    }
}
