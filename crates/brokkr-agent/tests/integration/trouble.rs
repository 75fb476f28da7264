//! A state directory that takes nothing, and a broker that is away.

use std::fs;
use std::path::Path;
use std::time::Duration;

use brokkr_agent::AgentConfig;
use serde_json::json;

use crate::agent::{Host, RunningAgent, eventually};
use crate::broker::FakeBroker;

/// Takes a directory's place. Unlike a mode it stands in the way of an administrator too.
fn obstruct(directory: &Path) {
    fs::rename(directory, directory.with_extension("aside")).unwrap();
    fs::write(directory, b"").unwrap();
}

fn clear(directory: &Path) {
    fs::remove_file(directory).unwrap();
    fs::rename(directory.with_extension("aside"), directory).unwrap();
}

#[tokio::test]
async fn an_ending_that_cannot_be_kept_on_disk_is_reported_all_the_same() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    broker.change(|world| world.endings_fail = true);
    let _agent = host.start(&broker);
    let go = host.path("go");
    let id = broker.submit(&format!(
        "{{shell: 'until [ -e {} ]; do sleep 0.05; done; exit 4'}}",
        go.display()
    ));
    eventually("the command", || (host.commands() == 1).then_some(())).await;
    obstruct(&host.state_dir().join("endings"));
    fs::write(go, b"").unwrap();
    broker
        .until("two reports", |world| (world.ending_reports >= 2).then_some(()))
        .await;

    broker.change(|world| world.endings_fail = false);
    assert_eq!(broker.ending(id).await["exit_code"], 4);
}

#[tokio::test]
async fn an_agent_that_cannot_write_its_state_claims_no_commands_until_it_can() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = RunningAgent::start(AgentConfig {
        look_again: Duration::from_millis(50),
        ..host.config(&broker)
    });
    let first = broker.submit("{shell: 'true'}");
    assert_eq!(broker.ending(first).await["success"], true);
    let commands = host.state_dir().join("commands");
    eventually("the first command to be forgotten", || {
        (host.commands() == 0).then_some(())
    })
    .await;

    obstruct(&commands);
    broker
        .until("the agent's word", |world| {
            let state = world.renewal_requests.last()?["state"].as_str()?;
            state
                .contains("no command: the state directory cannot be written")
                .then_some(())
        })
        .await;
    let second = broker.submit("{shell: 'exit 3'}");
    let asked = broker.see(|world| world.renewal_requests.len());
    broker
        .until("another renewal", |world| {
            (world.renewal_requests.len() > asked).then_some(())
        })
        .await;
    assert_eq!(broker.see(|world| world.waiting.len()), 1, "it was not claimed");

    clear(&commands);
    assert_eq!(broker.ending(second).await["exit_code"], 3);
}

#[tokio::test]
async fn an_ending_that_waits_for_longer_than_the_lease_is_delivered_when_the_broker_is_back() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    broker.change(|world| (world.endings_fail, world.renewals_fail) = (true, true));
    let begun = tokio::time::Instant::now();
    let _agent = host.start(&broker);
    let id = broker.submit("{shell: 'exit 4'}");
    let lease = Duration::from_secs(crate::agent::LEASE_SECONDS.unsigned_abs());
    broker
        .until("reports beyond the lease", |_| {
            (begun.elapsed() > lease * 3 / 2).then_some(())
        })
        .await;
    assert_eq!(host.journaled(), 1);

    broker.change(|world| (world.endings_fail, world.renewals_fail) = (false, false));
    let ending = broker.ending(id).await;
    assert_eq!(
        (&ending["exit_code"], &ending["class"]),
        (&json!(4), &json!("work"))
    );
    eventually("the journal to be empty", || {
        (host.journaled() == 0).then_some(())
    })
    .await;
}
