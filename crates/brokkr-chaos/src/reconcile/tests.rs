//! Forged records: each violation is seen, and what is explained is not taken for one.

use brokkr_client::api::{AttemptEnding, Ending};
use uuid::Uuid;

use super::{Violation, reconcile};
use crate::evidence::{Accepted, CancelAnswer, Entry, Evidence, Line, Recorded, Said};
use crate::orders::Kind;

const ID: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn recorded(attempt: i64, ending: AttemptEnding, exit_code: Option<i64>) -> Recorded {
    Recorded {
        attempt,
        ending: Some(ending),
        exit_code,
        story: String::new(),
    }
}

fn line(attempt: i64, said: Said) -> Line {
    Line {
        order: ID,
        attempt,
        said,
    }
}

fn entry(ending: Ending, attempt: i64, lost_count: i64) -> Entry {
    Entry {
        id: ID,
        ending,
        attempt,
        lost_count,
    }
}

/// An order that was lost once, then failed, and then succeeded: nothing is unexplained.
fn explained() -> Evidence {
    Evidence {
        accepted: vec![Accepted {
            id: ID,
            kind: Kind::Flaky,
            cancel: None,
        }],
        lines: vec![
            line(1, Said::Begin),
            line(2, Said::Begin),
            line(1, Said::End(7)),
            line(2, Said::End(7)),
            line(3, Said::Begin),
            line(3, Said::End(0)),
        ],
        queue: Vec::new(),
        log: vec![entry(Ending::Succeeded, 3, 1)],
        attempts: [(
            ID,
            vec![
                recorded(1, AttemptEnding::Lost, None),
                recorded(2, AttemptEnding::Failed, Some(7)),
                recorded(3, AttemptEnding::Succeeded, Some(0)),
            ],
        )]
        .into(),
    }
}

/// What is found when the record is changed like this.
fn forged(change: impl FnOnce(&mut Evidence)) -> Vec<Violation> {
    let mut evidence = explained();
    change(&mut evidence);
    let findings = reconcile(&evidence).into_iter();
    findings.map(|finding| finding.violation).collect()
}

fn attempts(evidence: &mut Evidence) -> &mut Vec<Recorded> {
    evidence.attempts.get_mut(&ID).expect("the order has attempts")
}

fn end_as(evidence: &mut Evidence, order: Ending, attempt: AttemptEnding) {
    evidence.log[0].ending = order;
    attempts(evidence)[2].ending = Some(attempt);
}

#[test]
fn what_is_explained_is_no_finding() {
    assert_eq!(forged(|_| {}), []);
}

#[test]
fn an_outcome_that_was_taken_over_from_a_lost_attempt_is_explained() {
    let found = forged(|evidence| {
        evidence.lines = vec![line(1, Said::Begin), line(1, Said::End(0))];
        evidence.log = vec![entry(Ending::Succeeded, 2, 1)];
        *attempts(evidence) = vec![
            recorded(1, AttemptEnding::Lost, None),
            recorded(2, AttemptEnding::Succeeded, Some(0)),
        ];
    });
    assert_eq!(found, []);
}

#[test]
fn a_cancelled_order_is_explained_by_its_cancellation() {
    let found = forged(|evidence| {
        end_as(evidence, Ending::Cancelled, AttemptEnding::Cancelled);
        evidence.accepted[0].cancel = Some(CancelAnswer::Requested);
    });
    assert_eq!(found, []);
}

#[test]
fn each_violation_is_seen_in_a_forged_record() {
    let cases: Vec<(Violation, Vec<Violation>)> = places()
        .into_iter()
        .chain(runs())
        .chain(outcomes())
        .chain(cancellations())
        .collect();
    for (expected, found) in cases {
        assert!(found.contains(&expected), "{expected:?} is not seen: {found:?}");
    }
}

fn places() -> Vec<(Violation, Vec<Violation>)> {
    let accepted_of = |id| Accepted {
        id,
        kind: Kind::Plain,
        cancel: None,
    };
    vec![
        (Violation::Vanished, forged(|evidence| evidence.log.clear())),
        (
            Violation::SeveralPlaces { queued: 1, logged: 1 },
            forged(|evidence| evidence.queue.push(ID)),
        ),
        (
            Violation::SeveralPlaces { queued: 0, logged: 2 },
            forged(|evidence| evidence.log.push(entry(Ending::Succeeded, 3, 1))),
        ),
        (
            Violation::NeverEnded,
            forged(|evidence| {
                evidence.log.clear();
                evidence.queue.push(ID);
            }),
        ),
        (
            Violation::NeverAccepted,
            forged(|evidence| evidence.accepted.clear()),
        ),
        (
            Violation::NeverAccepted,
            forged(|evidence| {
                evidence.lines[0].order = OTHER;
            }),
        ),
        (
            Violation::AcceptedTwice,
            forged(|evidence| evidence.accepted.push(accepted_of(ID))),
        ),
        (
            Violation::Totals {
                accepted: 2,
                queued: 0,
                ended: 1,
            },
            forged(|evidence| evidence.accepted.push(accepted_of(OTHER))),
        ),
    ]
}

