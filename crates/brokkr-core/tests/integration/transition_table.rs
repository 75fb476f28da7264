//! Prints the whole transition table, so that a change of it is seen in review, and holds `docs/state-machine.md` to it.

use std::fmt::Write as _;
use std::path::Path;

use brokkr_core::attempt::{Attempt, Epoch, Lease};
use brokkr_core::ids::AgentId;
use brokkr_core::life::{Delivery, Ending, Event, Life, Policy, Refusal, State};
use brokkr_core::retry::{Budget, FailureClass};
use brokkr_core::time::Timestamp;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
/// The deadline of an attempt whose agent would have reported by now.
const LONG_AGO: Timestamp = Timestamp::from_micros(700_000_000);
const EARLIER: Timestamp = Timestamp::from_micros(999_000_000);
const LATER: Timestamp = Timestamp::from_micros(1_001_000_000);
const CURRENT: Attempt = Attempt::new(2);

fn agent() -> AgentId {
    AgentId::new(Uuid::from_u128(1))
}

fn life(state: State) -> Life {
    let policy = Policy {
        delivery: Delivery::AtLeastOnce,
        max_retries: 3,
        infrastructure_retries_max: 5,
        backoff_seconds: 60,
        backoff_jitter: false,
        start_by: None,
    };
    Life {
        policy,
        attempt: CURRENT,
        retry_count: 0,
        infrastructure_retry_count: 0,
        lost_count: 0,
        state,
    }
}

fn claimed(expires_at: Timestamp, cancel_requested: bool) -> State {
    State::Claimed(Lease {
        agent: agent(),
        expires_at,
        cancel_requested,
    })
}

fn lives() -> Vec<(&'static str, Life)> {
    let running = life(claimed(LATER, false));
    let cancelling = life(claimed(LATER, true));
    let overdue = life(claimed(EARLIER, false));
    let overdue_cancelling = life(claimed(EARLIER, true));
    let no_retries = Policy {
        max_retries: 0,
        ..running.policy
    };
    let no_infrastructure_retries = Policy {
        infrastructure_retries_max: 0,
        ..running.policy
    };
    let once = Policy {
        delivery: Delivery::AtMostOnce,
        ..running.policy
    };
    let late = Policy {
        start_by: Some(EARLIER),
        ..running.policy
    };
    let mut lives = vec![
        (
            "SCHEDULED, run-at ahead",
            life(State::Scheduled { run_at: LATER }),
        ),
        (
            "SCHEDULED, run-at passed",
            life(State::Scheduled { run_at: EARLIER }),
        ),
        ("PENDING", life(State::Pending)),
        (
            "PENDING, start-by passed",
            Life {
                policy: late,
                ..life(State::Pending)
            },
        ),
        (
            "PENDING, start-by passed, tried before",
            Life {
                policy: late,
                retry_count: 1,
                ..life(State::Pending)
            },
        ),
        ("CLAIMED", running),
        (
            "CLAIMED, no retry left",
            Life {
                policy: no_retries,
                ..running
            },
        ),
        (
            "CLAIMED, no infrastructure retry left",
            Life {
                policy: no_infrastructure_retries,
                ..running
            },
        ),
        ("CLAIMED, cancel requested", cancelling),
        ("CLAIMED, lease passed", overdue),
        (
            "CLAIMED, lease passed, no retry left",
            Life {
                policy: no_retries,
                ..overdue
            },
        ),
        (
            "CLAIMED, lease passed, at most once",
            Life {
                policy: once,
                ..overdue
            },
        ),
        ("CLAIMED, lease passed, cancel requested", overdue_cancelling),
        (
            "RETRY_PENDING, waiting",
            life(State::RetryPending { not_before: LATER }),
        ),
        (
            "RETRY_PENDING, due",
            life(State::RetryPending { not_before: EARLIER }),
        ),
    ];
    lives.extend(Ending::ALL.map(|ending| (State::Ended(ending).name(), life(State::Ended(ending)))));
    lives.push(("DELETED", life(State::Deleted)));
    lives
}

