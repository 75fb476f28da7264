use std::time::Duration;

use brokkr_testkit::Backend::{Postgres, Sqlite};
use brokkr_testkit::{Answer, Backend, LEASE, TestBroker};
use reqwest::Method;
use rstest::rstest;

#[rstest]
#[tokio::test]
async fn everybody_is_who_they_say(#[values(Postgres, Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let (agent, generator, viewer) = (
        broker.agent().await,
        broker.generator().await,
        broker.viewer().await,
    );

    assert!(broker.admin().whoami().await.unwrap().admin);
    assert_eq!(agent.client.whoami().await.unwrap().agent, Some(agent.id));
    assert_eq!(
        generator.client.whoami().await.unwrap().generator,
        Some(generator.id)
    );
    assert!(viewer.client.whoami().await.unwrap().readonly);
    assert_eq!(broker.nobody().whoami().await.unwrap_err().status(), Some(401));
}

#[rstest]
#[tokio::test]
async fn a_replica_knows_what_the_first_broker_did(#[values(Postgres, Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;

    let replica = broker.replica().await;
    let other = replica.agent().await;

    assert_eq!(replica.admin().agent(agent.id).await.unwrap().status, "ACTIVE");
    assert_ne!(other.id, agent.id);
}

#[tokio::test]
async fn nonsense_is_answered_too() {
    let broker = TestBroker::start(Sqlite).await;

    let answer = Answer::of(broker.http(Method::PATCH, "/api/v1/agents")).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (405, "method_not_allowed")
    );

    let answer = broker
        .send_bytes(b"GET /healthz HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[rstest]
#[tokio::test]
async fn an_agent_that_lost_its_lease_cannot_finish_the_order(#[values(Postgres, Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let (slow, quick) = (broker.agent().await, broker.agent().await);
    let order = broker
        .work_order()
        .for_agents([&slow, &quick])
        .claim_timeout_seconds(30)
        .create()
        .await;

    let first = slow.claim(&order).await.unwrap();
    broker.advance(LEASE + Duration::from_secs(1)).await;
    let second = quick.claim(&order).await.unwrap();
    let problem = slow.succeed(&first).await.unwrap_err();

    assert_eq!(problem.code(), Some("stale_attempt"));
    assert_eq!(quick.succeed(&second).await.unwrap().attempt, 2);
}
