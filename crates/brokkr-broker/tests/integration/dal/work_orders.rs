//! The life of an order in the store: created, claimed, given back, ended, cancelled, expired, removed.

mod cancellations;
mod endings;
mod losses;

use std::collections::BTreeMap;

use brokkr_broker::dal::terms::Terms;
use brokkr_broker::dal::work_orders::{self, Depth, ListFilter, NewOrder, QueueStatus, QueuedOrder};
use brokkr_broker::dal::{ConstraintKind, Dialect, all_statements};
use brokkr_core::attempt::Attempt;
use brokkr_core::life::{AttemptEnding, Event, State};
use brokkr_core::limits::{DeadlineSeconds, Priority};
use brokkr_core::retry::{Budget, FailureClass, RetryOn};
use brokkr_core::routing::Route;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{Queue, for_agents, for_label, id, order, run_at, start_by, work_type};
use super::samples::{agent_id, at};

const FIRST: Attempt = Attempt::new(1);

const RELEASE: Event = Event::Release { attempt: FIRST };

const SUCCEED: Event = Event::Succeed { attempt: FIRST };

fn fail(attempt: u32, retryable: bool) -> Event {
    Event::Fail {
        attempt: Attempt::new(attempt.into()),
        class: Some(FailureClass::Work),
        retry: retryable.then_some(Budget::Retries),
        now: at(20),
        random: 0,
    }
}

#[rstest]
#[tokio::test]
async fn an_order_is_read_back_as_it_was_accepted(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let full = NewOrder {
        yaml_content: "a: \"b\"\n# ä 😀\n".to_owned(),
        priority: Priority::new(-7).unwrap(),
        deadline_seconds: Some(DeadlineSeconds::new(90).unwrap()),
        retry_on: RetryOn::new([FailureClass::Work, FailureClass::Deadline]).unwrap(),
        metadata: BTreeMap::from([("ticket".to_owned(), "OPS-\"42\"".to_owned())]),
        retry_of: Some(id(99)),
        traceparent: Some("00-1-2-01".to_owned()),
        ..start_by(500, order(1))
    };
    queue.add([full.clone()]).await;

    assert_eq!(queue.get(1).await, Some(QueuedOrder::from(full)));
    assert_eq!(queue.get(2).await, None);
}

#[rstest]
#[tokio::test]
async fn many_orders_are_created_in_two_statements(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let orders: Vec<_> = (1..=200).map(order).collect();
    let mut tx = queue.db.begin().await.unwrap();
    let before = queue.db.statements_sent();

    work_orders::insert_many(&mut tx, &orders).await.unwrap();

    assert_eq!(queue.db.statements_sent() - before, 2);
    assert_eq!(
        work_orders::list(&mut tx, &ListFilter::default(), None, 1_000)
            .await
            .unwrap()
            .len(),
        200
    );
}

#[rstest]
#[tokio::test]
async fn of_a_batch_with_a_known_id_nothing_is_kept(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([order(1)]).await;
    let mut tx = queue.db.begin().await.unwrap();

    let refused = work_orders::insert_many(&mut tx, &[order(2), order(1)])
        .await
        .unwrap_err();

    assert_eq!(refused.constraint(), Some(ConstraintKind::Unique));
    assert!(tx.commit().await.is_err());
    assert_eq!(queue.get(2).await, None);
}

#[rstest]
#[tokio::test]
async fn an_order_with_a_later_run_at_waits_without_routes(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([run_at(100, 1)]).await;

    assert_eq!(queue.life(1).await.state, State::Scheduled { run_at: at(100) });
    assert_eq!(queue.routes(1).await, []);
    assert_eq!(queue.claim_by_id(1, 1).await, None);
}

#[rstest]
#[tokio::test]
async fn the_queue_is_listed_newest_first_page_by_page(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add((1..=5).map(order)).await;
    let all = ListFilter::default();

    assert_eq!(queue.list(&all, None, 3).await, [5, 4, 3]);
    assert_eq!(queue.list(&all, Some(3), 3).await, [2, 1]);
}

