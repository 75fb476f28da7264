use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use brokkr_agent::AgentConfig;
use brokkr_agent::clock::Clock;
use brokkr_agent::policy::ClusterPolicy;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::agent::{Host, RunningAgent, eventually};
use crate::broker::FakeBroker;
use crate::doubles::Double;

/// 2026-11-22T12:00:00Z.
const NOON: i64 = 1_795_348_800;
const FROM_NOON_FOR_AN_HOUR: &str = "windows: [{start: '0 12 * * *', duration: 1h}]";

/// A clock that a test sets.
#[derive(Clone)]
struct SetClock(Arc<AtomicI64>);

impl SetClock {
    fn at(seconds: i64) -> Self {
        Self(Arc::new(AtomicI64::new(seconds)))
    }

    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.load(Ordering::SeqCst), 0).unwrap()
    }
}

fn start(host: &Host, broker: &FakeBroker, clock: SetClock, policy: &str, double: &Double) -> RunningAgent {
    let config = AgentConfig {
        clock: Arc::new(clock),
        wait_seconds: 0,
        look_again: Duration::from_millis(20),
        ..host.config(broker)
    };
    let (policy, double) = (ClusterPolicy::parse(policy).unwrap(), double.clone());
    RunningAgent::start_with(config, move |agent| {
        agent.with_openings(Arc::new(policy)).with_executor(double)
    })
}

fn submit_custom(broker: &FakeBroker) -> brokkr_agent::attempt::AttemptId {
    broker.submit_with("{}", &json!({"work_type": "custom"}))
}

#[tokio::test]
async fn nothing_is_claimed_before_the_window_opens_and_what_runs_goes_on_after_it_has_closed() {
    let (host, broker, double) = (Host::new(), FakeBroker::start().await, Double::new("custom"));
    let clock = SetClock::at(NOON - 60);
    let first = submit_custom(&broker);
    let _agent = start(&host, &broker, clock.clone(), FROM_NOON_FOR_AN_HOUR, &double);
    broker
        .told("closed until 2026-11-22T12:00:00Z (maintenance window)")
        .await;
    assert!(broker.see(|world| world.claim_requests.is_empty()));

    clock.set(NOON);
    eventually("the work", || (double.running() == 1).then_some(())).await;

    clock.set(NOON + 3600);
    broker
        .told("closed until 2026-11-23T12:00:00Z (maintenance window)")
        .await;
    let second = submit_custom(&broker);
    let claims = broker.see(|world| world.claim_requests.len());
    double.let_go();
    broker.ending(first).await;
    assert_eq!(broker.see(|world| world.claim_requests.len()), claims);
    assert!(broker.see(|world| world.ending_of(second).is_none()));

    clock.set(NOON + 24 * 3600);
    broker.ending(second).await;
}

/// Waits until the agent has said this of itself, and answers it.
async fn reported(broker: &FakeBroker, what: &str, look: impl Fn(&Value) -> bool) -> Value {
    broker
        .until(what, |world| {
            let report = world.renewal_requests.last()?.get("report")?;
            look(report).then(|| report.clone())
        })
        .await
}

#[tokio::test]
async fn the_broker_is_told_slots_types_and_what_is_in_the_way_of_each() {
    let (host, broker, double) = (Host::new(), FakeBroker::start().await, Double::new("custom"));
    double.set_unavailable(Some("nothing there"));
    let policy = "slots: {custom: 1}";
    let agent = start(&host, &broker, SetClock::at(NOON), policy, &double);
    let report = reported(&broker, "a report", |_| true).await;
    assert_eq!(
        report["work_types"],
        json!([
            {"work_type": "command", "slots": null, "unavailable": null},
            {"work_type": "custom", "slots": 1, "unavailable": "nothing there"},
        ])
    );
    assert_eq!(
        (&report["running"], &report["holds_back"]),
        (&json!(0), &Value::Null)
    );
    assert!(report["slots"].as_i64() > Some(1) && report["version"].is_string());

    broker.submit("{shell: 'sleep 600'}");
    reported(&broker, "that something runs", |report| report["running"] == 1).await;
    agent.trigger.escalate();
    reported(&broker, "that it is about to stop", |report| {
        report["holds_back"] == "draining"
    })
    .await;
}

