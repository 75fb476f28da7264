//! What follows when the database was restored from a backup.

use std::time::Duration;

use brokkr_api::{AttemptEnding, Ending, WorkOrder, WorkOrderStatus};
use brokkr_testkit::{Backend, LEASE, TestBroker};
use rstest::rstest;

use super::refusals::code;

#[rstest]
#[tokio::test]
async fn no_report_from_before_the_restoration_is_taken_for_one_of_after_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    let before = agent.claim_one().await;

    let restored = broker.app().restored().await.unwrap();

    assert_eq!((restored.taken_back, restored.waiting_at_most_once), (1, 0));
    let back = broker.admin().work_order(order.id).await.unwrap();
    assert_eq!(
        (back.status, back.attempt, back.lost_count),
        (WorkOrderStatus::Pending, 1, 1)
    );
    // The backup knows the first attempt alone; the second was made after it was taken.
    let forgotten = WorkOrder {
        attempt: 2,
        ..before.clone()
    };
    for late in [&before, &forgotten] {
        assert_ne!(code(agent.succeed(late).await), "");
        assert_eq!(agent.renew(&[late]).await.unwrap().lost.len(), 1);
    }
    let claim = agent.claim_next(1).await.unwrap().remove(0);
    assert_eq!(claim.lost_attempts, [1]);
    let after = claim.work_order;
    assert_eq!(after.attempt, restored.epoch.number() + 1);
    for late in [&before, &forgotten] {
        assert_eq!(code(agent.succeed(late).await), "stale_attempt");
        assert_eq!(agent.renew(&[late]).await.unwrap().lost[0].code, "stale_attempt");
    }
    assert_eq!(agent.renew(&[&after]).await.unwrap().renewed.len(), 1);
    let entry = agent.succeed(&after).await.unwrap();
    assert_eq!((entry.ending, entry.attempt), (Ending::Succeeded, after.attempt));
    let attempts = broker.admin().attempts(order.id).await.unwrap();
    let endings: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.attempt, attempt.ending))
        .collect();
    assert_eq!(
        endings,
        [
            (1, Some(AttemptEnding::Lost)),
            (after.attempt, Some(AttemptEnding::Succeeded))
        ]
    );
}

#[rstest]
#[tokio::test]
async fn attempts_go_on_from_the_latest_restoration(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let first = broker.app().restored().await.unwrap();
    let order = broker.work_order().for_agent(&agent).create().await;
    assert_eq!(
        agent.claim(&order).await.unwrap().attempt,
        first.epoch.number() + 1
    );
    // No time has passed between the two.
    let second = broker.app().restored().await.unwrap();
    assert!(first.epoch < second.epoch);
    let claim = agent.claim(&order).await.unwrap();
    assert_eq!(claim.attempt, second.epoch.number() + 1);
    agent.release(&claim).await.unwrap();
    assert_eq!(
        agent.claim(&order).await.unwrap().attempt,
        second.epoch.number() + 2
    );
    broker.advance(Duration::from_secs(3_600) + LEASE).await;
    assert_eq!(agent.claim_one().await.attempt, second.epoch.number() + 3);
}

#[rstest]
#[tokio::test]
async fn what_must_not_run_twice_is_lost_when_it_was_held_and_told_when_it_waited(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let held = broker
        .work_order()
        .for_agent(&agent)
        .at_most_once()
        .create()
        .await;
    agent.claim(&held).await.unwrap();
    let waiting = broker
        .work_order()
        .for_agent(&agent)
        .at_most_once()
        .create()
        .await;

    let restored = broker.app().restored().await.unwrap();

    assert_eq!((restored.taken_back, restored.waiting_at_most_once), (1, 1));
    let entry = broker.admin().work_order_log_entry(held.id).await.unwrap();
    assert_eq!(entry.ending, Ending::Lost);
    assert!(entry.result_message.unwrap().contains("restored from a backup"));
    let waits = broker.admin().work_order(waiting.id).await.unwrap();
    assert_eq!(waits.status, WorkOrderStatus::Pending);
}
