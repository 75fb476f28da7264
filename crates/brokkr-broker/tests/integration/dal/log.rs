//! Orders that ended, and their attempts.

use brokkr_broker::dal::attempts;
use brokkr_broker::dal::log::{self, LogEntry, LogFilter, LogPosition};
use brokkr_broker::dal::output::{self, NewChunk};
use brokkr_broker::dal::recent_endings;
use brokkr_broker::dal::terms::Terms;
use brokkr_broker::dal::work_orders::NewOrder;
use brokkr_core::attempt::Attempt;
use brokkr_core::life::{AttemptEnding, Delivery, Ending, Event, Policy};
use brokkr_core::retry::FailureClass;
use brokkr_core::time::Timestamp;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{Queue, agent, for_agents, id, order, work_type};
use super::samples::{agent_id, at};

const FIRST: Attempt = Attempt::new(1);

fn found(entries: &[LogEntry]) -> Vec<u128> {
    entries.iter().map(|entry| entry.id.as_uuid().as_u128()).collect()
}

/// The orders 1 to 5 ended: 4 as a failure of agent 2 at 30, 5 as a cancelled build at 20, the others as successes of agent 1
/// at 20.
async fn ended(backend: Backend) -> Queue {
    let queue = Queue::start(backend).await;
    queue.add((1..=3).map(order)).await;
    queue
        .add([NewOrder {
            targeting: for_agents(&[2]),
            ..order(4)
        }])
        .await;
    queue
        .add([NewOrder {
            work_type: work_type("build"),
            targeting: for_agents(&[3]),
            ..order(5)
        }])
        .await;
    queue.claim(1, 9, &[]).await;
    queue.claim(2, 9, &[]).await;
    for number in [2, 1, 3] {
        queue
            .apply(number, Event::Succeed { attempt: FIRST })
            .await
            .unwrap();
    }
    let class = Some(FailureClass::Refused);
    queue
        .apply(
            4,
            Event::Fail {
                attempt: FIRST,
                class,
                retry: None,
                now: at(30),
                random: 0,
            },
        )
        .await
        .unwrap();
    queue.apply(5, Event::Cancel).await.unwrap();
    queue
}

async fn list(queue: &Queue, filter: &LogFilter, after: Option<LogPosition>, limit: u32) -> Vec<LogEntry> {
    queue
        .read(async |tx| log::list(tx, filter, after, limit).await.unwrap())
        .await
}

#[rstest]
#[tokio::test]
async fn the_log_is_listed_latest_ending_first_page_by_page(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = ended(backend).await;
    let all = LogFilter::default();

    let first = list(&queue, &all, None, 3).await;
    let last = first.last().unwrap();
    let position = LogPosition {
        completed_at: last.completed_at,
        id: last.id,
    };
    let rest = list(&queue, &all, Some(position), 3).await;

    assert_eq!((found(&first), found(&rest)), (vec![4, 5, 3], vec![2, 1]));
}

#[rstest]
#[tokio::test]
async fn what_is_sought_is_sought_among_a_bounded_number_of_entries(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = ended(backend).await;
    let horizon = async |filter: LogFilter, entries| {
        let found = queue.read(async |tx| log::horizon(tx, &filter, None, entries).await.unwrap());
        found.await
    };
    let all = LogFilter::default;
    let last_of = |entries: &[LogEntry]| {
        entries.last().map(|last| LogPosition {
            completed_at: last.completed_at,
            id: last.id,
        })
    };
    for filter in [
        all(),
        LogFilter {
            success: Some(true),
            ..all()
        },
        LogFilter {
            terms: Terms {
                agent: Some(agent()),
                ..Terms::default()
            },
            ..all()
        },
        LogFilter {
            terms: Terms {
                work_type: Some(work_type("command")),
                ..Terms::default()
            },
            ..all()
        },
    ] {
        let two = list(&queue, &filter, None, 2).await;
        assert_eq!(horizon(filter.clone(), 2).await, last_of(&two), "{filter:?}");
        assert_eq!(horizon(filter.clone(), 9).await, None, "{filter:?}");
        let until = LogFilter {
            until: last_of(&two),
            ..filter
        };
        assert_eq!(list(&queue, &until, None, 9).await, two);
    }
}

