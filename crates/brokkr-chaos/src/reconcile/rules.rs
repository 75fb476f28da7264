//! The promises, one function each. All are about one order.

use std::collections::BTreeSet;

use brokkr_client::api::{AttemptEnding, Ending};

use super::{Dossier, Violation};
use crate::evidence::CancelAnswer;
use crate::orders::Kind;

/// A promise: what breaks it in this dossier.
type Rule = fn(&Dossier) -> Vec<Violation>;

pub(crate) const RULES: [Rule; 11] = [
    is_in_one_place,
    was_accepted_once,
    runs_under_recorded_attempts,
    runs_again_only_when_that_is_explained,
    does_not_run_although_it_was_given_back,
    runs_at_most_once_when_it_must,
    does_not_run_beside_itself,
    ends_as_its_command_did,
    numbers_its_attempts,
    ends_as_its_last_attempt_did,
    is_cancelled_only_when_asked,
];

fn is_in_one_place(dossier: &Dossier) -> Vec<Violation> {
    match (dossier.queued, dossier.logged.len()) {
        (0, 1) => Vec::new(),
        (1, 0) => vec![Violation::NeverEnded],
        (0, 0) if dossier.accepted.is_empty() => Vec::new(),
        (0, 0) => vec![Violation::Vanished],
        (queued, logged) => vec![Violation::SeveralPlaces { queued, logged }],
    }
}

fn was_accepted_once(dossier: &Dossier) -> Vec<Violation> {
    match dossier.accepted.len() {
        0 => vec![Violation::NeverAccepted],
        1 => Vec::new(),
        _ => vec![Violation::AcceptedTwice],
    }
}

fn runs_under_recorded_attempts(dossier: &Dossier) -> Vec<Violation> {
    let recorded: BTreeSet<i64> = dossier.attempts.iter().map(|recorded| recorded.attempt).collect();
    let mut seen = BTreeSet::new();
    let mut violations = Vec::new();
    for attempt in dossier.begun() {
        if !recorded.contains(&attempt) {
            violations.push(Violation::UnknownAttempt { attempt });
        }
        if !seen.insert(attempt) {
            violations.push(Violation::StartedTwice { attempt });
        }
    }
    violations
}

fn runs_again_only_when_that_is_explained(dossier: &Dossier) -> Vec<Violation> {
    let begun: BTreeSet<i64> = dossier.begun().into_iter().collect();
    let earlier = begun.iter().rev().skip(1);
    let explains = |ending| {
        matches!(
            ending,
            Some(AttemptEnding::Lost | AttemptEnding::Failed | AttemptEnding::Released)
        )
    };
    earlier
        .map(|attempt| (*attempt, dossier.ending_of(*attempt)))
        .filter(|(_, ending)| !explains(*ending))
        .map(|(attempt, ending)| Violation::RanAgain { attempt, ending })
        .collect()
}

/// An agent gives back only what it has not begun.
fn does_not_run_although_it_was_given_back(dossier: &Dossier) -> Vec<Violation> {
    let begun = dossier.begun().into_iter();
    begun
        .filter(|attempt| dossier.ending_of(*attempt) == Some(AttemptEnding::Released))
        .map(|attempt| Violation::RanThoughReleased { attempt })
        .collect()
}

fn runs_at_most_once_when_it_must(dossier: &Dossier) -> Vec<Violation> {
    let attempts = dossier.begun();
    if dossier.kind() == Some(Kind::Once) && attempts.len() > 1 {
        return vec![Violation::RanTwice { attempts }];
    }
    Vec::new()
}

/// The file is in the order in which commands wrote, so it tells what came after what.
fn does_not_run_beside_itself(dossier: &Dossier) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut latest = 0;
    for line in &dossier.lines {
        let lost = dossier.ending_of(line.attempt) == Some(AttemptEnding::Lost);
        if line.attempt < latest && !lost {
            violations.push(Violation::RanBeside {
                attempt: line.attempt,
                later: latest,
            });
        }
        latest = latest.max(line.attempt);
    }
    violations
}

fn ends_as_its_command_did(dossier: &Dossier) -> Vec<Violation> {
    let told = dossier.attempts.iter().filter_map(|recorded| {
        let code = match recorded.ending? {
            AttemptEnding::Succeeded => 0,
            AttemptEnding::Failed => recorded.exit_code?,
            AttemptEnding::Cancelled | AttemptEnding::Lost | AttemptEnding::Released => return None,
        };
        Some((recorded.attempt, code))
    });
    told.filter(|(attempt, code)| !dossier.ran_to(*attempt, *code))
        .map(|(attempt, code)| Violation::NotWhatRan { attempt, code })
        .collect()
}

fn numbers_its_attempts(dossier: &Dossier) -> Vec<Violation> {
    let attempts: Vec<i64> = dossier.attempts.iter().map(|recorded| recorded.attempt).collect();
    let last = dossier.logged.first().map(|entry| entry.attempt);
    let counted = attempts
        .iter()
        .zip(1..)
        .all(|(attempt, number)| *attempt == number);
    if counted && last.is_none_or(|last| last == attempts.last().copied().unwrap_or(0)) {
        return Vec::new();
    }
    vec![Violation::Numbers { attempts }]
}

fn ends_as_its_last_attempt_did(dossier: &Dossier) -> Vec<Violation> {
    let Some(entry) = dossier.logged.first() else {
        return Vec::new();
    };
    let open = dossier
        .attempts
        .iter()
        .filter(|recorded| recorded.ending.is_none());
    let mut violations: Vec<_> = open
        .map(|recorded| Violation::StillOpen {
            attempt: recorded.attempt,
        })
        .collect();
    let last = dossier.attempts.last().and_then(|recorded| recorded.ending);
    let agrees = match entry.ending {
        Ending::Succeeded => last == Some(AttemptEnding::Succeeded),
        Ending::Failed => last == Some(AttemptEnding::Failed),
        Ending::Lost => last == Some(AttemptEnding::Lost),
        Ending::Cancelled => last != Some(AttemptEnding::Succeeded),
        Ending::Expired => last.is_none(),
    };
    if !agrees {
        violations.push(Violation::EndingsDisagree {
            order: entry.ending,
            attempt: last,
        });
    }
    violations.extend(losses_that_disagree(dossier, entry.lost_count));
    violations
}

/// A loss that ended the order may not be counted any more.
fn losses_that_disagree(dossier: &Dossier, counted: i64) -> Option<Violation> {
    let lost = |ending| ending == Some(AttemptEnding::Lost);
    let recorded = dossier.attempts.iter().filter(|one| lost(one.ending)).count();
    let ended_it = lost(dossier.attempts.last().and_then(|recorded| recorded.ending));
    let before = recorded - usize::from(ended_it);
    let agrees = [before, recorded]
        .iter()
        .any(|count| i64::try_from(*count) == Ok(counted));
    (!agrees).then_some(Violation::LossesDisagree { counted, recorded })
}

fn is_cancelled_only_when_asked(dossier: &Dossier) -> Vec<Violation> {
    let Some(entry) = dossier.logged.first() else {
        return Vec::new();
    };
    let asked = dossier.accepted.first().and_then(|accepted| accepted.cancel);
    match (entry.ending, asked) {
        (Ending::Cancelled, None) => vec![Violation::CancelledUnasked],
        (Ending::Cancelled, Some(_)) => Vec::new(),
        (ending, Some(CancelAnswer::Ended)) => vec![Violation::CancelForgotten { ending }],
        _ => Vec::new(),
    }
}
