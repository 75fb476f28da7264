//! What claims leave behind in the index that they read, and how it is swept out.

use brokkr_broker::dal::{Dialect, vacuum};
use brokkr_core::life::Ending;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{Queue, ending, order};

/// Lets a hundred orders pass through the queue.
async fn a_hundred_pass(queue: &Queue) {
    queue.claimed(100).await;
    let endings: Vec<_> = (1..=100)
        .map(|number| ending(number, 1, Ending::Succeeded))
        .collect();
    queue.end(&endings).await;
}

#[rstest]
#[tokio::test]
async fn only_enough_dead_routes_are_swept_out(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    assert!(
        !vacuum::routes(&queue.db, 1).await.unwrap(),
        "an empty queue has none"
    );

    a_hundred_pass(&queue).await;
    queue.add([order(101)]).await;

    assert!(!vacuum::routes(&queue.db, 1_000_000).await.unwrap());
    let swept = swept_in_time(&queue).await;
    assert_eq!(swept, queue.db.dialect() == Dialect::Postgres);
    assert!(!vacuum::routes(&queue.db, 1).await.unwrap(), "they are gone");
    assert_eq!(queue.claim(1, 9, &[]).await.len(), 1);
}

/// The server tells of dead rows about a second after they died.
async fn swept_in_time(queue: &Queue) -> bool {
    for _ in 0..100 {
        if vacuum::routes(&queue.db, 1).await.unwrap() {
            return true;
        }
        if queue.db.dialect() == Dialect::Sqlite {
            return false;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    false
}
