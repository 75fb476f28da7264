//! Work: it runs twice only where the broker has said that the earlier attempt is lost.

use std::time::Duration;

use brokkr_agent::attempt::AttemptId;
use brokkr_api::AttemptEnding;

use super::Case;
use crate::record::Event;

/// The work of one attempt, from its start to its end.
#[derive(Debug, Clone)]
struct Run {
    id: AttemptId,
    host: String,
    from: Duration,
    to: Duration,
}

pub(super) fn violations(case: &Case<'_>) -> Vec<String> {
    let runs = runs(case);
    let mut found = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        found.extend(unwarranted(case, run));
        for later in &runs[index + 1..] {
            if run.id.order == later.id.order {
                found.extend(together(case, run, later));
            }
        }
    }
    found
}

fn runs(case: &Case<'_>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in &case.entries {
        match &entry.event {
            Event::Started { id, host } => runs.push(Run {
                id: *id,
                host: host.clone(),
                from: entry.at,
                to: Duration::MAX,
            }),
            Event::Stopped { id, host, .. } => {
                let stopped = runs.iter_mut().find(|run| run.id == *id && run.host == *host);
                if let Some(run) = stopped {
                    run.to = entry.at;
                }
            }
            _ => {}
        }
    }
    runs
}

/// Work of an attempt that was over, or of one that its agent said it had not begun.
fn unwarranted(case: &Case<'_>, run: &Run) -> Option<String> {
    if case.deleted.contains(&run.id.order) {
        return None;
    }
    let Some(told) = case.told(run.id) else {
        let name = case.name(run.id);
        if case.forgotten(run.id) {
            return case
                .since_restoration(run.from)
                .then(|| format!("{} started {name} after the restoration", run.host));
        }
        return case
            .knows(run.id.order)
            .then(|| format!("{} started {name}, which the broker never gave out", run.host));
    };
    let name = case.name(run.id);
    if told.row.ending == Some(AttemptEnding::Released) {
        return Some(format!("{name} was released, but {} had started it", run.host));
    }
    let late = told.ended_at.is_some_and(|ended_at| ended_at < run.from);
    late.then(|| format!("{} started {name} after it was over", run.host))
}

/// Two runs of one order.
fn together(case: &Case<'_>, one: &Run, other: &Run) -> Option<String> {
    if one.id == other.id {
        return Some(format!(
            "{} and {} both started {}",
            one.host,
            other.host,
            case.name(one.id)
        ));
    }
    let (earlier, later) = if one.id.attempt < other.id.attempt {
        (one, other)
    } else {
        (other, one)
    };
    let overlap = earlier.from < later.to && later.from < earlier.to;
    if !overlap || !case.knows(earlier.id.order) {
        return None;
    }
    // What the broker does not know it cannot wait for; what was known before was judged by that.
    if case.forgotten(earlier.id) || case.forgotten(later.id) {
        return None;
    }
    let lost = case.told(earlier.id).is_some_and(|told| {
        told.row.ending == Some(AttemptEnding::Lost)
            && told.ended_at.is_some_and(|ended_at| ended_at <= later.from)
    });
    (!lost).then(|| {
        format!(
            "{} and {} ran together, and the earlier one was not lost",
            case.name(earlier.id),
            case.name(later.id)
        )
    })
}
