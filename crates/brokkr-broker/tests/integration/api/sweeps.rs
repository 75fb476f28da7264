//! What time brings about.

use std::time::Duration;

use brokkr_api::{Ending, FailureClass, ListPending, WorkOrderStatus};
use brokkr_testkit::{Backend, LEASE, TestBroker};
use rstest::rstest;

use super::refusals::code;

const SECOND: Duration = Duration::from_secs(1);

#[rstest]
#[tokio::test]
async fn a_claim_ends_with_its_lease_and_not_before(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    agent.claim_one().await;
    broker.advance(LEASE - SECOND).await;
    assert_eq!(broker.shown(&order).await.status, WorkOrderStatus::Claimed);
    broker.advance(SECOND).await;
    let back = broker.shown(&order).await;
    assert_eq!(
        (back.status, back.lost_count, back.retry_count),
        (WorkOrderStatus::Pending, 1, 0)
    );
    assert_eq!((back.claimed_by, back.last_error), (None, None));
}

#[rstest]
#[tokio::test]
async fn losses_and_failures_together_use_up_the_retries(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .max_retries(2)
        .retry_on([FailureClass::Work])
        .backoff_seconds(0)
        .create()
        .await;
    agent.claim_one().await;
    broker.advance(LEASE).await;
    let claim = agent.claim_one().await;
    agent.fail(&claim, FailureClass::Work).await.unwrap();
    broker.sweep().await;
    agent.claim_one().await;
    broker.advance(LEASE).await;
    let entry = broker.admin().work_order_log_entry(order.id).await.unwrap();
    assert_eq!((entry.ending, entry.attempt), (Ending::Lost, 3));
    assert_eq!((entry.lost_count, entry.retries_attempted), (1, 1));
    assert_eq!(entry.claimed_by, Some(agent.id));
}

#[rstest]
#[tokio::test]
async fn an_order_that_must_not_run_twice_ends_as_lost(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .at_most_once()
        .create()
        .await;
    let claim = agent.claim_one().await;
    broker.advance(LEASE).await;
    assert_eq!(broker.shown(&order).await.status, WorkOrderStatus::Lost);
    assert_eq!(code(agent.succeed(&claim).await), "work_order_ended");
}

#[rstest]
#[tokio::test]
async fn an_order_waits_for_its_time(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .run_at(broker.now().plus_seconds(60))
        .create()
        .await;
    broker.advance(SECOND * 59).await;
    assert!(agent.claim_next(1).await.unwrap().is_empty());
    broker.advance(SECOND).await;
    assert_eq!(broker.shown(&order).await.status, WorkOrderStatus::Pending);
    assert_eq!(agent.claim_one().await.id, order.id);
    let past = broker
        .work_order()
        .for_agent(&agent)
        .run_at(broker.now())
        .create()
        .await;
    assert_eq!(past.status, WorkOrderStatus::Pending);
}

#[rstest]
#[tokio::test]
async fn an_order_that_was_not_started_in_time_expires_and_one_that_was_does_not(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let start_by = broker.now().plus_seconds(10);
    let started = broker
        .work_order()
        .for_agent(&agent)
        .start_by(start_by)
        .backoff_seconds(60)
        .create()
        .await;
    let claim = agent.claim(&started).await.unwrap();
    agent.fail(&claim, FailureClass::Infrastructure).await.unwrap();
    let idle = broker
        .work_order()
        .for_agent(&agent)
        .start_by(start_by)
        .create()
        .await;

    broker.advance(SECOND * 10).await;
    assert_eq!(broker.shown(&idle).await.status, WorkOrderStatus::Pending);
    // Past its time it cannot be claimed, also while no sweep has come by.
    broker.clock().advance(Duration::from_micros(1));
    assert_eq!(code(agent.claim(&idle).await), "work_order_not_claimable");
    assert!(agent.claim_next(1).await.unwrap().is_empty());
    broker.sweep().await;
    let entry = broker.admin().work_order_log_entry(idle.id).await.unwrap();
    assert_eq!(
        (entry.ending, entry.attempt, entry.claimed_by),
        (Ending::Expired, 0, None)
    );

    broker.advance(SECOND * 120).await;
    assert_eq!(agent.claim_one().await.id, started.id);
}

#[rstest]
#[tokio::test]
async fn an_order_may_be_given_so_many_seconds_to_start_also_after_its_time_has_come(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let accepted_at = broker.now();
    let order = || broker.work_order().for_agent(&agent).start_by_seconds(90);
    let created = order().try_create_with_key("once").await.unwrap().work_order;
    assert_eq!(
        created.start_by.unwrap().to_string(),
        accepted_at.plus_seconds(90).to_string()
    );
    let scheduled = order().run_at(accepted_at.plus_seconds(60)).create().await;
    assert_eq!(scheduled.status, WorkOrderStatus::Scheduled);
    let taken = order().create().await;

    broker.advance(SECOND * 60).await;
    // The same request is about the same order, and so about its time.
    let again = order().try_create_with_key("once").await.unwrap();
    assert!(again.replayed && again.work_order == created);
    assert_eq!(broker.shown(&scheduled).await.status, WorkOrderStatus::Pending);
    let claim = agent.claim(&taken).await.unwrap();
    agent.succeed(&claim).await.unwrap();
    broker.advance(SECOND * 30).await;
    assert_eq!(broker.shown(&scheduled).await.status, WorkOrderStatus::Pending);
    broker.advance(SECOND).await;
    for late in [&created, &scheduled] {
        assert_eq!(broker.shown(late).await.status, WorkOrderStatus::Expired);
        let entry = broker.admin().work_order_log_entry(late.id).await.unwrap();
        assert_eq!((entry.attempt, entry.claimed_by), (0, None));
    }
}

