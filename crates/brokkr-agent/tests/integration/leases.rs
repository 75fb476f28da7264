use serde_json::json;

use crate::agent::{Host, gone, runs};
use crate::broker::FakeBroker;

/// A command that writes its own number and that of a child that would outlive it.
fn family(host: &Host) -> String {
    let (parent, child) = (host.path("parent"), host.path("child"));
    format!(
        "{{shell: 'sleep 600 & echo $! > {}; echo $$ > {}; wait'}}",
        child.display(),
        parent.display()
    )
}

#[tokio::test]
async fn all_attempts_are_renewed_in_one_request() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let orders: Vec<_> = (0..3).map(|_| broker.submit("{shell: 'sleep 600'}")).collect();
    let _agent = host.start(&broker);
    let all: Vec<_> = orders
        .iter()
        .map(|id| json!({"id": id.order, "attempt": 1}))
        .collect();
    let renewed = |world: &crate::broker::World| {
        world
            .renewal_requests
            .iter()
            .filter(|request| request["claims"] == json!(all))
            .count()
    };
    broker
        .until("two renewals of all three", |world| {
            (renewed(world) >= 2).then_some(())
        })
        .await;
    let request = broker
        .see(|world| world.renewal_requests.last().cloned())
        .unwrap();
    assert_eq!(request["instance_id"], "test-instance");
    assert_eq!(request["lease_seconds"], crate::agent::LEASE_SECONDS);
    assert_eq!(request["state"], "running");
}

#[tokio::test]
async fn a_cancellation_is_heard_through_the_renewal_and_confirmed() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit(&family(&host));
    let (parent, child) = (host.number_in("parent").await, host.number_in("child").await);
    broker.change(|world| world.cancel.push(id));
    let ending = broker.ending(id).await;
    assert_eq!(
        (&ending["success"], &ending["class"]),
        (&json!(false), &json!("cancelled"))
    );
    gone(parent).await;
    gone(child).await;
}

#[tokio::test]
async fn a_lost_lease_stops_the_command_and_its_children() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit(&family(&host));
    let (parent, child) = (host.number_in("parent").await, host.number_in("child").await);
    broker.change(|world| world.lost.push(id));
    gone(parent).await;
    gone(child).await;
    broker
        .until("the report of the ending", |world| {
            (world.ending_reports > 0).then_some(())
        })
        .await;
    assert_eq!(
        broker.see(|world| world.endings.len()),
        0,
        "a late report changes nothing"
    );
    crate::agent::eventually("the agent to forget it", || {
        (host.journaled() + host.commands() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_stops_the_work_before_the_lease_ends() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit(&family(&host));
    let (parent, child) = (host.number_in("parent").await, host.number_in("child").await);
    broker
        .until("a renewal", |world| {
            world
                .renewal_requests
                .iter()
                .any(|request| request["claims"] != json!([]))
                .then_some(())
        })
        .await;
    let unreachable_since = tokio::time::Instant::now();
    broker.change(|world| world.renewals_fail = true);
    assert!(runs(parent));
    gone(parent).await;
    gone(child).await;
    let lease = std::time::Duration::from_secs(crate::agent::LEASE_SECONDS.unsigned_abs());
    assert!(unreachable_since.elapsed() < lease);
    // The broker had not noticed, so the report is taken for what it is.
    let ending = broker.ending(id).await;
    assert_eq!(ending["class"], "infrastructure");
    assert!(ending["message"].as_str().unwrap().contains("lease"), "{ending}");
}
