//! The attempts at a work order.

use brokkr_api::AttemptEnding;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

#[rstest]
#[tokio::test]
async fn the_current_attempt_is_listed_after_those_that_ended(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    assert!(broker.admin().attempts(order.id).await.unwrap().is_empty());
    let first = agent.claim(&order).await.unwrap();
    agent.release(&first).await.unwrap();
    let second = agent.claim(&order).await.unwrap();
    let attempts = broker.admin().attempts(order.id).await.unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(
        (attempts[0].attempt, attempts[0].ending),
        (1, Some(AttemptEnding::Released))
    );
    assert_eq!((attempts[1].attempt, attempts[1].ending), (2, None));
    assert_eq!(attempts[1].lease_expires_at, second.lease_expires_at);
}
