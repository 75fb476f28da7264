//! Does everything that happened have an explanation? Pure, so that it can be shown to see.

mod dossier;
mod rules;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::evidence::Evidence;

pub(crate) use dossier::Dossier;
pub(crate) use violation::{Finding, Violation};

/// Everything that has no explanation.
pub(crate) fn reconcile(evidence: &Evidence) -> Vec<Finding> {
    let dossiers = dossiers(evidence);
    let mut findings = totals(evidence);
    for dossier in dossiers.values() {
        let found = rules::RULES.iter().flat_map(|rule| rule(dossier));
        findings.extend(found.map(|violation| Finding {
            order: Some(dossier.id),
            violation,
            story: dossier.story(),
        }));
    }
    findings
}

/// What there is about each order, from wherever it is named.
pub(crate) fn dossiers(evidence: &Evidence) -> BTreeMap<Uuid, Dossier> {
    let mut dossiers = BTreeMap::new();
    let mut of = |id: Uuid, note: &mut dyn FnMut(&mut Dossier)| {
        note(dossiers.entry(id).or_insert_with(|| Dossier::new(id)));
    };
    for accepted in &evidence.accepted {
        of(accepted.id, &mut |dossier| {
            dossier.accepted.push(accepted.clone())
        });
    }
    for id in &evidence.queue {
        of(*id, &mut |dossier| dossier.queued += 1);
    }
    for entry in &evidence.log {
        of(entry.id, &mut |dossier| dossier.logged.push(entry.clone()));
    }
    for (id, attempts) in &evidence.attempts {
        of(*id, &mut |dossier| dossier.attempts.clone_from(attempts));
    }
    for line in &evidence.lines {
        of(line.order, &mut |dossier| dossier.lines.push(*line));
    }
    dossiers
}

fn totals(evidence: &Evidence) -> Vec<Finding> {
    let (accepted, queued, ended) = (evidence.accepted.len(), evidence.queue.len(), evidence.log.len());
    if accepted == queued + ended {
        return Vec::new();
    }
    vec![Finding::of_the_campaign(Violation::Totals {
        accepted,
        queued,
        ended,
    })]
}
