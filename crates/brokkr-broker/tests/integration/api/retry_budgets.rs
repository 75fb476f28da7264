//! What pays for retries, and how long they wait.

use std::collections::BTreeSet;
use std::time::Duration;

use brokkr_api::{Complete, Ending, FailureClass, ListPending, WorkOrderStatus};
use brokkr_client::CompleteOutcome;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

#[rstest]
#[tokio::test]
async fn an_order_that_says_nothing_of_its_retries_has_five_around_the_work_and_pauses_with_jitter(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let order = broker.work_order().label("any").create().await;
    assert_eq!(
        (order.infrastructure_retries_max, order.infrastructure_retry_count),
        (5, 0)
    );
    assert!(order.backoff_jitter);
    let chosen = broker
        .work_order()
        .label("any")
        .backoff_seconds(60)
        .create()
        .await;
    assert!(!chosen.backoff_jitter);
}

#[rstest]
#[tokio::test]
async fn failures_around_the_work_are_retried_from_a_budget_of_their_own(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .max_retries(1)
        .infrastructure_retries_max(2)
        .backoff_seconds(10)
        .create()
        .await;
    let shown = async || broker.admin().work_order(order.id).await.unwrap();
    let fail = async |report: Complete| {
        let claim = agent.claim(&order).await.unwrap();
        agent.complete(&claim, report).await.unwrap()
    };
    let around = || Complete {
        class: Some(FailureClass::Infrastructure),
        ..Complete::default()
    };
    // A client of the plain contract says no class.
    let plain = || Complete {
        retryable: Some(true),
        ..Complete::default()
    };

    for (report, counts, pause) in [
        (around(), (0, 1), 20),
        (plain(), (1, 1), 20),
        (around(), (1, 2), 40),
    ] {
        assert_eq!(fail(report).await, CompleteOutcome::RetryScheduled);
        let waiting = shown().await;
        assert_eq!((waiting.retry_count, waiting.infrastructure_retry_count), counts);
        assert_eq!(
            waiting.next_retry_after.unwrap().to_string(),
            broker.now().plus_seconds(pause).to_string()
        );
        broker.advance(Duration::from_secs(pause)).await;
    }
    let CompleteOutcome::Ended(entry) = fail(around()).await else {
        panic!("no retry is left")
    };
    assert_eq!((entry.ending, entry.attempt), (Ending::Failed, 4));
    assert_eq!(
        (entry.retries_attempted, entry.infrastructure_retries_attempted),
        (1, 2)
    );
    let (status, max) = (shown().await.status, shown().await.infrastructure_retries_max);
    assert_eq!((status, max), (WorkOrderStatus::Failed, 2));
}

#[rstest]
#[tokio::test]
async fn orders_that_fail_together_come_back_apart_unless_they_chose_their_pause(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let waits = async |chosen: Option<i64>| {
        let mut waits = BTreeSet::new();
        for _ in 0..5 {
            let order = broker.work_order().for_agent(&agent);
            let order = match chosen {
                Some(seconds) => order.backoff_seconds(seconds),
                None => order,
            };
            let claim = agent.claim(&order.create().await).await.unwrap();
            agent.fail(&claim, FailureClass::Infrastructure).await.unwrap();
            let waiting = broker.admin().work_order(claim.id).await.unwrap();
            waits.insert(waiting.next_retry_after.unwrap().as_micros() - broker.now().as_micros());
        }
        waits
    };

    assert_eq!(waits(Some(60)).await, BTreeSet::from([120_000_000]));
    let apart = waits(None).await;
    assert_eq!(apart.len(), 5, "{apart:?}");
    assert!(
        apart
            .iter()
            .all(|micros| (60_000_000..=120_000_000).contains(micros)),
        "{apart:?}"
    );
}

#[rstest]
#[tokio::test]
async fn an_order_that_failed_around_its_work_has_started_and_does_not_expire(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .start_by(broker.now().plus_seconds(5))
        .backoff_seconds(30)
        .create()
        .await;
    let claim = agent.claim(&order).await.unwrap();
    agent.fail(&claim, FailureClass::Infrastructure).await.unwrap();
    broker.advance(Duration::from_secs(60)).await;
    let pending = agent
        .client
        .pending_work_orders(agent.id, &ListPending::default())
        .await
        .unwrap();
    assert_eq!(pending.items.len(), 1);
    assert_eq!(agent.claim_next(1).await.unwrap().len(), 1);
}