#[rstest]
#[tokio::test]
async fn the_log_is_listed_by_type_success_and_agent(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = ended(backend).await;
    let listed = async |filter| found(&list(&queue, &filter, None, 9).await);
    let all = LogFilter::default;

    assert_eq!(
        listed(LogFilter {
            terms: Terms {
                work_type: Some(work_type("build")),
                ..Terms::default()
            },
            ..all()
        })
        .await,
        [5]
    );
    assert_eq!(
        listed(LogFilter {
            success: Some(true),
            ..all()
        })
        .await,
        [3, 2, 1]
    );
    assert_eq!(
        listed(LogFilter {
            success: Some(false),
            ..all()
        })
        .await,
        [4, 5]
    );
    assert_eq!(
        listed(LogFilter {
            terms: Terms {
                agent: Some(agent_id(2)),
                ..Terms::default()
            },
            ..all()
        })
        .await,
        [4]
    );
    for (ending, ids) in [
        (Ending::Succeeded, vec![3, 2, 1]),
        (Ending::Failed, vec![4]),
        (Ending::Cancelled, vec![5]),
        (Ending::Lost, vec![]),
    ] {
        let filter = LogFilter {
            ending: Some(ending),
            ..all()
        };
        assert_eq!(listed(filter).await, ids, "{ending}");
    }
    for (from, ids) in [(20, vec![4, 5, 3, 2, 1]), (21, vec![4]), (31, vec![])] {
        let filter = LogFilter {
            ended_from: Some(at(from)),
            ..all()
        };
        assert_eq!(listed(filter).await, ids, "from {from}");
    }
    let both = LogFilter {
        success: Some(true),
        terms: Terms {
            agent: Some(agent()),
            work_type: Some(work_type("command")),
            ..Terms::default()
        },
        ..all()
    };
    assert_eq!(listed(both).await, [3, 2, 1]);
    let neither = LogFilter {
        success: Some(true),
        terms: Terms {
            agent: Some(agent_id(2)),
            ..Terms::default()
        },
        ..all()
    };
    assert_eq!(listed(neither).await, [0; 0]);
}

#[rstest]
#[tokio::test]
async fn the_log_is_listed_by_whether_an_attempt_was_lost_however_the_order_ended(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(2).await;
    let once = NewOrder {
        policy: Policy {
            delivery: Delivery::AtMostOnce,
            max_retries: 0,
            ..order(3).policy
        },
        ..order(3)
    };
    queue.add([once]).await;
    queue.claim(1, 1, &[]).await;
    for number in [1, 3] {
        queue.apply(number, Event::HolderRemoved).await.unwrap();
    }
    queue.claim(1, 1, &[]).await;
    for (number, attempt) in [(1, 2), (2, 1)] {
        let attempt = Attempt::new(attempt);
        queue.apply(number, Event::Succeed { attempt }).await.unwrap();
    }
    let listed = async |lost_attempt, success| {
        let filter = LogFilter {
            lost_attempt,
            success,
            ..LogFilter::default()
        };
        found(&list(&queue, &filter, None, 9).await)
    };

    assert_eq!(listed(Some(true), None).await, [3, 1]);
    assert_eq!(listed(Some(true), Some(true)).await, [1]);
    assert_eq!(listed(Some(false), None).await, [2]);
    assert_eq!(listed(None, None).await, [3, 2, 1]);
}

