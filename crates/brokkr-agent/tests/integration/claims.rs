use brokkr_agent::policy::AgentPolicy;
use brokkr_agent::{AgentConfig, AgentError};

use crate::agent::{Host, RunningAgent, gone};
use crate::broker::FakeBroker;

#[tokio::test]
async fn an_agent_never_asks_for_more_than_its_free_slots() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let gate = host.path("gate");
    let wait = format!(
        "{{shell: 'until [ -e {} ]; do sleep 0.05; done'}}",
        gate.display()
    );
    let orders: Vec<_> = (0..5).map(|_| broker.submit(&wait)).collect();
    let _agent = RunningAgent::start(AgentConfig {
        slots: 2,
        ..host.config(&broker)
    });
    broker
        .until("both slots to be taken", |world| {
            (world.held.len() == 2).then_some(())
        })
        .await;
    // With both slots taken there is no further request, however long the commands run.
    broker
        .until("a renewal of both", |world| {
            world
                .renewal_requests
                .iter()
                .any(|request| request["claims"].as_array().unwrap().len() == 2)
                .then_some(())
        })
        .await;
    assert_eq!(broker.see(|world| world.waiting.len()), 3);
    std::fs::write(gate, "").unwrap();
    for order in orders {
        broker.ending(order).await;
    }
    let most = broker.see(|world| {
        world
            .claim_requests
            .iter()
            .map(|request| request["max"].as_u64().unwrap())
            .max()
    });
    assert_eq!(most, Some(2));
}

#[tokio::test]
async fn an_agent_asks_only_for_work_that_its_policy_allows() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = RunningAgent::start(AgentConfig {
        policy: AgentPolicy::default(),
        ..host.config(&broker)
    });
    broker.submit("{command: ['true']}");
    broker
        .until("a heartbeat", |world| world.renewal_requests.first().cloned())
        .await;
    assert!(broker.see(|world| world.claim_requests.is_empty()));
    agent.kill().await;

    let _agent = host.start(&broker);
    let request = broker
        .until("a claim", |world| world.claim_requests.first().cloned())
        .await;
    assert_eq!(request["work_types"], serde_json::json!(["command"]));
}

#[tokio::test]
async fn a_superseded_agent_stops_its_work_and_ends_with_an_error() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = host.start(&broker);
    let command = host.path("command");
    broker.submit(&format!(
        "{{shell: 'echo $$ > {}; sleep 600; true'}}",
        command.display()
    ));
    let command = host.number_in("command").await;
    broker.change(|world| {
        world.superseded = true;
        // Whoever took over has given it back.
        world.held.clear();
    });
    assert!(matches!(agent.ended().await, Err(AgentError::Superseded(_))));
    gone(command).await;
}

#[tokio::test]
async fn two_agents_cannot_share_a_state_directory() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _first = host.start(&broker);
    broker
        .until("the first to work", |world| world.claim_requests.first().cloned())
        .await;
    assert!(matches!(
        host.start(&broker).ended().await,
        Err(AgentError::StateInUse(_))
    ));
}

#[tokio::test]
async fn a_claim_that_was_long_in_coming_is_confirmed_before_it_begins() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    // A third of the lease is less than the wait.
    let _agent = RunningAgent::start(AgentConfig {
        wait_seconds: 30,
        ..host.config(&broker)
    });
    broker.submit("{shell: 'sleep 600'}");
    broker
        .until("a claim that waits", |world| {
            (world.held.len() == 1 && world.claim_requests.len() == 2).then_some(())
        })
        .await;
    // Each comes a third of the lease after the one before.
    let renewals = broker.see(|world| world.renewal_requests.len());
    broker
        .until("renewals", |world| {
            (world.renewal_requests.len() >= renewals + 3).then_some(())
        })
        .await;
    let began = host.path("began");
    broker.change(|world| world.renewals_fail = true);
    let id = broker.submit(&format!("{{shell: 'touch {}'}}", began.display()));
    broker
        .until("the claim to be given out", |world| {
            world.held.contains_key(&id).then_some(())
        })
        .await;
    let failed = broker.see(|world| world.renewal_requests.len());
    broker
        .until("a confirmation", |world| {
            (world.renewal_requests.len() > failed).then_some(())
        })
        .await;
    assert!(!began.exists());
    broker.change(|world| world.renewals_fail = false);
    assert_eq!(broker.ending(id).await["success"], true);
}