fn events() -> Vec<(&'static str, Event)> {
    let stale = Attempt::new(1);
    let fail = |class, retry| Event::Fail {
        attempt: CURRENT,
        class: Some(class),
        retry,
        now: NOW,
        random: 0,
    };
    let deadline = |deadline, retry| Event::DeadlinePassed {
        now: NOW,
        deadline,
        retry,
    };
    vec![
        (
            "claim",
            Event::Claim {
                agent: agent(),
                now: NOW,
                lease_expires_at: LATER,
                epoch: Epoch::FIRST,
            },
        ),
        (
            "renew",
            Event::Renew {
                attempt: CURRENT,
                lease_expires_at: LATER,
            },
        ),
        (
            "renew, stale attempt",
            Event::Renew {
                attempt: stale,
                lease_expires_at: LATER,
            },
        ),
        ("release", Event::Release { attempt: CURRENT }),
        ("release, stale attempt", Event::Release { attempt: stale }),
        ("succeed", Event::Succeed { attempt: CURRENT }),
        ("succeed, stale attempt", Event::Succeed { attempt: stale }),
        ("fail, retryable", fail(FailureClass::Work, Some(Budget::Retries))),
        (
            "fail, infrastructure",
            fail(FailureClass::Infrastructure, Some(Budget::Infrastructure)),
        ),
        ("fail, final", fail(FailureClass::Work, None)),
        ("fail, cancelled", fail(FailureClass::Cancelled, None)),
        (
            "fail, stale attempt",
            Event::Fail {
                attempt: stale,
                class: Some(FailureClass::Work),
                retry: Some(Budget::Retries),
                now: NOW,
                random: 0,
            },
        ),
        ("lease passed", Event::LeasePassed { now: NOW }),
        ("deadline just passed", deadline(NOW, true)),
        ("deadline long passed, to be retried", deadline(LONG_AGO, true)),
        ("deadline long passed", deadline(LONG_AGO, false)),
        ("holder removed", Event::HolderRemoved),
        ("restored", Event::Restored),
        ("cancel", Event::Cancel),
        ("start-by passed", Event::StartByPassed { now: NOW }),
        ("due", Event::Due { now: NOW }),
        ("delete", Event::Delete),
    ]
}

fn describe(before: Life, after: Life) -> String {
    let mut text = after.state.name().to_owned();
    if after.attempt != before.attempt {
        text += ", attempt + 1";
    }
    if after.retry_count != before.retry_count {
        text += ", retry_count + 1";
    }
    if after.infrastructure_retry_count != before.infrastructure_retry_count {
        text += ", infrastructure_retry_count + 1";
    }
    if after.lost_count != before.lost_count {
        text += ", lost_count + 1";
    }
    match (before.state, after.state) {
        (State::Claimed(before), State::Claimed(after))
            if !before.cancel_requested && after.cancel_requested =>
        {
            text += ", cancel requested";
        }
        (State::Claimed(before), State::Claimed(after)) if before.expires_at < after.expires_at => {
            text += ", lease later"
        }
        _ => {}
    }
    text
}

/// Every legal step as a row; below them, the refusals that a guard decides and not simply the state.
fn table() -> String {
    let mut legal = String::from("| from | event | to |\n|---|---|---|\n");
    let mut refused = String::from("| from | event | refused because |\n|---|---|---|\n");
    for (from, life) in lives() {
        for (name, event) in events() {
            match life.apply(event) {
                Ok(after) => {
                    writeln!(legal, "| {from} | {name} | {} |", describe(life, after)).expect("text grows")
                }
                Err(illegal) => {
                    assert_eq!(
                        (illegal.life, illegal.event),
                        (life, event),
                        "a refusal carries both"
                    );
                    let why = match illegal.refusal {
                        Refusal::WrongState => continue,
                        Refusal::StaleAttempt { .. } if !matches!(life.state, State::Claimed(_)) => continue,
                        Refusal::StaleAttempt { .. } => "the attempt is not current",
                        Refusal::TooEarly => "the time has not come",
                        Refusal::TooLate => "the start-by time has passed",
                    };
                    writeln!(refused, "| {from} | {name} | {why} |").expect("text grows");
                }
            }
        }
    }
    format!("{legal}\n{refused}")
}

#[test]
fn the_transition_table_is_as_reviewed() {
    insta::assert_snapshot!(table());
}

#[test]
fn after_a_restoration_the_reports_of_every_earlier_attempt_are_stale() {
    let restored = life(claimed(LATER, false))
        .apply(Event::Restored)
        .expect("it is held");
    let claim = Event::Claim {
        agent: agent(),
        now: NOW,
        lease_expires_at: LATER,
        epoch: Epoch::FIRST.raised(NOW),
    };
    let claimed_again = restored.apply(claim).expect("it waits");
    // The backup knows the attempt 2; those up to 5 were made after it was taken.
    for number in 1..=5 {
        for after in [restored, claimed_again] {
            let report = Event::Succeed {
                attempt: Attempt::new(number),
            };
            let refusal = after.apply(report).expect_err("it is late").refusal;
            assert!(matches!(refusal, Refusal::StaleAttempt { .. }), "{refusal:?}");
        }
    }
    let report = Event::Succeed {
        attempt: claimed_again.attempt,
    };
    assert!(claimed_again.apply(report).is_ok());
}

#[test]
fn the_documented_table_is_the_real_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/state-machine.md");
    let documented = std::fs::read_to_string(&path).expect("docs/state-machine.md can be read");
    assert!(
        documented.contains(table().trim()),
        "docs/state-machine.md must contain this table:\n\n{}",
        table()
    );
}
