//! Orders that an agent holds, and what is said about that.

use std::time::Duration;

use brokkr_api::Cancel;
use brokkr_testkit::{Backend, LEASE, TestBroker};
use rstest::rstest;

use super::{MINUTE, SECOND, about, codes, explain, ready, time};

#[rstest]
#[tokio::test]
async fn an_order_that_runs_says_where_since_when_and_until_when(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let order = broker.work_order().for_agent(&agent).deadline_seconds(90);
    let order = order.create().await;
    let claimed_at = broker.now();
    agent.claim_next(1).await.unwrap();
    broker.clock().advance(SECOND);

    let explanation = explain(&broker, &order).await;

    assert_eq!(codes(&explanation), ["running", "deadline"]);
    about(&explanation.reasons[0], &agent);
    assert_eq!(explanation.reasons[0].since, time(claimed_at));
    assert_eq!(
        explanation.reasons[1].until,
        time(claimed_at.plus(Duration::from_secs(90)))
    );
    assert_eq!(
        explanation.attempts[0].lease_expires_at,
        time(claimed_at.plus(LEASE))
    );
}

#[rstest]
#[tokio::test]
async fn an_order_whose_cancellation_is_not_confirmed_says_since_when_that_is_asked_for(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let order = broker.work_order().for_agent(&agent).create().await;
    agent.claim_next(1).await.unwrap();
    broker.clock().advance(SECOND);
    let cancel = Cancel {
        reason: Some("wrong cluster".to_owned()),
    };
    broker.admin().cancel_work_order(order.id, &cancel).await.unwrap();
    let asked_at = broker.now();
    broker.clock().advance(SECOND);

    let explanation = explain(&broker, &order).await;

    assert_eq!(codes(&explanation), ["running", "cancel_requested"]);
    let reason = &explanation.reasons[1];
    assert_eq!(reason.since, time(asked_at));
    assert!(reason.sentence.contains("wrong cluster"), "{reason:?}");
}

#[rstest]
#[tokio::test]
async fn an_order_whose_agent_vanished_says_when_it_was_last_heard_and_that_its_lease_passed(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let heard_at = broker.now();
    let order = broker.work_order().for_agent(&agent).create().await;
    agent.claim(&order).await.unwrap();
    broker.clock().advance(MINUTE + SECOND);

    let silent = explain(&broker, &order).await;
    broker.clock().advance(Duration::from_secs(3_600));
    let passed = explain(&broker, &order).await;

    assert_eq!(codes(&silent), ["running", "holder_not_seen"]);
    assert_eq!(silent.reasons[1].since, time(heard_at));
    assert_eq!(codes(&passed), ["holder_not_seen", "lease_passed"]);
    let reason = &passed.reasons[1];
    about(reason, &agent);
    assert!(reason.sentence.contains("goes back to the queue"), "{reason:?}");
}
