//! Which reasons are found for which facts.

mod near;
mod settled;

use std::time::Duration;

use brokkr_core::attempt::Attempt;
use brokkr_core::explain::{
    AgentFacts, ClaimFacts, Fleet, HeldOfType, OrderFacts, Reason, SILENT_AFTER, claimed, ended, preview,
    waiting,
};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Delivery, Ending, Life, Policy, State};
use brokkr_core::names::{AgentName, AnnotationKey, AnnotationValue, ClusterName, Label, WorkType};
use brokkr_core::report::{AgentReport, HoldsBack, WorkTypeReport};
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use settled::{claim, ending};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn ago(seconds: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(seconds))
}

fn agent_id(number: u128) -> AgentId {
    AgentId::new(Uuid::from_u128(number))
}

fn order_id() -> WorkOrderId {
    WorkOrderId::new(Uuid::from_u128(77))
}

fn work_type(name: &str) -> WorkType {
    WorkType::parse(name).expect("a name")
}

fn report() -> AgentReport {
    AgentReport {
        slots: 2,
        running: 0,
        work_types: vec![WorkTypeReport {
            work_type: work_type("command"),
            slots: None,
            unavailable: None,
        }],
        version: "1".to_owned(),
        window_opens_at: None,
        holds_back: None,
    }
}

/// An agent that can run commands now.
fn agent(number: u128) -> AgentFacts {
    AgentFacts {
        id: agent_id(number),
        name: AgentName::parse(format!("runner-{number}")).expect("a name"),
        cluster_name: ClusterName::parse("eu").expect("a name"),
        created_at: ago(900),
        updated_at: ago(800),
        active: true,
        last_heartbeat: Some(ago(5)),
        report: Some((report(), ago(5))),
        held: Vec::new(),
    }
}

fn reporting(change: impl FnOnce(&mut AgentReport)) -> AgentFacts {
    let mut report = report();
    change(&mut report);
    AgentFacts {
        report: Some((report, ago(5))),
        ..agent(1)
    }
}

fn held(name: &str, orders: u32) -> HeldOfType {
    HeldOfType {
        work_type: work_type(name),
        orders,
        oldest: order_id(),
        latest_claimed_at: ago(30),
    }
}

fn fleet(matching: Vec<AgentFacts>) -> Fleet {
    Fleet {
        agents_total: 3,
        matching_total: matching.len() as u64,
        matching,
        ..Fleet::default()
    }
}

fn targets(labels: &[&str], annotations: &[(&str, &str)]) -> Targeting {
    let labels = labels.iter().map(|label| Label::parse(*label).expect("a label"));
    let annotations = annotations.iter().map(|(key, value)| {
        let key = AnnotationKey::parse(*key).expect("a key");
        (key, AnnotationValue::parse(*value).expect("a value"))
    });
    Targeting::new(vec![], labels.collect(), annotations.collect(), 9).expect("targets")
}

fn policy() -> Policy {
    Policy {
        delivery: Delivery::AtLeastOnce,
        max_retries: 3,
        infrastructure_retries_max: 5,
        backoff_seconds: 60,
        backoff_jitter: false,
        start_by: None,
    }
}

fn order(state: State) -> OrderFacts {
    let life = Life {
        policy: policy(),
        attempt: Attempt::new(1),
        retry_count: 0,
        infrastructure_retry_count: 0,
        lost_count: 0,
        state,
    };
    OrderFacts {
        id: order_id(),
        life,
        work_type: work_type("command"),
        created_at: ago(600),
        updated_at: ago(500),
        last_error: None,
    }
}

fn codes(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(|reason| reason.code.as_str()).collect()
}

/// The one reason why a waiting order is not run by this agent.
fn why_not(agent: AgentFacts) -> Reason {
    let reasons = waiting(
        &order(State::Pending),
        &targets(&["gpu"], &[]),
        &fleet(vec![agent]),
        NOW,
    );
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.into_iter().next().expect("a reason")
}

