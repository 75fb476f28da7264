//! Attempts: only the current one ends an order, what arrives in time counts, and none is lost before its lease has passed.

use brokkr_agent::attempt::AttemptId;
use brokkr_api::AttemptEnding;

use super::Case;
use crate::record::{Entry, Event};

pub(super) fn violations(case: &Case<'_>) -> Vec<String> {
    let current = case
        .entries
        .iter()
        .enumerate()
        .filter(|(position, entry)| !case.outdated(*position, &entry.event));
    let verdicts = current.map(|(_, entry)| match &entry.event {
        Event::Reported {
            id, success, status, ..
        } if (200..300).contains(status) => accepted(case, *id, *success),
        Event::Reported {
            id, success, status, ..
        } if (400..500).contains(status) => refused(case, entry, *id, *success),
        Event::Leased { id, until, .. } => lost_early(case, *id, *until),
        _ => None,
    });
    let mut found: Vec<_> = verdicts.flatten().collect();
    found.sort();
    found.dedup();
    found
}

/// The broker has accepted a report, so the attempt ended as reported.
fn accepted(case: &Case<'_>, id: AttemptId, success: bool) -> Option<String> {
    if !case.knows(id.order) {
        return None;
    }
    let ending = case.told(id).and_then(|told| told.row.ending);
    let fits = match ending {
        Some(AttemptEnding::Succeeded) => success,
        Some(AttemptEnding::Failed | AttemptEnding::Cancelled) => !success,
        _ => false,
    };
    let what = if success { "success" } else { "failure" };
    (!fits).then(|| {
        format!(
            "the {what} of {} was accepted, but it ended as {ending:?}",
            case.name(id)
        )
    })
}

/// The broker has refused a report, so the attempt was over, and not by the same outcome.
fn refused(case: &Case<'_>, entry: &Entry, id: AttemptId, success: bool) -> Option<String> {
    if !case.knows(id.order) || case.deleted.contains(&id.order) {
        return None;
    }
    let what = if success { "success" } else { "failure" };
    let told = case.told(id);
    let over = case.forgotten(id)
        || told
            .as_ref()
            .and_then(|told| told.ended_at)
            .is_some_and(|ended_at| ended_at <= entry.at);
    if !over {
        return Some(format!(
            "the {what} of {} was refused although the attempt was not over",
            case.name(id)
        ));
    }
    let same = told.and_then(|told| told.row.ending) == Some(AttemptEnding::Succeeded) && success;
    same.then(|| format!("the same success of {} was accepted and refused", case.name(id)))
}

/// The broker had promised the attempt until then.
fn lost_early(case: &Case<'_>, id: AttemptId, until: std::time::Duration) -> Option<String> {
    let told = case.told(id)?;
    let ended_at = told.ended_at?;
    let lost = told.row.ending == Some(AttemptEnding::Lost);
    (lost && ended_at < until).then(|| {
        format!(
            "{} was lost at {:.3}, before its lease had passed at {:.3}",
            case.name(id),
            ended_at.as_secs_f64(),
            until.as_secs_f64()
        )
    })
}
