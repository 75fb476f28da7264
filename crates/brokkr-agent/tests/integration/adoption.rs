use std::time::Duration;

use brokkr_agent::AgentConfig;
use brokkr_agent::attempt::AttemptId;
use uuid::Uuid;

use crate::agent::{Host, RunningAgent, eventually, gone, runs};
use crate::broker::{FakeBroker, document, work_order};

/// A command that counts its runs, prints, waits for a file, prints again and ends with 7.
fn patient(host: &Host) -> String {
    let (runs, pid, gate) = (host.path("runs"), host.path("pid"), host.path("gate"));
    format!(
        "{{shell: 'echo run >> {}; echo before; echo $$ > {}; until [ -e {} ]; do sleep 0.05; done; echo after; exit 7'}}",
        runs.display(),
        pid.display(),
        gate.display()
    )
}

fn open_gate(host: &Host) {
    std::fs::write(host.path("gate"), "").unwrap();
}

fn times_run(host: &Host) -> usize {
    std::fs::read_to_string(host.path("runs"))
        .unwrap()
        .lines()
        .count()
}

#[tokio::test]
async fn a_command_that_outlives_its_agent_is_found_with_its_true_exit_code() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = host.start(&broker);
    let id = broker.submit(&patient(&host));
    let command = host.number_in("pid").await;
    broker.printed(id, "before").await;
    agent.kill().await;
    assert!(runs(command));

    let _agent = host.start(&broker);
    let adopted = broker.see(|world| world.renewal_requests.len());
    broker
        .until("the next agent to renew it", |world| {
            let renewals = world.renewal_requests[adopted..].iter();
            renewals
                .clone()
                .any(|request| !request["claims"].as_array().unwrap().is_empty())
                .then_some(())
        })
        .await;
    assert!(runs(command));
    open_gate(&host);
    let ending = broker.ending(id).await;
    assert_eq!(
        (ending["exit_code"].as_i64(), ending["class"].as_str()),
        (Some(7), Some("work"))
    );
    assert_eq!(broker.see(|world| world.output(id, "stdout")), "before\nafter\n");
    assert_eq!(times_run(&host), 1);
}

#[tokio::test]
async fn a_command_that_ended_while_no_agent_was_there_is_reported_with_all_its_output() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = host.start(&broker);
    let id = broker.submit(&patient(&host));
    let command = host.number_in("pid").await;
    agent.kill().await;
    open_gate(&host);
    gone(command).await;

    let _agent = host.start(&broker);
    assert_eq!(broker.ending(id).await["exit_code"], 7);
    assert_eq!(broker.see(|world| world.output(id, "stdout")), "before\nafter\n");
    assert_eq!(times_run(&host), 1);
}

#[tokio::test]
async fn an_adopted_command_can_be_cancelled() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = host.start(&broker);
    let id = broker.submit(&patient(&host));
    let command = host.number_in("pid").await;
    agent.kill().await;

    let _agent = host.start(&broker);
    broker.change(|world| world.cancel.push(id));
    assert_eq!(broker.ending(id).await["class"], "cancelled");
    gone(command).await;
}

#[tokio::test]
async fn a_claim_that_was_never_begun_is_given_back() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let id = AttemptId {
        order: Uuid::from_u128(99),
        attempt: 4,
    };
    broker.change(|world| {
        world
            .held
            .insert(id, work_order(id, &document(&patient(&host)), &[]))
    });
    let _agent = host.start(&broker);
    let release = broker
        .until("a release", |world| world.releases.first().cloned())
        .await;
    assert_eq!(release["attempt"], 4);
    assert_eq!(release["agent_id"], broker.agent.to_string());
    assert!(!host.path("runs").exists());
}

#[tokio::test]
async fn a_claim_of_another_process_whose_work_is_not_here_is_not_given_back() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let id = |order| AttemptId {
        order: Uuid::from_u128(order),
        attempt: 1,
    };
    let held = |id, instance: &str| {
        let mut order = work_order(id, &document(&patient(&host)), &[]);
        order["instance_id"] = instance.into();
        order
    };
    broker.change(|world| {
        world.held.insert(id(1), held(id(1), "elsewhere"));
        world.held.insert(id(2), held(id(2), "test-instance"));
    });
    let _agent = host.start(&broker);
    // They are looked at in the order in which they are told.
    let release = broker
        .until("a release", |world| world.releases.first().cloned())
        .await;
    assert_eq!(release["id"], id(2).order.to_string());
    assert_eq!(broker.see(|world| world.releases.len()), 1);
}

/// Kills the agent while its command runs, and lets the broker give the order out again as attempt 2.
async fn lose(host: &Host, broker: &FakeBroker, agent: RunningAgent) -> (AttemptId, AttemptId, i32) {
    let first = broker.submit(&patient(host));
    let command = host.number_in("pid").await;
    agent.kill().await;
    let second = AttemptId { attempt: 2, ..first };
    broker.change(|world| world.lost.push(first));
    broker.change(|world| world.held.remove(&first));
    (first, second, command)
}

