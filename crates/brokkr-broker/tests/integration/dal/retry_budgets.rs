//! What pays for retries.

use brokkr_core::attempt::Attempt;
use brokkr_core::life::{Ending, Event};
use brokkr_core::retry::Budget;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{Queue, ending, order, with_retries};
use super::samples::at;

#[rstest]
#[tokio::test]
async fn each_retry_is_paid_for_by_its_own_budget_and_none_when_that_is_used_up(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    let mut first = with_retries(1, order(1));
    first.policy.infrastructure_retries_max = 1;
    queue.add([first]).await;
    let next = async |attempt| {
        let claimed = queue.claim_by_id(1, 1).await.unwrap();
        assert_eq!(claimed.head.attempt(), Attempt::new(attempt));
    };
    let due = async || {
        queue.apply(1, Event::Due { now: at(4_000) }).await.unwrap();
    };

    next(1).await;
    assert!(queue.retry_of(1, 1, Budget::Infrastructure).await);
    due().await;
    next(2).await;
    assert!(!queue.retry_of(1, 2, Budget::Infrastructure).await);
    assert!(queue.retry_of(1, 2, Budget::Retries).await);
    due().await;
    next(3).await;
    assert!(!queue.retry_of(1, 3, Budget::Infrastructure).await);
    assert!(!queue.retry_of(1, 3, Budget::Retries).await);

    let life = queue.life(1).await;
    assert_eq!(
        (life.retry_count, life.infrastructure_retry_count, life.lost_count),
        (1, 1, 0)
    );
    queue.end(&[ending(1, 3, Ending::Failed)]).await;
    let entry = queue.ended(1).await.unwrap();
    assert_eq!(
        (entry.retries_attempted, entry.infrastructure_retries_attempted),
        (1, 1)
    );
    assert_eq!(entry.policy, life.policy);
}
