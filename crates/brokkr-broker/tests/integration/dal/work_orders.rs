//! The life of an order in the store: created, claimed, given back, ended, cancelled, expired, removed.

use std::collections::BTreeMap;

use brokkr_broker::dal::endings::{self, Returned};
use brokkr_broker::dal::work_orders::{
    self, CancelRequest, Depth, ListFilter, NewOrder, QueueStatus, QueuedOrder,
};
use brokkr_broker::dal::{ConstraintKind, Dialect, all_statements, sweeps};
use brokkr_core::attempt::{Attempt, Epoch};
use brokkr_core::life::{AttemptEnding, Delivery, Ending, Event, Refusal, State};
use brokkr_core::limits::{DeadlineSeconds, Priority};
use brokkr_core::retry::{Budget, FailureClass, RetryOn};
use brokkr_core::routing::Route;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{
    Queue, agent, ending, for_agents, for_label, id, order, run_at, start_by, with_retries, work_type,
};
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
            work_type: of_type.map(work_type),
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
        work_type: Some(order(1).work_type),
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
