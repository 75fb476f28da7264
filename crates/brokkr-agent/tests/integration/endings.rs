use crate::agent::{Host, eventually};
use crate::broker::FakeBroker;

#[tokio::test]
async fn an_ending_is_sent_until_the_broker_answers() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    broker.change(|world| world.endings_fail = true);
    let _agent = host.start(&broker);
    let id = broker.submit("{shell: 'exit 4'}");
    broker
        .until("three reports", |world| (world.ending_reports >= 3).then_some(()))
        .await;
    assert_eq!(host.journaled(), 1);
    broker.change(|world| world.endings_fail = false);
    assert_eq!(broker.ending(id).await["exit_code"], 4);
    eventually("the journal to be empty", || {
        (host.journaled() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_attempt_whose_ending_is_on_its_way_is_still_renewed() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    broker.change(|world| world.endings_fail = true);
    let _agent = host.start(&broker);
    let id = broker.submit("{shell: 'true'}");
    broker
        .until("a report", |world| (world.ending_reports >= 1).then_some(()))
        .await;
    let before = broker.see(|world| world.renewal_requests.len());
    broker
        .until("two more renewals", |world| {
            let renewals = world.renewal_requests[before..].iter();
            (renewals
                .filter(|request| !request["claims"].as_array().unwrap().is_empty())
                .count()
                >= 2)
                .then_some(())
        })
        .await;
    broker.change(|world| world.endings_fail = false);
    assert_eq!(broker.ending(id).await["success"], true);
}

#[tokio::test]
async fn an_ending_that_could_not_be_delivered_is_reported_by_the_next_agent() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    broker.change(|world| world.endings_fail = true);
    let agent = host.start(&broker);
    let id = broker.submit("{shell: 'exit 4'}");
    broker
        .until("a report", |world| (world.ending_reports >= 1).then_some(()))
        .await;
    agent.kill().await;
    broker.change(|world| world.endings_fail = false);

    let _agent = host.start(&broker);
    assert_eq!(broker.ending(id).await["exit_code"], 4);
    eventually("the journal to be empty", || {
        (host.journaled() == 0).then_some(())
    })
    .await;
    assert_eq!(
        broker.see(|world| (world.endings.len(), world.releases.len())),
        (1, 0)
    );
}

#[tokio::test]
async fn an_ending_that_the_broker_refuses_is_not_sent_for_ever() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    broker.change(|world| world.endings_fail = true);
    let agent = host.start(&broker);
    let id = broker.submit("{shell: 'exit 4'}");
    broker
        .until("a report", |world| (world.ending_reports >= 1).then_some(()))
        .await;
    agent.kill().await;
    broker.change(|world| {
        world.endings_fail = false;
        world.held.remove(&id);
    });

    let _agent = host.start(&broker);
    eventually("the journal to be empty", || {
        (host.journaled() == 0).then_some(())
    })
    .await;
    assert_eq!(broker.see(|world| world.endings.len()), 0);
}
