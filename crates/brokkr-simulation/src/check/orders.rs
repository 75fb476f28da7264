//! Orders: each that was accepted is in one place, comes to its end, and adds up.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_api::{AttemptEnding, Delivery, Ending, WorkOrderLog};
use uuid::Uuid;

use super::Case;
use crate::record::{Event, WorkEnd};

pub(super) fn violations(case: &Case<'_>) -> Vec<String> {
    let mut found = places(case);
    found.extend(keys(case));
    found.extend(left_over(case));
    found.extend(changed_entries(case));
    for entry in &case.evidence.log {
        found.extend(sums(case, entry));
        found.extend(ending(case, entry));
    }
    found
}

/// In the queue or in the log, never both, never neither.
fn places(case: &Case<'_>) -> Vec<String> {
    let queued: BTreeSet<_> = case.evidence.queue.iter().map(|order| order.id).collect();
    let logged: BTreeSet<_> = case.evidence.log.iter().map(|entry| entry.id).collect();
    let name = |order: &Uuid| case.record.name(*order);
    let mut found: Vec<_> = queued
        .intersection(&logged)
        .map(|order| format!("{} is in the queue and in the log", name(order)))
        .collect();
    let accepted: BTreeSet<_> = case
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Accepted { order, .. } | Event::Confirmed { order, .. } => Some(*order),
            _ => None,
        })
        .collect();
    let gone = accepted.iter().filter(|order| {
        let kept = queued.contains(order) || logged.contains(order);
        !kept && !case.deleted.contains(order) && !case.given_up(**order)
    });
    found.extend(gone.map(|order| format!("{} was accepted and is nowhere", name(order))));
    found
}

/// One order for each idempotency key, and no order of which nobody knows why it is there.
fn keys(case: &Case<'_>) -> Vec<String> {
    if !case.over {
        return Vec::new();
    }
    let mut of_key: BTreeMap<&str, Uuid> = BTreeMap::new();
    let mut found = Vec::new();
    for entry in &case.entries {
        if let Event::Confirmed { order, key } = &entry.event
            && of_key.insert(key, *order).is_some_and(|other| other != *order)
        {
            found.push(format!("{key} led to two orders"));
        }
    }
    let confirmed: BTreeSet<_> = of_key.values().copied().collect();
    let strange = case
        .evidence
        .orders
        .values()
        .filter(|order| order.retry_of.is_none() && !confirmed.contains(&order.id))
        .filter(|order| !case.repeated(order.id, &of_key));
    found.extend(strange.map(|order| format!("nobody submitted {}", case.record.name(order.id))));
    found
}

/// Nothing stays in the queue once everything is healed.
fn left_over(case: &Case<'_>) -> Vec<String> {
    let left = case.evidence.queue.iter().filter(|_| case.over);
    left.map(|order| {
        let name = case.record.name(order.id);
        format!("{name} is {:?} for ever", order.status)
    })
    .collect()
}

/// A log entry never changes.
fn changed_entries(case: &Case<'_>) -> Vec<String> {
    let changed = case.evidence.seen.iter().filter(|seen| {
        let now = case.evidence.log.iter().find(|entry| entry.id == seen.id);
        now != Some(seen)
    });
    changed
        .map(|seen| format!("the log entry of {} has changed", case.record.name(seen.id)))
        .collect()
}

/// Counts and attempts fit together.
fn sums(case: &Case<'_>, entry: &WorkOrderLog) -> Vec<String> {
    let name = case.record.name(entry.id);
    let rows = case
        .evidence
        .attempts
        .get(&entry.id)
        .map_or(&[][..], Vec::as_slice);
    let mut numbers: Vec<_> = rows.iter().map(|row| row.attempt).collect();
    numbers.sort_unstable();
    let mut found = Vec::new();
    if numbers != case.numbers_up_to(entry.attempt, &numbers) {
        found.push(format!(
            "{name} ended with attempt {}, but has {numbers:?}",
            entry.attempt
        ));
    }
    if rows.iter().any(|row| row.ending.is_none()) {
        found.push(format!("{name} is in the log with an attempt that has not ended"));
    }
    let count = |ending| rows.iter().filter(|row| row.ending == Some(ending)).count() as i64;
    let (lost, failed) = (count(AttemptEnding::Lost), count(AttemptEnding::Failed));
    // The loss or failure that ends the order does not count as a reason to try again.
    if !(entry.lost_count..=entry.lost_count + 1).contains(&lost) {
        found.push(format!(
            "{name} counts {} losses, but lost {lost}",
            entry.lost_count
        ));
    }
    let retries = entry.retries_attempted + entry.infrastructure_retries_attempted;
    if !(retries..=retries + 1).contains(&failed) {
        found.push(format!(
            "{name} counts {retries} retries, but failed {failed} times"
        ));
    }
    let order = case.evidence.orders.get(&entry.id);
    if order.is_some_and(|order| {
        entry.lost_count + entry.retries_attempted > order.max_retries
            || entry.infrastructure_retries_attempted > order.infrastructure_retries_max
    }) {
        found.push(format!("{name} was tried again more often than it may"));
    }
    let early = rows.iter().filter(|row| row.attempt < entry.attempt);
    let once = order.is_some_and(|order| order.delivery == Delivery::AtMostOnce);
    if once && early.clone().any(|row| row.ending == Some(AttemptEnding::Lost)) {
        found.push(format!(
            "{name} must run at most once, and was tried again after a loss"
        ));
    }
    found
}

/// The order ended as its last attempt did, and a success is one of the work.
fn ending(case: &Case<'_>, entry: &WorkOrderLog) -> Vec<String> {
    let name = case.record.name(entry.id);
    let rows = case
        .evidence
        .attempts
        .get(&entry.id)
        .map_or(&[][..], Vec::as_slice);
    let last = rows.iter().find(|row| row.attempt == entry.attempt);
    let last = last.and_then(|row| row.ending);
    let fits = match entry.ending {
        Ending::Succeeded => last == Some(AttemptEnding::Succeeded),
        Ending::Failed => last == Some(AttemptEnding::Failed),
        Ending::Lost => last == Some(AttemptEnding::Lost),
        Ending::Cancelled | Ending::Expired => true,
    };
    let mut found = Vec::new();
    if !fits {
        found.push(format!(
            "{name} ended as {}, but its last attempt as {last:?}",
            entry.ending
        ));
    }
    let done = case.entries.iter().any(|seen| match seen.event {
        Event::Stopped { id, end, .. } => {
            id.order == entry.id && id.attempt <= entry.attempt && end == WorkEnd::Succeeded
        }
        _ => false,
    });
    if entry.success && !done {
        found.push(format!("{name} ended as succeeded, but its work was never done"));
    }
    found
}
