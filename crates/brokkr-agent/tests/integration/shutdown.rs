use crate::agent::{Host, gone};
use crate::broker::FakeBroker;

#[tokio::test]
async fn the_first_signal_lets_work_finish_and_claims_no_more() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = host.start(&broker);
    let gate = host.path("gate");
    let wait = format!(
        "{{shell: 'echo started; until [ -e {} ]; do sleep 0.05; done'}}",
        gate.display()
    );
    let first = broker.submit(&wait);
    broker.printed(first, "started").await;
    agent.trigger.escalate();
    broker
        .until("the agent to drain", |world| {
            world
                .renewal_requests
                .iter()
                .any(|request| request["state"] == "draining")
                .then_some(())
        })
        .await;
    broker.submit(&wait);
    std::fs::write(gate, "").unwrap();
    agent.ended().await.unwrap();
    assert_eq!(broker.ending(first).await["success"], true);
    assert_eq!(broker.see(|world| world.waiting.len()), 1);
}

#[tokio::test]
async fn the_second_signal_stops_the_work_and_reports_it_as_the_hosts_fault() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = host.start(&broker);
    let command = host.path("command");
    let id = broker.submit(&format!(
        "{{shell: 'echo $$ > {}; sleep 600; true'}}",
        command.display()
    ));
    let command = host.number_in("command").await;
    agent.trigger.escalate();
    agent.trigger.escalate();
    agent.ended().await.unwrap();
    gone(command).await;
    let ending = broker.ending(id).await;
    assert_eq!(
        (ending["success"].as_bool(), ending["class"].as_str()),
        (Some(false), Some("infrastructure"))
    );
}

#[tokio::test]
async fn an_idle_agent_stops_at_once() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = host.start(&broker);
    broker
        .until("a claim", |world| world.claim_requests.first().cloned())
        .await;
    agent.trigger.escalate();
    agent.ended().await.unwrap();
}
