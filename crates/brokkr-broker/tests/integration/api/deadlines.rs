//! Attempts that nobody ends although their deadline has passed.

use std::time::Duration;

use brokkr_api::{AttemptEnding, Cancel, Ending, FailureClass, WorkOrderStatus};
use brokkr_core::life::DEADLINE_MARGIN_SECONDS;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::refusals::code;

const SECOND: Duration = Duration::from_secs(1);
const DEADLINE: u64 = 60;
const MARGIN: Duration = Duration::from_secs(DEADLINE_MARGIN_SECONDS);

#[rstest]
#[tokio::test]
async fn an_agent_that_is_gone_does_not_hold_an_order_past_its_deadline_however_long_its_lease(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .deadline_seconds(DEADLINE.cast_signed())
        .create()
        .await;
    let endless = broker.work_order().for_agent(&agent).create().await;
    let claim = agent.claim(&order).await.unwrap();
    agent.claim(&endless).await.unwrap();

    broker.advance(SECOND * 60 + MARGIN - SECOND).await;
    assert_eq!(broker.shown(&order).await.status, WorkOrderStatus::Claimed);
    broker.advance(SECOND).await;

    let entry = broker.admin().work_order_log_entry(order.id).await.unwrap();
    assert_eq!(
        (entry.ending, entry.class),
        (Ending::Lost, Some(FailureClass::Deadline))
    );
    assert!(entry.result_message.unwrap().starts_with("The deadline passed"));
    assert_eq!(code(agent.succeed(&claim).await), "work_order_ended");
    let attempts = broker.admin().attempts(order.id).await.unwrap();
    assert_eq!(attempts[0].ending, Some(AttemptEnding::Lost));
    assert_eq!(broker.shown(&endless).await.status, WorkOrderStatus::Claimed);
}

#[rstest]
#[tokio::test]
async fn an_agent_that_renews_past_the_deadline_loses_the_order_which_runs_again_if_it_wants_to(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .deadline_seconds(DEADLINE.cast_signed())
        .retry_on([FailureClass::Deadline])
        .create()
        .await;
    let claim = agent.claim_one().await;
    for _ in 0..((DEADLINE + DEADLINE_MARGIN_SECONDS) / 20 - 1) {
        broker.advance(SECOND * 20).await;
        assert_eq!(agent.renew(&[&claim]).await.unwrap().renewed.len(), 1);
    }
    broker.advance(SECOND * 20).await;

    let lost = agent.renew(&[&claim]).await.unwrap().lost;
    assert_eq!((lost.len(), lost[0].code.as_str()), (1, "stale_attempt"));
    let back = broker.shown(&order).await;
    assert_eq!((back.status, back.lost_count), (WorkOrderStatus::Pending, 1));
    assert_eq!(agent.claim_next(1).await.unwrap()[0].lost_attempts, [1]);
    assert_eq!(code(agent.succeed(&claim).await), "stale_attempt");
}

#[rstest]
#[tokio::test]
async fn what_must_not_run_twice_and_what_is_to_be_stopped_does_not_run_again_after_its_deadline(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = || {
        broker
            .work_order()
            .for_agent(&agent)
            .deadline_seconds(DEADLINE.cast_signed())
            .retry_on([FailureClass::Deadline])
    };
    let once = order().at_most_once().create().await;
    let cancelled = order().create().await;
    for order in [&once, &cancelled] {
        agent.claim(order).await.unwrap();
    }
    broker
        .admin()
        .cancel_work_order(cancelled.id, &Cancel::default())
        .await
        .unwrap();

    broker.advance(SECOND * 60 + MARGIN).await;

    assert_eq!(broker.shown(&once).await.status, WorkOrderStatus::Lost);
    assert_eq!(broker.shown(&cancelled).await.status, WorkOrderStatus::Cancelled);
}