#[tokio::test]
async fn the_broker_is_told_when_a_closed_window_opens() {
    let (host, broker, double) = (Host::new(), FakeBroker::start().await, Double::new("custom"));
    let clock = SetClock::at(NOON - 60);
    let _agent = start(&host, &broker, clock.clone(), FROM_NOON_FOR_AN_HOUR, &double);
    let closed = reported(&broker, "a closed window", |report| {
        report["holds_back"] == "window_closed"
    })
    .await;
    assert_eq!(closed["window_opens_at"], "2026-11-22T12:00:00.000000Z");
    clock.set(NOON);
    let open = reported(&broker, "an open window", |report| report["holds_back"].is_null()).await;
    assert_eq!(open["window_opens_at"], Value::Null);
}

#[tokio::test]
async fn an_older_broker_that_takes_no_reports_gets_the_renewals_without_them() {
    let (host, broker, double) = (Host::new(), FakeBroker::start().await, Double::new("custom"));
    broker.change(|world| world.knows_no_reports = true);
    let id = broker.submit("{shell: 'sleep 600'}");
    let _agent = start(&host, &broker, SetClock::at(NOON), "{}", &double);
    broker
        .until("renewals without a report", |world| {
            let renewed = |request: &&Value| {
                request.get("report").is_none() && request["claims"][0]["id"] == json!(id.order)
            };
            (world.renewal_requests.iter().filter(renewed).count() >= 2).then_some(())
        })
        .await;
    let refused = broker.see(|world| {
        let reporting = |request: &&Value| request.get("report").is_some();
        world.renewal_requests.iter().filter(reporting).count()
    });
    assert_eq!(refused, 1, "it is tried once");
}

#[tokio::test]
async fn the_slots_of_a_type_are_never_exceeded_and_leave_the_others_theirs() {
    let (host, broker, double) = (Host::new(), FakeBroker::start().await, Double::new("custom"));
    let policy = "slots: {custom: 2}";
    let slow: Vec<_> = (0..6).map(|_| submit_custom(&broker)).collect();
    let quick: Vec<_> = (0..6).map(|_| broker.submit("{command: ['true']}")).collect();
    let _agent = start(&host, &broker, SetClock::at(NOON), policy, &double);
    for order in quick {
        broker.ending(order).await;
    }
    assert_eq!(double.running(), 2);
    double.let_go();
    for order in slow {
        broker.ending(order).await;
    }
    assert_eq!(double.most(), 2);
}

#[tokio::test]
async fn work_of_a_type_that_cannot_be_done_now_is_not_claimed_and_the_state_says_why() {
    let (host, broker, double) = (Host::new(), FakeBroker::start().await, Double::new("custom"));
    double.set_unavailable(Some("nothing there"));
    double.let_go();
    let order = submit_custom(&broker);
    let _agent = start(&host, &broker, SetClock::at(NOON), "{}", &double);
    broker.told("running; no custom: nothing there").await;
    let command = broker.submit("{command: ['true']}");
    broker.ending(command).await;
    assert!(broker.see(|world| {
        world
            .claim_requests
            .iter()
            .all(|request| request["work_types"] == json!(["command"]))
    }));

    double.set_unavailable(None);
    broker.ending(order).await;
    broker.told("running").await;
}

#[tokio::test]
async fn a_type_that_the_policy_of_the_place_leaves_out_is_not_claimed() {
    let (host, broker, double) = (Host::new(), FakeBroker::start().await, Double::new("custom"));
    let _agent = start(&host, &broker, SetClock::at(NOON), "workTypes: [custom]", &double);
    let request = broker
        .until("a claim", |world| world.claim_requests.first().cloned())
        .await;
    assert_eq!(request["work_types"], json!(["custom"]));
}

#[tokio::test]
async fn work_that_is_left_running_gets_no_ending_and_stays_claimed() {
    let (host, broker, double) = (Host::new(), FakeBroker::start().await, Double::new("custom"));
    let order = submit_custom(&broker);
    let agent = start(&host, &broker, SetClock::at(NOON), "{}", &double);
    eventually("the work", || (double.running() == 1).then_some(())).await;
    agent.trigger.escalate();
    agent.trigger.escalate();
    agent.ended().await.unwrap();
    assert_eq!(broker.see(|world| world.ending_reports), 0);
    assert!(broker.see(|world| world.held.contains_key(&order) && world.releases.is_empty()));
    assert_eq!(host.journaled(), 0);
}