#[rstest]
#[tokio::test]
async fn the_queue_is_listed_by_status_and_by_work_type(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let build = NewOrder {
        work_type: work_type("build"),
        ..order(2)
    };
    queue.add([order(1), build, order(3), run_at(100, 4)]).await;
    queue.claim_by_id(1, 3).await.unwrap();
    let listed = async |status, of_type: Option<&str>| {
        let filter = ListFilter {
            status,
            terms: Terms {
                work_type: of_type.map(work_type),
                ..Terms::default()
            },
            ..ListFilter::default()
        };
        queue.list(&filter, None, 9).await
    };

    assert_eq!(listed(Some(QueueStatus::Pending), None).await, [2, 1]);
    assert_eq!(listed(Some(QueueStatus::Claimed), None).await, [3]);
    assert_eq!(listed(Some(QueueStatus::Scheduled), None).await, [4]);
    assert_eq!(listed(Some(QueueStatus::RetryPending), None).await, [0; 0]);
    assert_eq!(listed(None, Some("build")).await, [2]);
    assert_eq!(listed(Some(QueueStatus::Pending), Some("command")).await, [1]);
}

#[rstest]
#[tokio::test]
async fn what_is_sought_is_sought_among_a_bounded_number_of_orders(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.add((1..=4).map(order)).await;
    queue.add([run_at(100, 5)]).await;
    let horizon = async |status, before: Option<u64>, orders| {
        let filter = ListFilter {
            status,
            ..ListFilter::default()
        };
        queue
            .read(async |tx| {
                work_orders::horizon(tx, &filter, before.map(id), orders)
                    .await
                    .unwrap()
            })
            .await
    };
    assert_eq!(horizon(None, None, 2).await, Some(id(4)));
    assert_eq!(horizon(None, Some(4), 2).await, Some(id(2)));
    assert_eq!(horizon(None, Some(4), 3).await, Some(id(1)));
    assert_eq!(horizon(None, Some(4), 4).await, None);
    assert_eq!(horizon(Some(QueueStatus::Scheduled), None, 1).await, Some(id(5)));
    assert_eq!(horizon(Some(QueueStatus::Pending), None, 4).await, Some(id(1)));

    let until = ListFilter {
        until: Some(id(3)),
        terms: Terms {
            work_type: Some(order(1).work_type),
            ..Terms::default()
        },
        ..ListFilter::default()
    };
    assert_eq!(queue.list(&until, None, 9).await, [5, 4, 3]);
}

#[rstest]
#[tokio::test]
async fn an_agent_sees_what_it_could_claim_oldest_first(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let targetings = [
        for_agents(&[2]),
        for_label("gpu"),
        for_agents(&[1]),
        for_label("cpu"),
        for_agents(&[1]),
    ];
    queue
        .add((1..).zip(targetings).map(|(number, targeting)| NewOrder {
            targeting,
            ..order(number)
        }))
        .await;
    queue.claim_by_id(1, 3).await.unwrap();

    assert_eq!(queue.pending(1, None, None).await, [2, 5]);
    assert_eq!(queue.pending(2, None, None).await, [1, 2]);
    assert_eq!(queue.pending(2, None, Some(1)).await, [2]);
    assert_eq!(queue.pending(1, Some("build"), None).await, [0; 0]);
    assert_eq!(
        queue.pending(77, None, None).await,
        [0; 0],
        "there is no such agent"
    );
}

#[rstest]
#[tokio::test]
async fn what_may_not_start_any_more_is_not_pending_for_anybody(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.add([start_by(9, order(1)), start_by(10, order(2))]).await;

    assert_eq!(queue.pending(1, None, None).await, [2]);
}

#[rstest]
#[tokio::test]
async fn deleting_an_order_leaves_nothing_of_it(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, RELEASE).await.unwrap();

    queue.apply(1, Event::Delete).await.unwrap();

    assert_eq!((queue.attempts(1).await, queue.ended(1).await), (vec![], None));
    assert_eq!(queue.routes(1).await, []);
    assert!(
        queue
            .write(async |tx| work_orders::delete(tx, id(1)).await.unwrap())
            .await
            .is_none()
    );
}

#[rstest]
#[tokio::test]
async fn an_order_can_be_deleted_in_every_state_of_the_queue(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(2).await;
    queue.apply(2, fail(1, true)).await.unwrap();
    queue.add([order(3), run_at(100, 4)]).await;

    for number in 1..=4 {
        queue.apply(number, Event::Delete).await.unwrap();
    }

    assert_eq!(
        queue
            .read(async |tx| work_orders::depths(tx).await.unwrap())
            .await,
        []
    );
}

