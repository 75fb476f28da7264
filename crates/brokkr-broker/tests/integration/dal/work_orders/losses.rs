//! Leases that pass, and orders that never start.

use brokkr_broker::dal::sweeps;
use brokkr_core::attempt::{Attempt, Epoch};
use brokkr_core::life::{AttemptEnding, Delivery, Ending, Event, Refusal, State};
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::fail;
use crate::dal::queue::{Queue, agent, order, run_at, start_by, with_retries};
use crate::dal::samples::at;

#[rstest]
#[tokio::test]
async fn a_lost_lease_sends_the_order_back_and_counts(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    let too_early = queue
        .apply(1, Event::LeasePassed { now: at(39) })
        .await
        .unwrap_err();
    let life = queue.apply(1, Event::LeasePassed { now: at(40) }).await.unwrap();

    assert_eq!(too_early.refusal, Refusal::TooEarly);
    assert_eq!(
        (life.state, life.lost_count, life.retry_count),
        (State::Pending, 1, 0)
    );
    assert_eq!(queue.get(1).await.unwrap().head.last_error, None);
    assert_eq!(queue.claim(1, 1, &[]).await[0].head.attempt(), Attempt::new(2));
}

#[rstest]
#[tokio::test]
async fn an_order_that_may_run_at_most_once_is_lost_with_its_lease(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    let mut once = order(1);
    once.policy.delivery = Delivery::AtMostOnce;
    queue.add([once]).await;
    queue.claim(1, 1, &[]).await;

    queue.apply(1, Event::LeasePassed { now: at(40) }).await.unwrap();

    let entry = queue.ended(1).await.unwrap();
    assert_eq!(
        (entry.ending, entry.lost_count, entry.claimed_by),
        (Ending::Lost, 0, Some(agent()))
    );
    assert_eq!(queue.attempts(1).await[0].ending, AttemptEnding::Lost);
}

#[rstest]
#[tokio::test]
async fn an_order_is_not_lost_more_often_than_it_may_be_retried(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.add([with_retries(2, order(1))]).await;
    for _ in 0..2 {
        queue.claim(1, 1, &[]).await;
        queue.apply(1, Event::HolderRemoved).await.unwrap();
    }
    queue.claim(1, 1, &[]).await;

    queue.apply(1, Event::HolderRemoved).await.unwrap();

    let entry = queue.ended(1).await.unwrap();
    assert_eq!(
        (entry.ending, entry.lost_count, entry.attempt),
        (Ending::Lost, 2, Attempt::new(3))
    );
}

#[rstest]
#[tokio::test]
async fn an_order_that_never_started_in_time_expires(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue
        .add([start_by(15, order(1)), start_by(15, run_at(14, 2))])
        .await;

    for number in [1, 2] {
        queue
            .apply(number, Event::StartByPassed { now: at(16) })
            .await
            .unwrap();
        let entry = queue.ended(number).await.unwrap();
        assert_eq!(
            (entry.ending, entry.claimed_by, entry.attempt),
            (Ending::Expired, None, Attempt::NONE)
        );
    }
}

#[rstest]
#[tokio::test]
async fn an_order_that_had_started_may_be_retried_after_its_start_by(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.add([start_by(10, order(1))]).await;
    queue.claim_by_id(1, 1).await.unwrap();
    queue.apply(1, fail(1, true)).await.unwrap();
    queue.apply(1, Event::Due { now: at(140) }).await.unwrap();

    let expired = queue
        .write(async |tx| sweeps::start_by_passed(tx, at(140), 9).await.unwrap())
        .await;
    let lease_expires_at = at(4_000);
    let claim = Event::Claim {
        agent: agent(),
        now: at(400),
        lease_expires_at,
        epoch: Epoch::FIRST,
    };

    assert_eq!(expired, []);
    assert_eq!(queue.apply(1, claim).await.unwrap().attempt, Attempt::new(2));
}
