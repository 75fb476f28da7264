//! What the passing of time does.

use brokkr_broker::dal::sweeps::{self, NextDue};
use brokkr_broker::dal::work_orders::OrderHead;
use brokkr_core::attempt::Attempt;
use brokkr_core::life::{Event, State};
use brokkr_core::retry::Budget;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{Queue, id, order, run_at, start_by};
use super::samples::at;

const FIRST: Attempt = Attempt::new(1);

fn found(heads: &[OrderHead]) -> Vec<u128> {
    heads.iter().map(|head| head.id.as_uuid().as_u128()).collect()
}

async fn fail(queue: &Queue, number: u64, seconds: u64) {
    let event = Event::Fail {
        attempt: FIRST,
        class: None,
        retry: Some(Budget::Retries),
        now: at(seconds),
        random: 0,
    };
    queue.apply(number, event).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn leases_are_found_when_they_have_passed_and_not_before(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(3).await;
    queue
        .apply(
            2,
            Event::Renew {
                attempt: FIRST,
                lease_expires_at: at(50),
            },
        )
        .await
        .unwrap();
    let expired = async |seconds, limit| {
        found(
            &queue
                .write(async |tx| sweeps::expired_leases(tx, at(seconds), limit).await.unwrap())
                .await,
        )
    };

    assert_eq!(expired(39, 9).await, [0; 0]);
    assert_eq!(expired(40, 9).await.len(), 2);
    assert_eq!(expired(40, 1).await.len(), 1);
    assert_eq!(expired(50, 9).await.last(), Some(&2));
}

#[rstest]
#[tokio::test]
async fn retries_and_scheduled_orders_are_found_when_they_are_due(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(2).await;
    fail(&queue, 1, 30).await;
    fail(&queue, 2, 20).await;
    queue.add([run_at(100, 3), run_at(90, 4), order(5)]).await;
    let due = async |seconds| {
        queue
            .write(async |tx| {
                let retries = sweeps::due_retries(tx, at(seconds), 9).await.unwrap();
                let scheduled = sweeps::due_scheduled(tx, at(seconds), 9).await.unwrap();
                (found(&retries), found(&scheduled))
            })
            .await
    };

    assert_eq!(due(89).await, (vec![], vec![]));
    assert_eq!(due(90).await, (vec![], vec![4]));
    assert_eq!(due(140).await, (vec![2], vec![4, 3]));
    assert_eq!(due(150).await, (vec![2, 1], vec![4, 3]));
}

#[rstest]
#[tokio::test]
async fn only_what_is_due_is_promoted_and_its_routes_are_told(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    fail(&queue, 1, 20).await;
    queue.add([run_at(140, 2), run_at(141, 3), order(4)]).await;
    let all = [1, 2, 3, 4].map(id);

    let promoted = queue
        .write(async |tx| sweeps::promote_many(tx, all, at(140)).await.unwrap())
        .await;

    let mut told: Vec<_> = promoted
        .iter()
        .map(|order| (order.id, order.routes.len()))
        .collect();
    told.sort_unstable();
    assert_eq!(told, [(id(1), 1), (id(2), 1)]);
    assert_eq!(queue.life(1).await.state, State::Pending);
    assert_eq!(
        queue.get(1).await.unwrap().head.last_error.unwrap().message,
        "it broke"
    );
    assert_eq!(queue.life(3).await.state, State::Scheduled { run_at: at(141) });
    assert_eq!(queue.claim(1, 9, &[]).await.len(), 3);
}

#[rstest]
#[tokio::test]
async fn a_start_by_that_is_now_has_not_passed(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue
        .add([
            start_by(60, order(1)),
            start_by(50, run_at(55, 2)),
            order(3),
            start_by(40, order(4)),
        ])
        .await;
    queue.claim_by_id(1, 4).await.unwrap();
    let passed = async |seconds| {
        found(
            &queue
                .write(async |tx| sweeps::start_by_passed(tx, at(seconds), 9).await.unwrap())
                .await,
        )
    };

    assert_eq!(passed(50).await, [0; 0]);
    assert_eq!(passed(51).await, [2]);
    assert_eq!(passed(61).await, [2, 1]);
}

#[rstest]
#[tokio::test]
async fn the_sweeps_are_told_when_they_have_something_to_do(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let next = async || queue.read(async |tx| sweeps::next_due(tx).await.unwrap()).await;
    let nothing = NextDue {
        next_retry_after: None,
        run_at: None,
        start_by: None,
    };
    assert_eq!(next().await, nothing);

    queue.claimed(2).await;
    fail(&queue, 2, 20).await;
    queue.add([run_at(100, 3), start_by(200, order(4))]).await;

    let due = next().await;
    let lease = queue.read(async |tx| sweeps::next_lease(tx).await.unwrap()).await;
    assert_eq!((lease, due.next_retry_after), (Some(at(40)), Some(at(140))));
    assert_eq!((due.run_at, due.start_by), (Some(at(100)), Some(at(200))));
    assert_eq!(due.promotion(), Some(at(100)));
}

#[tokio::test]
async fn two_replicas_sweep_different_orders() {
    let queue = Queue::start(Backend::Postgres).await;
    queue.claimed(5).await;
    let mut here = queue.db.begin().await.unwrap();
    let mut there = queue.db.begin().await.unwrap();

    let mine = sweeps::expired_leases(&mut here, at(40), 3).await.unwrap();
    let theirs = sweeps::expired_leases(&mut there, at(40), 3).await.unwrap();

    assert_eq!((mine.len(), theirs.len()), (3, 2));
    assert!(
        mine.iter()
            .all(|head| theirs.iter().all(|other| other.id != head.id))
    );
}
