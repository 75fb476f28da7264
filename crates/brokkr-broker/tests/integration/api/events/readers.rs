//! Many changes from several writers, and readers that come and go: each hears each change once, and those of an order in order.

use std::collections::HashMap;
use std::sync::Arc;

use brokkr_api::{BatchCreate, EndingItem, EndingsRequest, Event, EventsQuery};
use brokkr_client::EventTold;
use brokkr_testkit::{Backend, TestBroker};
use futures_util::StreamExt as _;
use rstest::rstest;
use tokio::sync::watch;

const WRITERS: usize = 4;
const READERS: u64 = 3;
const BATCH: usize = 20;
/// An order is created, claimed and ended.
const CHANGES_OF_ORDER: usize = 3;

/// Enough to meet transactions that end in another order than they began, and more than are kept in memory.
const CHANGES: usize = 6_000;

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

async fn write(broker: Arc<TestBroker>, changes: usize) {
    let agent = broker.agent().await;
    let mut left = changes;
    while left > 0 {
        let work_orders = (0..BATCH)
            .map(|_| broker.work_order().for_agent(&agent).request())
            .collect();
        let created = broker
            .admin()
            .create_work_orders(&BatchCreate { work_orders }, None)
            .await;
        assert!(created.unwrap().items.iter().all(|item| item.status == 201));
        let claimed = agent.claim_next(BATCH as i64).await.unwrap();
        assert_eq!(claimed.len(), BATCH);
        let endings = claimed
            .iter()
            .enumerate()
            .map(|(number, claim)| EndingItem {
                success: number % 3 > 0,
                id: claim.work_order.id,
                attempt: claim.work_order.attempt,
                message: None,
                class: None,
                retryable: Some(false),
                exit_code: None,
                result: None,
            })
            .collect();
        agent
            .client
            .end(agent.id, &EndingsRequest { endings })
            .await
            .unwrap();
        left = left.saturating_sub(BATCH * CHANGES_OF_ORDER);
    }
}

/// Reads until the last event, from one broker and then another, and hangs up every now and then.
async fn read(
    brokers: Vec<Arc<TestBroker>>,
    seed: u64,
    mut last: watch::Receiver<Option<i64>>,
) -> Vec<Event> {
    let mut chance = Chance(seed);
    let mut heard: Vec<Event> = Vec::new();
    let mut after = 0;
    loop {
        let broker = &brokers[chance.below(brokers.len() as u64) as usize];
        let query = EventsQuery {
            after: Some(after),
            ..EventsQuery::default()
        };
        let mut told = broker.admin().follow_events(&query).await.unwrap();
        for _ in 0..=chance.below(900) {
            if last.borrow().is_some_and(|last| last <= after) {
                return heard;
            }
            tokio::select! {
                event = told.next() => match event.unwrap().unwrap() {
                    EventTold::Listening(from) => assert_eq!(from, after),
                    EventTold::Event(event) => {
                        after = event.id;
                        heard.push(*event);
                    }
                },
                _ = last.changed() => {}
            }
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_and_go_hear_every_change_once_and_those_of_an_order_in_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let first = TestBroker::start(backend).await;
    let mut brokers = Vec::new();
    if backend == Backend::Postgres {
        let second = first.replica().await;
        for broker in [&first, &second] {
            broker.listen().await;
        }
        brokers.push(Arc::new(second));
    }
    brokers.insert(0, Arc::new(first));
    let changes: usize = std::env::var("BROKKR_EVENT_CHANGES")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(CHANGES);
    let (tell_last, last) = watch::channel(None);
    let readers: Vec<_> = (1..=READERS)
        .map(|seed| tokio::spawn(read(brokers.clone(), seed, last.clone())))
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            tokio::spawn(write(
                Arc::clone(&brokers[number % brokers.len()]),
                changes / WRITERS,
            ))
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let happened = everything(&brokers[0]).await;
    assert!(happened.len() >= changes);
    in_order(&happened);
    tell_last.send_replace(happened.last().map(|event| event.id));
    for reader in readers {
        let heard = reader.await.unwrap();
        assert!(
            heard == happened,
            "{} of {} were heard",
            heard.len(),
            happened.len()
        );
    }
}

async fn everything(broker: &TestBroker) -> Vec<Event> {
    let mut query = EventsQuery {
        limit: Some(1_000),
        ..EventsQuery::default()
    };
    let mut events = Vec::new();
    loop {
        let page = broker.admin().events(&query).await.unwrap();
        query.after = Some(page.next);
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

/// Each event of an order begins where the one before it has ended.
fn in_order(events: &[Event]) {
    let mut states = HashMap::new();
    for event in events {
        let Some(order) = event.work_order_id else {
            continue;
        };
        let before = states.insert(order, event.after.clone()).flatten();
        assert_eq!(event.before, before, "{event:?}");
    }
    assert!(
        states
            .values()
            .all(|state| matches!(state.as_deref(), Some("succeeded" | "failed")))
    );
}