fn runs() -> Vec<(Violation, Vec<Violation>)> {
    let ending = |index: usize, ending| forged(move |evidence| attempts(evidence)[index].ending = ending);
    vec![
        (
            Violation::UnknownAttempt { attempt: 4 },
            forged(|evidence| evidence.lines.push(line(4, Said::Begin))),
        ),
        (
            Violation::StartedTwice { attempt: 3 },
            forged(|evidence| evidence.lines.push(line(3, Said::Begin))),
        ),
        (
            Violation::RanAgain {
                attempt: 2,
                ending: Some(AttemptEnding::Succeeded),
            },
            ending(1, Some(AttemptEnding::Succeeded)),
        ),
        (
            Violation::RanAgain {
                attempt: 1,
                ending: Some(AttemptEnding::Cancelled),
            },
            ending(0, Some(AttemptEnding::Cancelled)),
        ),
        (
            Violation::RanAgain {
                attempt: 1,
                ending: None,
            },
            ending(0, None),
        ),
        (
            Violation::RanThoughReleased { attempt: 1 },
            ending(0, Some(AttemptEnding::Released)),
        ),
        (
            Violation::RanTwice {
                attempts: vec![1, 2, 3],
            },
            forged(|evidence| evidence.accepted[0].kind = Kind::Once),
        ),
        (
            Violation::RanBeside { attempt: 2, later: 3 },
            forged(|evidence| evidence.lines.swap(3, 4)),
        ),
        (
            Violation::RanBeside { attempt: 1, later: 2 },
            ending(0, Some(AttemptEnding::Failed)),
        ),
    ]
}

fn outcomes() -> Vec<(Violation, Vec<Violation>)> {
    let succeeded_unseen = Violation::NotWhatRan { attempt: 3, code: 0 };
    vec![
        (
            succeeded_unseen.clone(),
            forged(|evidence| {
                evidence.lines.pop();
            }),
        ),
        (
            succeeded_unseen,
            forged(|evidence| evidence.lines[5].said = Said::End(7)),
        ),
        (
            Violation::NotWhatRan { attempt: 2, code: 1 },
            forged(|evidence| attempts(evidence)[1].exit_code = Some(1)),
        ),
        (
            Violation::Numbers { attempts: vec![1, 3] },
            forged(|evidence| {
                attempts(evidence).remove(1);
            }),
        ),
        (
            Violation::Numbers {
                attempts: vec![1, 2, 3],
            },
            forged(|evidence| evidence.log[0].attempt = 4),
        ),
        (
            Violation::StillOpen { attempt: 3 },
            forged(|evidence| attempts(evidence)[2].ending = None),
        ),
        (
            Violation::EndingsDisagree {
                order: Ending::Failed,
                attempt: Some(AttemptEnding::Succeeded),
            },
            forged(|evidence| end_as(evidence, Ending::Failed, AttemptEnding::Succeeded)),
        ),
        (
            Violation::EndingsDisagree {
                order: Ending::Succeeded,
                attempt: Some(AttemptEnding::Lost),
            },
            forged(|evidence| end_as(evidence, Ending::Succeeded, AttemptEnding::Lost)),
        ),
        (
            Violation::EndingsDisagree {
                order: Ending::Expired,
                attempt: Some(AttemptEnding::Failed),
            },
            forged(|evidence| end_as(evidence, Ending::Expired, AttemptEnding::Failed)),
        ),
        (
            Violation::LossesDisagree {
                counted: 0,
                recorded: 1,
            },
            forged(|evidence| evidence.log[0].lost_count = 0),
        ),
    ]
}

fn cancellations() -> Vec<(Violation, Vec<Violation>)> {
    vec![
        (
            Violation::CancelledUnasked,
            forged(|evidence| end_as(evidence, Ending::Cancelled, AttemptEnding::Cancelled)),
        ),
        (
            Violation::CancelForgotten {
                ending: Ending::Succeeded,
            },
            forged(|evidence| evidence.accepted[0].cancel = Some(CancelAnswer::Ended)),
        ),
        (
            Violation::EndingsDisagree {
                order: Ending::Cancelled,
                attempt: Some(AttemptEnding::Succeeded),
            },
            forged(|evidence| {
                end_as(evidence, Ending::Cancelled, AttemptEnding::Succeeded);
                evidence.accepted[0].cancel = Some(CancelAnswer::Requested);
            }),
        ),
    ]
}