#[tokio::test]
async fn a_lost_attempt_that_still_runs_here_is_taken_over_instead_of_being_run_again() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let (_, second, command) = lose(&host, &broker, host.start(&broker)).await;
    broker.change(|world| {
        world
            .waiting
            .push_back(work_order(second, &document(&patient(&host)), &[1]))
    });

    let _agent = host.start(&broker);
    broker.printed(second, "before").await;
    assert!(runs(command));
    open_gate(&host);
    let ending = broker.ending(second).await;
    assert_eq!(ending["exit_code"], 7);
    assert!(
        ending["message"].as_str().unwrap().contains("attempt 1"),
        "{ending}"
    );
    assert_eq!(
        broker.see(|world| world.output(second, "stdout")),
        "before\nafter\n"
    );
    assert_eq!(times_run(&host), 1);
    eventually("the directory to go", || (host.commands() == 0).then_some(())).await;
}

#[tokio::test]
async fn the_outcome_of_a_lost_attempt_does_not_end_what_another_process_of_the_agent_may_be_running() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let (_, second, command) = lose(&host, &broker, host.start(&broker)).await;
    open_gate(&host);
    gone(command).await;
    let mut elsewhere = work_order(second, &document(&patient(&host)), &[1]);
    elsewhere["instance_id"] = "elsewhere".into();
    broker.change(|world| world.held.insert(second, elsewhere));

    let claims = broker.see(|world| world.claim_requests.len());
    let agent = host.start(&broker);
    broker
        .until("a claim, before which it looks at what it holds", |world| {
            (claims < world.claim_requests.len()).then_some(())
        })
        .await;
    // Everything that it holds ends, and is reported, before it does.
    agent.trigger.escalate();
    agent.ended().await.unwrap();

    assert_eq!(broker.see(|world| world.ending_of(second).cloned()), None);
}

#[tokio::test]
async fn what_the_broker_no_longer_names_is_stopped_in_the_end() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let (_, _, command) = lose(&host, &broker, host.start(&broker)).await;
    let window = Duration::from_millis(100);
    let _agent = RunningAgent::start(AgentConfig {
        orphan_window: window,
        ..host.config(&broker)
    });
    gone(command).await;
    assert_eq!(broker.see(|world| world.ending_reports), 0);
}

#[tokio::test]
async fn an_attempt_that_was_stopped_is_not_taken_for_the_outcome_of_the_next() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let first = broker.submit(&patient(&host));
    let command = host.number_in("pid").await;
    broker.change(|world| world.lost.push(first));
    gone(command).await;
    open_gate(&host);
    let second = AttemptId { attempt: 2, ..first };
    broker.change(|world| {
        world
            .waiting
            .push_back(work_order(second, &document(&patient(&host)), &[1]))
    });
    assert_eq!(broker.ending(second).await["exit_code"], 7);
    assert_eq!(times_run(&host), 2);
}

#[tokio::test]
async fn an_outcome_that_came_too_late_serves_the_next_attempt() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    broker.change(|world| world.endings_fail = true);
    let _agent = host.start(&broker);
    let first = broker.submit(&patient(&host));
    host.number_in("pid").await;
    open_gate(&host);
    broker
        .until("a report", |world| (world.ending_reports > 0).then_some(()))
        .await;
    broker.change(|world| {
        world.lost.push(first);
        world.endings_fail = false;
    });
    eventually("the report to be refused", || {
        (host.journaled() == 0).then_some(())
    })
    .await;
    let second = AttemptId { attempt: 2, ..first };
    broker.change(|world| {
        world
            .waiting
            .push_back(work_order(second, &document(&patient(&host)), &[1]))
    });
    let ending = broker.ending(second).await;
    assert_eq!(ending["exit_code"], 7);
    assert_eq!(times_run(&host), 1);
}

#[tokio::test]
async fn an_attempt_does_not_begin_before_the_one_before_it_has_stopped() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let (pid, gate) = (host.path("pid"), host.path("gate"));
    // Whoever finds another one alive ends with 9, and the one after the gate was opened with 7.
    let spec = format!(
        "{{shell: 'if [ -e {pid} ] && kill -0 $(cat {pid}); then exit 9; fi; echo $$ > {pid}; \
          if [ -e {gate} ]; then exit 7; fi; trap : TERM; while true; do sleep 0.05; done'}}",
        pid = pid.display(),
        gate = gate.display()
    );
    let first = broker.submit(&spec);
    host.number_in("pid").await;
    open_gate(&host);
    let second = AttemptId { attempt: 2, ..first };
    broker.change(|world| {
        world.lost.push(first);
        world
            .waiting
            .push_back(work_order(second, &document(&spec), &[1]));
    });
    assert_eq!(broker.ending(second).await["exit_code"], 7);
}