#[test]
fn each_thing_that_keeps_an_agent_from_claiming_has_a_reason_of_its_own() {
    let unavailable = Some("no Shipwright here".to_owned());
    let cases = [
        (agent(1), "claimable", "2 of 2 slots free"),
        (
            AgentFacts {
                active: false,
                ..agent(1)
            },
            "agent_inactive",
            "INACTIVE",
        ),
        (
            AgentFacts {
                last_heartbeat: None,
                report: None,
                ..agent(1)
            },
            "agent_never_seen",
            "never heard",
        ),
        (
            AgentFacts {
                last_heartbeat: Some(ago(61)),
                ..agent(1)
            },
            "agent_not_seen",
            "last heard at 2023-11-14T22:12:19Z",
        ),
        (
            AgentFacts {
                report: None,
                ..agent(1)
            },
            "agent_reports_nothing",
            "does not say",
        ),
        (
            reporting(|report| report.holds_back = Some(HoldsBack::Draining)),
            "agent_draining",
            "about to stop",
        ),
        (
            reporting(|report| {
                report.holds_back = Some(HoldsBack::WindowClosed);
                report.window_opens_at = Some(NOW.plus_seconds(60));
            }),
            "window_closed",
            "until 2023-11-14T22:14:20Z",
        ),
        (
            reporting(|report| report.holds_back = Some(HoldsBack::WindowClosed)),
            "window_closed",
            "never opens again",
        ),
        (
            reporting(|report| report.work_types[0].work_type = work_type("build")),
            "work_type_not_run",
            "it runs build",
        ),
        (
            reporting(|report| report.work_types.clear()),
            "work_type_not_run",
            "it runs nothing",
        ),
        (
            reporting(|report| report.work_types[0].unavailable = unavailable),
            "work_type_unavailable",
            "no Shipwright here",
        ),
        (
            AgentFacts {
                held: vec![held("build", 2)],
                ..agent(1)
            },
            "no_free_slot",
            "runs 2 of 2",
        ),
        (
            reporting(|report| report.running = 2),
            "no_free_slot",
            "have not stopped yet",
        ),
    ];
    for (agent, code, told) in cases {
        let reason = why_not(agent);
        assert_eq!(reason.code.as_str(), code, "{reason:?}");
        assert!(reason.sentence.contains(told), "{reason:?}");
        assert!(reason.sentence.contains("runner-1/eu") && !reason.remedy.is_empty());
    }
}

#[test]
fn a_type_that_has_fewer_slots_than_its_agent_is_full_before_that() {
    let mut agent = reporting(|report| {
        report.slots = 9;
        report.work_types[0].slots = Some(1);
    });
    agent.held = vec![held("build", 1)];
    assert_eq!(why_not(agent.clone()).code.as_str(), "claimable");
    agent.held.push(held("command", 1));
    let reason = why_not(agent);
    assert_eq!(reason.code.as_str(), "no_free_slot");
    assert_eq!(reason.since, Some(ago(30)));
}

#[test]
fn a_window_that_has_opened_since_the_report_is_not_in_the_way() {
    let agent = reporting(|report| {
        report.holds_back = Some(HoldsBack::WindowClosed);
        report.window_opens_at = Some(NOW);
    });
    assert_eq!(why_not(agent).code.as_str(), "claimable");
}

#[test]
fn what_an_agent_said_long_before_its_last_sign_of_life_is_not_what_it_does_now() {
    let said_at = ago(6).minus(SILENT_AFTER);
    let agent = AgentFacts {
        report: Some((report(), said_at)),
        ..agent(1)
    };
    assert_eq!(why_not(agent).code.as_str(), "agent_reports_nothing");
}

#[test]
fn a_reason_is_no_older_than_the_order_waits() {
    let paused = AgentFacts {
        active: false,
        ..agent(1)
    };
    assert_eq!(why_not(paused).since, Some(ago(500)));
    let paused_later = AgentFacts {
        active: false,
        updated_at: ago(9),
        ..agent(1)
    };
    assert_eq!(why_not(paused_later).since, Some(ago(9)));
}

