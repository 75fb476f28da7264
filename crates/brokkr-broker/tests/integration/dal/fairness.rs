//! In which order orders are claimed and listed, when there are several types, priorities and routes.

use brokkr_broker::dal::work_orders::NewOrder;
use brokkr_core::limits::Priority;
use brokkr_core::routing::Targeting;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{Queue, for_agents, for_label, numbers, order, work_type};

/// An order of this type and priority.
fn of(word: &str, priority: i64, number: u64) -> NewOrder {
    NewOrder {
        work_type: work_type(word),
        priority: Priority::new(priority).unwrap(),
        ..order(number)
    }
}

fn for_whom(targeting: Targeting, order: NewOrder) -> NewOrder {
    NewOrder { targeting, ..order }
}

/// Ten builds, and then two commands and a check.
async fn mostly_builds(backend: Backend) -> Queue {
    let queue = Queue::start(backend).await;
    queue.add((1..=10).map(|number| of("build", 0, number))).await;
    queue
        .add([of("command", 0, 11), of("command", 0, 12), of("check", 0, 13)])
        .await;
    queue
}

#[rstest]
#[tokio::test]
async fn a_claim_of_several_types_gets_them_in_turn(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = mostly_builds(backend).await;

    assert_eq!(
        numbers(&queue.claim(1, 4, &["build", "command"]).await),
        [1, 11, 2, 12]
    );
    assert_eq!(
        numbers(&queue.claim(1, 4, &["build", "command", "check"]).await),
        [3, 13, 4, 5]
    );
}

#[rstest]
#[tokio::test]
async fn a_type_that_is_not_wanted_has_no_turn(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = mostly_builds(backend).await;

    assert_eq!(
        numbers(&queue.claim(1, 3, &["command", "check"]).await),
        [11, 13, 12]
    );
}

#[rstest]
#[tokio::test]
async fn a_claim_of_any_type_goes_by_age(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = mostly_builds(backend).await;

    assert_eq!(numbers(&queue.claim(1, 4, &[]).await), [1, 2, 3, 4]);
}

#[rstest]
#[tokio::test]
async fn claims_of_one_order_each_go_by_age(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue
        .add([
            of("build", 0, 1),
            of("command", 0, 2),
            of("build", 0, 3),
            of("build", 0, 4),
        ])
        .await;

    for number in 1..=4 {
        assert_eq!(numbers(&queue.claim(1, 1, &["build", "command"]).await), [number]);
    }
}

#[rstest]
#[tokio::test]
async fn turns_are_taken_within_a_priority_and_not_across(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue
        .add([
            of("command", 0, 1),
            of("build", 5, 2),
            of("build", 5, 3),
            of("build", 0, 4),
            of("build", -5, 5),
        ])
        .await;
    queue.add([of("command", -5, 6)]).await;

    assert_eq!(
        numbers(&queue.claim(1, 6, &["build", "command"]).await),
        [2, 3, 1, 4, 5, 6]
    );
}

#[rstest]
#[tokio::test]
async fn a_type_has_one_turn_however_many_routes_lead_to_its_orders(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.add((1..=4).map(|number| of("build", 0, number))).await;
    queue
        .add((5..=8).map(|number| for_whom(for_label("gpu"), of("build", 0, number))))
        .await;
    queue.add([for_whom(for_label("gpu"), of("command", 0, 9))]).await;

    assert_eq!(
        numbers(&queue.claim(1, 4, &["build", "command"]).await),
        [1, 9, 2, 3]
    );
}

#[rstest]
#[tokio::test]
async fn what_is_pending_is_listed_by_age_whatever_its_priority_and_route(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    let both = Targeting::new(
        for_agents(&[1]).agents().to_vec(),
        for_label("gpu").labels().to_vec(),
        vec![],
        9,
    )
    .unwrap();
    queue
        .add([
            of("build", -100, 1),
            for_whom(for_label("gpu"), of("command", 100, 2)),
            for_whom(both, of("build", 0, 3)),
            for_whom(for_label("gpu"), of("build", 7, 4)),
            for_whom(for_agents(&[2]), of("build", 9, 5)),
            of("command", 100, 6),
        ])
        .await;

    assert_eq!(queue.pending(1, None, None).await, [1, 2, 3, 4, 6]);
    assert_eq!(queue.pending(1, None, Some(2)).await, [3, 4, 6]);
    assert_eq!(queue.pending(1, Some("build"), None).await, [1, 3, 4]);
    assert_eq!(queue.pending(1, Some("build"), Some(3)).await, [4]);
    assert_eq!(queue.pending(2, None, None).await, [2, 3, 4, 5]);
    assert_eq!(queue.pending(3, None, None).await, [0; 0]);
}