#[rstest]
#[tokio::test]
async fn a_released_order_can_be_claimed_again_and_uses_up_no_retry(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    let life = queue.apply(1, RELEASE).await.unwrap();
    let again = queue.claim(1, 1, &[]).await;

    assert_eq!(
        (life.state, life.retry_count, life.lost_count),
        (State::Pending, 0, 0)
    );
    assert_eq!(again[0].head.attempt(), Attempt::new(2));
    assert_eq!(queue.attempts(1).await[0].ending, AttemptEnding::Released);
}

#[rstest]
#[tokio::test]
async fn targets_stay_and_routes_come_and_go_with_the_state(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let targeting = for_agents(&[1, 2]);
    let both: Vec<_> = targeting.routes().into_iter().collect();
    queue
        .add([NewOrder {
            targeting: targeting.clone(),
            ..order(1)
        }])
        .await;
    let routes = async || {
        assert_eq!(queue.get(1).await.unwrap().targeting, targeting);
        queue.routes(1).await
    };

    assert_eq!(routes().await, both);
    queue.claim_by_id(1, 1).await.unwrap();
    assert_eq!(routes().await, []);
    queue.apply(1, fail(1, true)).await.unwrap();
    assert_eq!(routes().await, []);
    queue.apply(1, Event::Due { now: at(140) }).await.unwrap();
    assert_eq!(routes().await, both);
    queue.claim_by_id(2, 1).await.unwrap();
    queue
        .apply(
            1,
            Event::Release {
                attempt: Attempt::new(2),
            },
        )
        .await
        .unwrap();
    assert_eq!(routes().await, both);
}

#[rstest]
#[tokio::test]
async fn a_waiting_order_can_be_sent_elsewhere(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([order(1), run_at(100, 2)]).await;
    let elsewhere = for_agents(&[2]);

    let opened = queue.set_targeting(1, &elsewhere).await.unwrap();

    assert_eq!(
        opened.iter().flat_map(|open| &open.routes).collect::<Vec<_>>(),
        [&Route::agent(agent_id(2))]
    );
    assert_eq!(queue.get(1).await.unwrap().targeting, elsewhere);
    assert_eq!(queue.claim_by_id(1, 1).await, None);
    assert!(queue.claim_by_id(2, 1).await.is_some());
    let opened = queue.set_targeting(2, &elsewhere).await;
    assert_eq!(opened, Some(vec![]), "a scheduled order has no routes yet");
}

#[rstest]
#[tokio::test]
async fn an_order_that_is_held_or_gone_cannot_be_sent_elsewhere(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    let claimed = queue.claimed(1).await.remove(0);

    assert_eq!(queue.set_targeting(1, &for_agents(&[2])).await, None);
    assert_eq!(queue.set_targeting(7, &for_agents(&[2])).await, None);
    assert_eq!(queue.get(1).await, Some(claimed));
}

#[rstest]
#[tokio::test]
async fn the_depth_of_the_queue_is_told_by_state_with_the_oldest(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.add((1..=3).map(order)).await;
    queue.claim_by_id(1, 1).await.unwrap();

    let mut depths = queue
        .read(async |tx| work_orders::depths(tx).await.unwrap())
        .await;

    depths.sort_by_key(|depth| depth.status);
    let pending = Depth {
        status: QueueStatus::Pending,
        orders: 2,
        oldest_created_at: at(2),
    };
    let claimed = Depth {
        status: QueueStatus::Claimed,
        orders: 1,
        oldest_created_at: at(1),
    };
    assert_eq!(depths, [pending, claimed]);
}

#[rstest]
#[tokio::test]
async fn orders_are_locked_in_the_order_of_their_ids_however_they_are_asked_for(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.add((1..=3).map(order)).await;

    let heads = queue
        .write(async |tx| {
            work_orders::get_for_update(tx, &[id(3), id(1), id(7), id(2)])
                .await
                .unwrap()
        })
        .await;

    assert_eq!(
        heads.iter().map(|head| head.id).collect::<Vec<_>>(),
        [id(1), id(2), id(3)]
    );
}

#[test]
fn no_statement_changes_an_entry_of_the_log() {
    for sql in all_statements() {
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            assert!(
                sql.texts(dialect)
                    .iter()
                    .all(|text| !text.contains("UPDATE work_order_log")),
                "{}",
                sql.name()
            );
        }
    }
}
