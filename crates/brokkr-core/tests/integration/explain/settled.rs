//! Orders that an agent holds, and orders that ended.

use brokkr_core::attempt::{Attempt, Lease};
use brokkr_core::explain::{AgentFacts, ClaimFacts, EndedFacts, Failure, OrderFacts, claimed, ended};
use brokkr_core::life::{Delivery, Ending, Policy, State};
use brokkr_core::retry::{FailureClass, RetryOn};
use brokkr_core::time::Timestamp;

use super::{NOW, agent, agent_id, ago, codes, order, order_id, policy};

pub(super) fn claim(lease_expires_at: Timestamp) -> (OrderFacts, ClaimFacts) {
    let lease = Lease {
        agent: agent_id(1),
        expires_at: lease_expires_at,
        cancel_requested: false,
    };
    let claim = ClaimFacts {
        agent: Some(agent(1)),
        claimed_at: ago(40),
        lease_expires_at,
        deadline: None,
        cancel: None,
    };
    (order(State::Claimed(lease)), claim)
}

#[test]
fn a_claimed_order_tells_who_runs_it_and_what_is_about_to_happen() {
    let (order, running) = claim(NOW.plus_seconds(20));
    assert_eq!(codes(&claimed(&order, &running, NOW)), ["running"]);
    let all = ClaimFacts {
        deadline: Some(NOW.plus_seconds(5)),
        cancel: Some((ago(3), Some("enough".to_owned()))),
        agent: Some(AgentFacts {
            last_heartbeat: Some(ago(70)),
            ..agent(1)
        }),
        ..running
    };
    let reasons = claimed(&order, &all, NOW);
    assert_eq!(
        codes(&reasons),
        ["running", "holder_not_seen", "deadline", "cancel_requested"]
    );
    assert!(reasons[3].sentence.contains("(enough)"), "{reasons:?}");
}

#[test]
fn a_passed_lease_tells_what_comes_next() {
    let (mut order, passed) = claim(ago(1));
    let mut then = |change: fn(&mut Policy), told: &str| {
        order.life.policy = policy();
        change(&mut order.life.policy);
        let reasons = claimed(&order, &passed, NOW);
        assert_eq!(codes(&reasons), ["lease_passed"]);
        assert!(reasons[0].sentence.contains(told), "{reasons:?}");
    };
    then(|_| (), "goes back to the queue");
    then(
        |policy| policy.delivery = Delivery::AtMostOnce,
        "must not run twice",
    );
    then(|policy| policy.max_retries = 0, "retries are used up");
}

pub(super) fn ending(ending: Ending) -> EndedFacts {
    EndedFacts {
        id: order_id(),
        ending,
        ended_at: ago(5),
        attempt: Attempt::new(2),
        agent: Some((agent_id(1), "runner-1/eu".to_owned())),
        failure: Failure::default(),
        policy: policy(),
        retry_on: RetryOn::default(),
        retries: 0,
        infrastructure_retries: 0,
        cancel: None,
    }
}

#[test]
fn a_failure_tells_why_it_was_not_tried_again() {
    let failed = |class, change: fn(&mut EndedFacts)| {
        let mut facts = ending(Ending::Failed);
        facts.failure = Failure {
            class,
            exit_code: Some(7),
            message: Some("it broke".to_owned()),
        };
        change(&mut facts);
        let reason = ended(&facts).pop().expect("a reason");
        assert_eq!(reason.code.as_str(), "failed");
        assert!(
            reason.sentence.contains("with exit code 7: it broke. "),
            "{reason:?}"
        );
        reason.sentence
    };
    let work = failed(Some(FailureClass::Work), |_| ());
    assert!(work.contains("retry_on is infrastructure"), "{work}");
    let refused = failed(Some(FailureClass::Refused), |_| ());
    assert!(refused.contains("never tried again"), "{refused}");
    let around = failed(Some(FailureClass::Infrastructure), |facts| {
        facts.infrastructure_retries = 5;
    });
    assert!(
        around.contains("5 retries for what fails around the work"),
        "{around}"
    );
    let used = failed(None, |facts| facts.retries = 3);
    assert!(used.contains("Its 3 retries are used up"), "{used}");
    let said = failed(None, |_| ());
    assert!(said.contains("would not help"), "{said}");
}

#[test]
fn what_others_wrote_is_told_on_one_line_and_cut() {
    let mut facts = ending(Ending::Failed);
    facts.failure.message = Some("a\u{1b}[31m\n".repeat(500));
    let sentence = ended(&facts).pop().expect("a reason").sentence;
    assert!(
        !sentence.chars().any(char::is_control) && sentence.chars().count() < 600,
        "{sentence}"
    );
}