#[rstest]
#[tokio::test]
async fn retention_removes_the_earliest_endings_with_all_that_is_known_of_them(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = ended(backend).await;
    let prune = async |before, limit| {
        queue
            .write(async |tx| log::prune(tx, before, limit).await.unwrap())
            .await
    };

    assert_eq!(prune(at(20), 9).await, 0);
    assert_eq!(prune(at(21), 3).await, 3);
    assert_eq!(prune(at(21), 3).await, 1);

    assert_eq!(found(&list(&queue, &LogFilter::default(), None, 9).await), [4]);
    assert_eq!(queue.attempts(1).await, []);
    assert_eq!(queue.attempts(4).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn the_output_of_a_removed_entry_goes_with_it(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    let chunk = NewChunk {
        id: id(1),
        attempt: FIRST,
        offset: 0,
        stream: "stdout".to_owned(),
        at: at(11),
        data: b"hello".to_vec(),
    };
    queue
        .write(async |tx| output::append_many(tx, [(agent(), &chunk)]).await.unwrap())
        .await;
    queue.apply(1, Event::Succeed { attempt: FIRST }).await.unwrap();
    let length = async || {
        queue
            .read(async |tx| output::lengths(tx, [(id(1), FIRST)]).await.unwrap())
            .await
    };
    assert_eq!(length().await, [(id(1), FIRST, 5)]);

    queue
        .write(async |tx| log::prune(tx, Timestamp::MAX, 9).await.unwrap())
        .await;

    assert_eq!(length().await, []);
}

#[rstest]
#[tokio::test]
async fn every_attempt_that_ended_has_its_row(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, Event::Release { attempt: FIRST }).await.unwrap();
    queue.claim(1, 1, &[]).await;
    queue.apply(1, Event::LeasePassed { now: at(40) }).await.unwrap();
    queue.claim(1, 1, &[]).await;
    queue
        .apply(
            1,
            Event::Succeed {
                attempt: Attempt::new(3),
            },
        )
        .await
        .unwrap();

    let rows = queue.attempts(1).await;
    let told: Vec<_> = rows
        .iter()
        .map(|ended| (ended.attempt.number(), ended.ending, ended.ended_at))
        .collect();
    assert_eq!(
        told,
        [
            (1, AttemptEnding::Released, at(20)),
            (2, AttemptEnding::Lost, at(40)),
            (3, AttemptEnding::Succeeded, at(20)),
        ]
    );
    assert!(
        rows.iter()
            .all(|ended| ended.agent == agent() && ended.started_at == at(10))
    );
    let page = queue
        .read(async |tx| attempts::list(tx, id(1), FIRST, 1).await.unwrap())
        .await;
    assert_eq!(page, rows[1..2]);
}

#[rstest]
#[tokio::test]
async fn attempts_are_found_by_order_and_number_and_only_once_they_ended(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(2).await;
    queue.apply(1, Event::Release { attempt: FIRST }).await.unwrap();
    let asked = [(id(1), FIRST), (id(1), Attempt::new(2)), (id(2), FIRST)];

    let found = queue
        .read(async |tx| attempts::find_many(tx, &asked).await.unwrap())
        .await;
    let absent = queue
        .read(async |tx| attempts::find(tx, id(2), FIRST).await.unwrap())
        .await;

    assert_eq!((found, absent), (queue.attempts(1).await, None));
}

#[rstest]
#[tokio::test]
async fn the_lost_attempts_of_many_orders_are_told_at_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(3).await;
    for number in [1, 2] {
        queue.apply(number, Event::HolderRemoved).await.unwrap();
    }
    queue.apply(3, Event::Release { attempt: FIRST }).await.unwrap();
    queue.claim(1, 3, &[]).await;
    queue.apply(1, Event::HolderRemoved).await.unwrap();

    let lost = queue
        .read(async |tx| attempts::lost_of_many(tx, [1, 2, 3].map(id)).await.unwrap())
        .await;

    assert_eq!(lost, [(id(1), FIRST), (id(1), Attempt::new(2)), (id(2), FIRST)]);
}

#[rstest]
#[tokio::test]
async fn endings_are_counted_by_their_time_and_no_more_of_them_than_may_be(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = ended(backend).await;
    let counted = async |since, rows| {
        let counts = queue.read(async |tx| {
            recent_endings::by_time(tx, at(since), 10_000_000, rows)
                .await
                .unwrap()
        });
        let counts = counts.await;
        let counts = counts
            .iter()
            .map(|count| (count.bucket, count.ending, count.orders));
        counts.collect::<Vec<_>>()
    };
    let (cancelled, succeeded) = ((2, Ending::Cancelled, 1), (2, Ending::Succeeded, 3));
    let failed = (3, Ending::Failed, 1);
    assert_eq!(counted(0, 9).await, [cancelled, succeeded, failed]);
    assert_eq!(counted(0, 2).await, [cancelled, failed], "the latest two");
    assert_eq!(counted(25, 9).await, [(0, Ending::Failed, 1)]);
}