#[test]
fn agents_with_the_same_trouble_stand_together_and_who_can_claim_comes_first() {
    let paused = |number| AgentFacts {
        active: false,
        ..agent(number)
    };
    let fleet = fleet(vec![paused(1), agent(2), paused(3)]);
    let reasons = preview(&targets(&["gpu"], &[]), &work_type("command"), &fleet, NOW);
    assert_eq!(codes(&reasons), ["claimable", "agent_inactive"]);
    assert_eq!((reasons[1].agents_total, reasons[1].agents.len()), (2, 2));
}

#[test]
fn many_agents_are_counted_and_the_first_are_named() {
    let mut fleet = fleet((1..=30).map(agent).collect());
    fleet.matching_total = 5_000;
    let reasons = preview(&targets(&["gpu"], &[]), &work_type("command"), &fleet, NOW);
    assert_eq!(codes(&reasons), ["claimable", "more_agents"]);
    assert_eq!((reasons[0].agents_total, reasons[0].agents.len()), (30, 10));
    assert!(reasons[1].sentence.contains("5000 agents match"), "{reasons:?}");
}

#[test]
fn who_waits_for_a_time_is_told_so_and_what_will_be_in_the_way_then() {
    let run_at = NOW.plus_seconds(60);
    let later = order(State::Scheduled { run_at });
    let gpu = targets(&["gpu"], &[]);
    let reasons = waiting(&later, &gpu, &fleet(vec![agent(1)]), NOW);
    assert_eq!(codes(&reasons), ["scheduled"]);
    assert_eq!(reasons[0].until, Some(run_at));
    let reasons = waiting(&later, &gpu, &fleet(vec![]), NOW);
    assert_eq!(codes(&reasons), ["scheduled", "no_matching_agent"]);

    let mut failed = order(State::RetryPending { not_before: run_at });
    failed.life.retry_count = 1;
    failed.last_error = Some(("exit\n7".to_owned(), ago(4)));
    let reasons = waiting(&failed, &gpu, &fleet(vec![agent(1)]), NOW);
    assert_eq!(codes(&reasons), ["retry_pending"]);
    assert_eq!((reasons[0].since, reasons[0].until), (Some(ago(4)), Some(run_at)));
    assert!(
        reasons[0].sentence.contains("said: exit 7.") && reasons[0].sentence.contains("1 of 3 retries used"),
        "{reasons:?}"
    );
}

#[test]
fn the_time_until_which_it_must_start_is_told_until_it_has_started() {
    let mut order = order(State::Pending);
    order.life.policy.start_by = Some(NOW.plus_seconds(9));
    let why = |order: &OrderFacts| {
        codes(&waiting(
            order,
            &targets(&["gpu"], &[]),
            &fleet(vec![agent(1)]),
            NOW,
        ))
    };
    assert_eq!(why(&order), ["claimable", "start_by"]);
    order.life.lost_count = 1;
    assert_eq!(why(&order), ["claimable"]);
}

#[test]
fn every_ending_and_every_state_of_the_queue_has_a_reason() {
    for word in Ending::ALL {
        assert_eq!(codes(&ended(&ending(word))), [word.as_str()]);
    }
    let gpu = targets(&["gpu"], &[]);
    let states = [
        State::Pending,
        State::Scheduled { run_at: ago(9) },
        State::RetryPending { not_before: ago(9) },
    ];
    let fleets = [Fleet::default(), fleet(vec![]), fleet(vec![agent(1)])];
    for (state, fleet) in states
        .iter()
        .flat_map(|state| fleets.iter().map(move |fleet| (state, fleet)))
    {
        assert!(!waiting(&order(*state), &gpu, fleet, NOW).is_empty());
    }
    for lease_expires_at in [ago(1), NOW, NOW.plus_seconds(1)] {
        let (order, claim) = claim(lease_expires_at);
        assert!(!claimed(&order, &claim, NOW).is_empty());
        let gone = ClaimFacts { agent: None, ..claim };
        assert!(!claimed(&order, &gone, NOW).is_empty());
    }
}
