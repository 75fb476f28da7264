//! Output as it comes.

use std::time::Duration;

use brokkr_api::{Ending, OutputEnded, OutputPosition, OutputQuery, WorkOrder};
use brokkr_client::{OutputEvent, OutputEvents};
use brokkr_testkit::{Backend, TestBroker};
use futures_util::StreamExt as _;
use rstest::rstest;

use super::{append, chunk, claimed};
use crate::api::call::refused;
use crate::api::refusals::code;

async fn follow(broker: &TestBroker, order: &WorkOrder, resume: Option<OutputPosition>) -> OutputEvents {
    broker
        .admin()
        .follow_output(order.id, &OutputQuery::default(), resume)
        .await
        .unwrap()
}

async fn next_text(events: &mut OutputEvents) -> (String, OutputPosition) {
    match events.next().await.unwrap().unwrap() {
        OutputEvent::Output(piece) => (piece.data.clone(), piece.end()),
        OutputEvent::Ended(ended) => panic!("ended early: {ended:?}"),
    }
}

async fn next_end(events: &mut OutputEvents) -> OutputEnded {
    let event = events.next().await.unwrap().unwrap();
    assert!(events.next().await.is_none());
    match event {
        OutputEvent::Ended(ended) => ended,
        OutputEvent::Output(piece) => panic!("there is more: {piece:?}"),
    }
}

#[rstest]
#[tokio::test]
async fn live_output_comes_as_it_is_printed_and_ends_with_the_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let mut events = follow(&broker, &claim, None).await;
    append(&agent, vec![chunk(&claim, 0, "stdout", "one\n")]).await;
    assert_eq!(next_text(&mut events).await.0, "one\n");
    append(&agent, vec![chunk(&claim, 4, "stdout", "two\n")]).await;
    let (text, end) = next_text(&mut events).await;
    assert_eq!(
        (&*text, end),
        (
            "two\n",
            OutputPosition {
                attempt: 1,
                offset: 8
            }
        )
    );
    agent.succeed(&claim).await.unwrap();
    assert_eq!(
        next_end(&mut events).await,
        OutputEnded {
            attempt: 1,
            ending: Some(Ending::Succeeded)
        }
    );
}

#[rstest]
#[tokio::test]
async fn live_output_goes_on_over_the_gap_in_the_numbers_that_a_restoration_leaves(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let first = claimed(&broker, &agent).await;
    append(&agent, vec![chunk(&first, 0, "stdout", "before\n")]).await;
    let mut events = follow(&broker, &first, None).await;
    assert_eq!(next_text(&mut events).await.0, "before\n");
    let restored = broker.app().restored().await.unwrap();
    let silent = agent.claim_one().await;
    agent.release(&silent).await.unwrap();
    let last = agent.claim_one().await;
    append(&agent, vec![chunk(&last, 0, "stdout", "after\n")]).await;
    assert_eq!(next_text(&mut events).await.0, "after\n");
    agent.succeed(&last).await.unwrap();
    let end = OutputEnded {
        attempt: restored.epoch.number() + 2,
        ending: Some(Ending::Succeeded),
    };
    assert_eq!(next_end(&mut events).await, end);
}

#[rstest]
#[tokio::test]
async fn live_output_goes_on_with_the_attempts_that_follow_and_can_be_resumed(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let first = claimed(&broker, &agent).await;
    append(&agent, vec![chunk(&first, 0, "stdout", "first try\n")]).await;
    let mut events = follow(&broker, &first, None).await;
    let (_, position) = next_text(&mut events).await;
    drop(events);
    agent
        .fail(&first, brokkr_api::FailureClass::Infrastructure)
        .await
        .unwrap();
    broker.sweep().await;
    let second = agent.claim_one().await;
    append(&agent, vec![chunk(&second, 0, "stdout", "second try\n")]).await;
    agent.succeed(&second).await.unwrap();

    let mut events = follow(&broker, &first, Some(position)).await;
    assert_eq!(next_text(&mut events).await.0, "second try\n");
    assert_eq!(
        next_end(&mut events).await,
        OutputEnded {
            attempt: 2,
            ending: Some(Ending::Succeeded)
        }
    );
    let only_first = OutputQuery {
        attempt: Some(1),
        after: Some(6),
        ..OutputQuery::default()
    };
    let mut events = broker
        .admin()
        .follow_output(first.id, &only_first, None)
        .await
        .unwrap();
    assert_eq!(next_text(&mut events).await.0, "try\n");
    assert_eq!(
        next_end(&mut events).await,
        OutputEnded {
            attempt: 1,
            ending: None
        }
    );
}

#[rstest]
#[tokio::test]
async fn output_that_came_to_another_replica_is_found(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let replica = broker.replica().await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let mut events = follow(&replica, &claim, None).await;
    append(&agent, vec![chunk(&claim, 0, "stdout", "x")]).await;
    let found = tokio::time::timeout(Duration::from_secs(30), next_text(&mut events))
        .await
        .unwrap();
    assert_eq!(found.0, "x");
}

#[tokio::test]
async fn an_order_without_an_attempt_is_followed_until_it_ends() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let order = broker.work_order().label("any").create().await;
    let mut events = follow(&broker, &order, None).await;
    broker
        .admin()
        .cancel_work_order(order.id, &brokkr_api::Cancel::default())
        .await
        .unwrap();
    assert_eq!(
        next_end(&mut events).await,
        OutputEnded {
            attempt: 0,
            ending: Some(Ending::Cancelled)
        }
    );
}

#[tokio::test]
async fn live_output_stops_with_the_broker_and_without_an_ending() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    append(&agent, vec![chunk(&claim, 0, "stdout", "x")]).await;
    let mut events = follow(&broker, &claim, None).await;
    next_text(&mut events).await;
    broker.app().stopping().cancel();
    assert!(events.next().await.is_none());
}

#[rstest]
#[tokio::test]
async fn output_of_an_order_that_is_gone_is_gone(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    append(&agent, vec![chunk(&claim, 0, "stdout", "x")]).await;
    let mut events = follow(&broker, &claim, None).await;
    next_text(&mut events).await;
    broker.admin().delete_work_order(claim.id).await.unwrap();
    assert!(events.next().await.is_none(), "nothing is said about its end");
    assert_eq!(
        code(broker.admin().output(claim.id, &OutputQuery::default()).await),
        "work_order_not_found"
    );
    assert_eq!(
        append(&agent, vec![chunk(&claim, 1, "stdout", "x")]).await,
        [refused(409, "stale_attempt")]
    );
}
