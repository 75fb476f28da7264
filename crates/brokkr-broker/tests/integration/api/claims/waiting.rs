//! Claims that wait for work.

use std::time::Duration;

use brokkr_api::{ClaimRequest, FailureClass, WorkOrder};
use brokkr_client::ClientError;
use brokkr_testkit::{Backend, LEASE, TestAgent, TestBroker};
use rstest::rstest;

use crate::api::refusals::code;

const SECOND: Duration = Duration::from_secs(1);

async fn claim_waiting(agent: &TestAgent, max: i64) -> Result<Vec<WorkOrder>, ClientError> {
    let request = ClaimRequest {
        wait_seconds: Some(60),
        max: Some(max),
        ..agent.claim_request()
    };
    let claimed = agent.client.claim(agent.id, &request).await?;
    Ok(claimed.into_iter().map(|claim| claim.work_order).collect())
}

/// Waits until so many claims wait. They are on their way.
async fn parked(broker: &TestBroker, claims: usize) {
    while broker.app().parked_claims() != claims {
        tokio::task::yield_now().await;
    }
}

/// Lets a claim wait while `then` happens, and answers what it got.
async fn waiting_while(
    broker: &TestBroker,
    agent: &TestAgent,
    then: impl Future<Output = ()>,
) -> Vec<WorkOrder> {
    let act = async {
        parked(broker, 1).await;
        then.await;
    };
    let (claimed, ()) = tokio::join!(claim_waiting(agent, 1), act);
    claimed.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_claim_that_waits_is_woken_by_a_new_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claimed = waiting_while(&broker, &agent, async {
        broker.work_order().for_agent(&agent).create().await;
    })
    .await;
    assert_eq!(claimed.len(), 1);
    parked(&broker, 0).await;
}

#[rstest]
#[tokio::test]
async fn a_claim_that_waits_is_woken_by_whatever_brings_work(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let admin = broker.admin();

    // A release.
    let order = broker
        .work_order()
        .for_agents([&agent, &other])
        .backoff_seconds(1)
        .create()
        .await;
    let held = other.claim(&order).await.unwrap();
    let got = waiting_while(&broker, &agent, async {
        drop(other.release(&held).await.unwrap())
    })
    .await;
    assert_eq!(got[0].attempt, 2);
    // A retry that is due.
    agent.fail(&got[0], FailureClass::Infrastructure).await.unwrap();
    let got = waiting_while(&broker, &agent, broker.advance(SECOND * 2)).await;
    assert_eq!(got[0].attempt, 3);
    // A lease that passed.
    let got = waiting_while(&broker, &other, broker.advance(LEASE)).await;
    assert_eq!(got[0].attempt, 4);
    // Another targeting.
    let order = broker.work_order().label("nobody").create().await;
    let target = brokkr_api::SetTargeting {
        agent_ids: Some(vec![agent.id]),
        ..Default::default()
    };
    let got = waiting_while(&broker, &agent, async {
        drop(admin.set_targeting(order.id, &target).await.unwrap())
    })
    .await;
    assert_eq!(got[0].id, order.id);
    // A new label.
    let order = broker.work_order().label("gpu").create().await;
    let got = waiting_while(&broker, &agent, async {
        drop(admin.add_agent_label(agent.id, "gpu").await.unwrap())
    })
    .await;
    assert_eq!(got[0].id, order.id);
    // A repetition.
    agent.succeed(&got[0]).await.unwrap();
    let got = waiting_while(&broker, &agent, async {
        drop(admin.retry_work_order(order.id).await.unwrap())
    })
    .await;
    assert_eq!(got[0].retry_of, Some(order.id));
}

#[rstest]
#[tokio::test]
async fn work_that_another_replica_accepted_is_found_by_the_next_look(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let replica = broker.replica().await;
    let agent = broker.agent().await;
    let claimed = waiting_while(&broker, &agent, async {
        replica.work_order().for_agent(&agent).create().await;
        broker.sweep().await;
    })
    .await;
    assert_eq!(claimed.len(), 1);
}

#[rstest]
#[tokio::test]
async fn of_two_claims_that_wait_one_order_wakes_one(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (one, other) = (broker.agent().await, broker.agent().await);
    let act = async {
        parked(&broker, 2).await;
        let order = broker.work_order().for_agents([&one, &other]).create().await;
        parked(&broker, 1).await;
        broker.app().stopping().cancel();
        order
    };
    let (first, second, order) = tokio::join!(claim_waiting(&one, 1), claim_waiting(&other, 1), act);
    let claimed: Vec<_> = [first.unwrap(), second.unwrap()].concat();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, order.id);
}

#[tokio::test]
async fn a_broker_that_stops_answers_claims_that_wait_with_none() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let claimed = waiting_while(&broker, &agent, async { broker.app().stopping().cancel() }).await;
    assert!(claimed.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_claim_that_waits_in_vain_is_answered_with_none(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let request = ClaimRequest {
        wait_seconds: Some(1),
        ..agent.claim_request()
    };
    assert!(agent.client.claim(agent.id, &request).await.unwrap().is_empty());
    assert_eq!(broker.app().parked_claims(), 0);
}

#[rstest]
#[tokio::test]
async fn work_that_comes_is_for_the_newer_process_although_the_older_one_waits(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let old = broker.agent().await;
    let new = old.restarted("process-2");
    old.claim_next(1).await.unwrap();
    let act = async {
        parked(&broker, 1).await;
        new.claim_next(1).await.unwrap();
        let order = broker.work_order().for_agent(&new).create().await;
        (order, new.claim_next(1).await.unwrap())
    };
    let (older, (order, newer)) = tokio::join!(claim_waiting(&old, 1), act);
    assert_eq!(code(older), "superseded_instance");
    assert_eq!(newer[0].work_order.id, order.id);
}
