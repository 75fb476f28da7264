//! How an attempt ends, and what its end makes of the order.

use brokkr_broker::dal::endings::{self, Returned};
use brokkr_core::attempt::Attempt;
use brokkr_core::life::{AttemptEnding, Ending, Event, Refusal, State};
use brokkr_core::retry::FailureClass;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::{FIRST, RELEASE, SUCCEED, fail};
use crate::dal::queue::{Queue, agent, ending, id, order, with_retries};
use crate::dal::samples::at;

#[rstest]
#[tokio::test]
async fn a_success_moves_the_order_to_the_log(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let claimed = queue.claimed(1).await.remove(0);

    queue.apply(1, SUCCEED).await.unwrap();

    let entry = queue.ended(1).await.unwrap();
    assert_eq!(
        (entry.ending, entry.completed_at, entry.created_at),
        (Ending::Succeeded, at(20), at(1))
    );
    assert_eq!(
        (entry.claimed_by, entry.claimed_at),
        (Some(agent()), Some(at(10)))
    );
    assert_eq!(
        (entry.attempt, entry.retries_attempted, entry.lost_count),
        (FIRST, 0, 0)
    );
    assert_eq!(entry.report.message.as_deref(), Some("succeeded"));
    assert_eq!(
        (entry.yaml_content, entry.targeting),
        (claimed.yaml_content, claimed.targeting)
    );
    assert_eq!(
        (entry.policy, entry.retry_on),
        (claimed.head.life.policy, claimed.head.retry_on)
    );
    assert_eq!(queue.get(1).await, None);
}

#[rstest]
#[tokio::test]
async fn a_failure_waits_for_its_retry_with_its_claim_cleared(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    let life = queue.apply(1, fail(1, true)).await.unwrap();

    let stored = queue.get(1).await.unwrap().head;
    assert_eq!(
        (life.retry_count, life.state),
        (1, State::RetryPending { not_before: at(140) })
    );
    assert_eq!((stored.claim, stored.updated_at), (None, at(20)));
    let last_error = stored.last_error.unwrap();
    assert_eq!((last_error.message.as_str(), last_error.at), ("it broke", at(20)));
    assert_eq!(queue.claim(1, 9, &[]).await, []);
}

#[rstest]
#[tokio::test]
async fn the_last_retry_that_fails_ends_the_order(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([with_retries(1, order(1))]).await;
    queue.claim_by_id(1, 1).await.unwrap();
    queue.apply(1, fail(1, true)).await.unwrap();
    queue.apply(1, Event::Due { now: at(140) }).await.unwrap();
    queue.claim_by_id(1, 1).await.unwrap();

    queue.apply(1, fail(2, true)).await.unwrap();

    let entry = queue.ended(1).await.unwrap();
    assert_eq!(
        (entry.ending, entry.retries_attempted, entry.attempt),
        (Ending::Failed, 1, Attempt::new(2))
    );
    assert_eq!(entry.report.class, Some(FailureClass::Work));
    let endings: Vec<_> = queue
        .attempts(1)
        .await
        .iter()
        .map(|ended| (ended.attempt.number(), ended.ending))
        .collect();
    assert_eq!(endings, [(1, AttemptEnding::Failed), (2, AttemptEnding::Failed)]);
}

#[rstest]
#[tokio::test]
async fn a_failure_that_is_not_to_be_retried_ends_the_order(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    let life = queue.apply(1, fail(1, false)).await.unwrap();

    assert_eq!(life.state, State::Ended(Ending::Failed));
    assert_eq!(queue.ended(1).await.unwrap().retries_attempted, 0);
}

#[rstest]
#[tokio::test]
async fn an_order_without_retries_ends_with_its_first_failure(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([with_retries(0, order(1))]).await;
    queue.claim_by_id(1, 1).await.unwrap();

    assert_eq!(
        queue.apply(1, fail(1, true)).await.unwrap().state,
        State::Ended(Ending::Failed)
    );
}

#[rstest]
#[tokio::test]
async fn the_store_itself_refuses_a_retry_that_is_not_left(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([with_retries(0, order(1))]).await;
    queue.claim_by_id(1, 1).await.unwrap();

    assert!(!queue.retry(1, 1).await);
    assert!(!queue.give_back(1, 1, Returned::Lost).await);
    assert!(queue.give_back(1, 1, Returned::Released).await);
}

#[rstest]
#[tokio::test]
async fn a_late_attempt_changes_nothing(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, RELEASE).await.unwrap();
    let current = queue.claim(1, 1, &[]).await.remove(0);

    assert_eq!(queue.end(&[ending(1, 1, Ending::Succeeded)]).await, []);
    assert!(!queue.retry(1, 1).await);
    assert!(!queue.give_back(1, 1, Returned::Released).await);

    assert_eq!((queue.get(1).await, queue.ended(1).await), (Some(current), None));
}

#[rstest]
#[tokio::test]
async fn the_model_tells_a_late_attempt_which_one_is_current(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, RELEASE).await.unwrap();
    queue.claim(1, 1, &[]).await;

    let refused = queue.apply(1, SUCCEED).await.unwrap_err();

    assert_eq!(
        refused.refusal,
        Refusal::StaleAttempt {
            current: Attempt::new(2)
        }
    );
}

#[rstest]
#[tokio::test]
async fn in_a_batch_the_stale_are_left_out_and_the_others_end(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(4).await;
    queue.apply(2, RELEASE).await.unwrap();
    let batch = [
        ending(4, 1, Ending::Failed),
        ending(1, 1, Ending::Succeeded),
        ending(2, 1, Ending::Succeeded),
        ending(3, 2, Ending::Succeeded),
        ending(77, 1, Ending::Succeeded),
    ];

    let logged = queue.end(&batch).await;

    let logged: Vec<_> = logged.iter().map(|entry| (entry.id, entry.ending)).collect();
    assert_eq!(logged, [(id(1), Ending::Succeeded), (id(4), Ending::Failed)]);
    assert_eq!(queue.life(2).await.state, State::Pending);
    assert!(matches!(queue.life(3).await.state, State::Claimed(_)));
}

#[rstest]
#[tokio::test]
async fn a_batch_ends_in_few_statements_whatever_its_size(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(50).await;
    let batch: Vec<_> = (1..=50)
        .map(|number| ending(number, 1, Ending::Succeeded))
        .collect();
    let before = queue.db.statements_sent();

    let mut tx = queue.db.begin().await.unwrap();
    let logged = endings::move_to_log_many(&mut tx, &batch, at(20)).await.unwrap();

    assert_eq!(logged.len(), 50);
    assert!(queue.db.statements_sent() - before <= 3);
}

#[rstest]
#[tokio::test]
async fn an_order_ends_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, SUCCEED).await.unwrap();
    let entry = queue.ended(1).await;

    assert_eq!(queue.end(&[ending(1, 1, Ending::Failed)]).await, []);
    assert_eq!(queue.ended(1).await, entry);
}