#[rstest]
#[tokio::test]
async fn replicas_that_sweep_at_the_same_time_do_everything_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let replica = broker.replica().await;
    let agent = broker.agent().await;
    for _ in 0..20 {
        broker.work_order().for_agent(&agent).create().await;
    }
    agent.claim_next(20).await.unwrap();
    broker.clock().advance(LEASE);
    tokio::join!(broker.sweep(), replica.sweep());
    let claimed = agent.claim_next(20).await.unwrap();
    assert_eq!(claimed.len(), 20);
    assert!(
        claimed
            .iter()
            .all(|claim| claim.work_order.lost_count == 1 && claim.lost_attempts == [1])
    );
}

#[rstest]
#[tokio::test]
async fn sweeps_are_counted(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    broker
        .work_order()
        .for_agent(&agent)
        .at_most_once()
        .create()
        .await;
    agent.claim_one().await;
    broker.advance(LEASE).await;
    let metrics = broker.nobody().metrics().await.unwrap();
    for line in [
        "brokkr_claims_total 1",
        "brokkr_lost_leases_total 1",
        "brokkr_endings_total{ending=\"lost\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[rstest]
#[tokio::test]
async fn a_claim_that_is_taken_back_leaves_the_last_error_and_the_retries_as_they_were(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .backoff_seconds(1)
        .create()
        .await;
    let failed = agent.claim_one().await;
    agent.fail(&failed, FailureClass::Infrastructure).await.unwrap();
    broker.advance(SECOND * 2).await;
    let before = broker.shown(&order).await;
    assert_eq!(
        (before.infrastructure_retry_count, before.next_retry_after),
        (1, None)
    );
    agent.claim_one().await;
    broker.advance(LEASE).await;

    let after = broker.shown(&order).await;
    assert_eq!(
        (
            after.status,
            after.infrastructure_retry_count,
            after.retry_count,
            after.lost_count
        ),
        (WorkOrderStatus::Pending, 1, 0, 1)
    );
    assert_eq!(
        (&after.last_error, after.last_error_at),
        (&before.last_error, before.last_error_at)
    );
    assert_eq!(
        (after.claimed_by, after.claimed_at, after.lease_expires_at),
        (None, None, None)
    );
    assert_eq!(after.last_error.as_deref(), Some("failed: infrastructure"));
}

#[rstest]
#[tokio::test]
async fn an_order_past_its_start_is_shown_to_no_agent_even_before_a_sweep(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let start_by = broker.now().plus_seconds(10);
    let run_at = broker.now().plus_seconds(5);
    broker
        .work_order()
        .for_agent(&agent)
        .start_by(start_by)
        .create()
        .await;
    let scheduled = broker
        .work_order()
        .for_agent(&agent)
        .run_at(run_at)
        .start_by(start_by)
        .create()
        .await;
    let pending = async || {
        let page = agent
            .client
            .pending_work_orders(agent.id, &ListPending::default())
            .await
            .unwrap();
        page.items.len()
    };
    assert_eq!(pending().await, 1);
    broker.clock().advance(SECOND * 11);
    assert_eq!(pending().await, 0);
    // Its time came and went while no broker looked.
    broker.sweep().await;
    assert_eq!(broker.shown(&scheduled).await.status, WorkOrderStatus::Expired);
}

#[rstest]
#[tokio::test]
async fn a_sweep_does_a_bounded_part_and_nothing_a_second_time(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, app) = (broker.agent().await, broker.app());
    let (run_at, start_by) = (broker.now().plus_seconds(5), broker.now().plus_seconds(6));
    for _ in 0..3 {
        broker.work_order().for_agent(&agent).create().await;
    }
    agent.claim_next(3).await.unwrap();
    for _ in 0..3 {
        broker.work_order().label("nobody").run_at(run_at).create().await;
        broker
            .work_order()
            .label("nobody")
            .start_by(start_by)
            .create()
            .await;
    }
    broker.clock().advance(LEASE);
    let mut done = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..3 {
        done[0].push(app.release_expired_leases(2).await.unwrap());
        done[1].push(app.promote_due(2).await.unwrap());
        done[2].push(app.expire_unstarted(2).await.unwrap());
    }
    assert_eq!(done, [[2, 1, 0], [2, 1, 0], [2, 1, 0]]);
}

#[rstest]
#[tokio::test]
async fn a_report_and_a_sweep_that_race_end_the_attempt_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for _ in 0..8 {
        let order = broker.work_order().for_agent(&agent).create().await;
        let claim = agent.claim_one().await;
        broker.clock().advance(LEASE);
        let (reported, ()) = tokio::join!(agent.succeed(&claim), broker.sweep());
        let attempts = broker.admin().attempts(order.id).await.unwrap();
        assert_eq!(attempts.len(), 1);
        let now = broker.shown(&order).await;
        match reported {
            Ok(_) => assert_eq!((now.status, now.lost_count), (WorkOrderStatus::Completed, 0)),
            Err(_) => {
                assert_eq!((now.status, now.lost_count), (WorkOrderStatus::Pending, 1));
                broker.admin().delete_work_order(order.id).await.unwrap();
            }
        }
    }
}
