//! What a wish to cancel does to an order in each of its states.

use brokkr_broker::dal::endings::Returned;
use brokkr_broker::dal::work_orders::CancelRequest;
use brokkr_core::life::{AttemptEnding, Ending, Event, State};
use brokkr_core::retry::{Budget, FailureClass};
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::{FIRST, RELEASE, SUCCEED, fail};
use crate::dal::queue::{Queue, order, run_at};
use crate::dal::samples::at;

#[rstest]
#[tokio::test]
async fn a_waiting_order_is_cancelled_at_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, fail(1, true)).await.unwrap();
    queue.add([order(2), run_at(100, 3)]).await;

    for number in 1..=3 {
        assert_eq!(
            queue.apply(number, Event::Cancel).await.unwrap().state,
            State::Ended(Ending::Cancelled)
        );
        assert_eq!(queue.ended(number).await.unwrap().claimed_by, None);
    }
}

#[rstest]
#[tokio::test]
async fn a_claimed_order_keeps_the_first_wish_to_cancel(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    assert!(queue.request_cancel(1, 11, Some("wrong cluster")).await);
    assert!(!queue.request_cancel(1, 12, None).await);

    let wish = CancelRequest {
        requested_at: at(11),
        reason: Some("wrong cluster".to_owned()),
    };
    assert_eq!(queue.get(1).await.unwrap().head.claim.unwrap().cancel, Some(wish));
}

#[rstest]
#[tokio::test]
async fn only_a_claimed_order_is_asked_to_stop(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([order(1)]).await;

    assert!(!queue.request_cancel(1, 11, None).await);
    assert!(!queue.request_cancel(7, 11, None).await, "there is no such order");
}

#[rstest]
#[tokio::test]
async fn an_agent_confirms_a_cancellation_by_its_class_or_by_a_release(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(2).await;
    queue.apply(1, Event::Cancel).await.unwrap();
    queue.apply(2, Event::Cancel).await.unwrap();
    let class = Some(FailureClass::Cancelled);

    queue
        .apply(
            1,
            Event::Fail {
                attempt: FIRST,
                class,
                retry: Some(Budget::Retries),
                now: at(20),
                random: 0,
            },
        )
        .await
        .unwrap();
    queue.apply(2, RELEASE).await.unwrap();

    let (stopped, released) = (queue.ended(1).await.unwrap(), queue.ended(2).await.unwrap());
    assert_eq!(
        (stopped.ending, released.ending),
        (Ending::Cancelled, Ending::Cancelled)
    );
    assert_eq!(stopped.cancel.unwrap().reason.as_deref(), Some("enough"));
    assert_eq!(queue.attempts(1).await[0].ending, AttemptEnding::Cancelled);
    assert_eq!(queue.attempts(2).await[0].ending, AttemptEnding::Released);
}

#[rstest]
#[tokio::test]
async fn what_happened_before_a_cancellation_was_heard_is_what_is_told(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(2).await;
    queue.apply(1, Event::Cancel).await.unwrap();
    queue.apply(2, Event::Cancel).await.unwrap();

    queue.apply(1, SUCCEED).await.unwrap();
    queue.apply(2, fail(1, true)).await.unwrap();

    assert_eq!(queue.ended(1).await.unwrap().ending, Ending::Succeeded);
    assert_eq!(queue.ended(2).await.unwrap().ending, Ending::Failed);
}

#[rstest]
#[tokio::test]
async fn an_order_that_is_to_be_cancelled_never_goes_back_to_the_queue(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, Event::Cancel).await.unwrap();

    assert!(!queue.retry(1, 1).await);
    assert!(!queue.give_back(1, 1, Returned::Released).await);
    assert!(!queue.give_back(1, 1, Returned::Lost).await);
}

#[rstest]
#[tokio::test]
async fn a_cancelled_order_whose_agent_vanished_ends_as_cancelled(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, Event::Cancel).await.unwrap();

    queue.apply(1, Event::LeasePassed { now: at(40) }).await.unwrap();

    assert_eq!(queue.ended(1).await.unwrap().ending, Ending::Cancelled);
    assert_eq!(queue.attempts(1).await[0].ending, AttemptEnding::Lost);
}
