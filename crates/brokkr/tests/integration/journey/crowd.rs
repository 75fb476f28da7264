//! Two brokers on one PostgreSQL, two agents, many orders, and crashes on the way.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_client::Client;
use brokkr_client::api::{AttemptEnding, BatchCreate, CreateWorkOrder, Ending, TargetingRequest};
use uuid::Uuid;

use crate::world::{BrokerProcess, Database, World, until};

/// How many orders; the full measure is 1,000.
const COUNT: &str = "BROKKR_TEST_ORDERS";

fn count() -> usize {
    std::env::var(COUNT)
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(60)
}

async fn submit(client: &Client, count: usize, ran: &str) -> Vec<Uuid> {
    let script = format!("echo \"$BROKKR_WORK_ORDER_ID $BROKKR_ATTEMPT\" >> {ran}; sleep 0.1");
    let order = CreateWorkOrder {
        work_type: "command".to_owned(),
        yaml_content: format!("apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: '{script}'\n"),
        targeting: Some(TargetingRequest {
            labels: Some(vec!["test".to_owned()]),
            ..TargetingRequest::default()
        }),
        ..CreateWorkOrder::default()
    };
    let mut ids = Vec::new();
    for size in (0..count).step_by(500).map(|from| (count - from).min(500)) {
        let batch = BatchCreate {
            work_orders: vec![order.clone(); size],
        };
        let answer = client
            .create_work_orders(&batch, None)
            .await
            .expect("the batch is taken");
        ids.extend(
            answer
                .items
                .into_iter()
                .map(|item| item.work_order.expect("the order is created").id),
        );
    }
    ids
}

/// Which attempts of each order really ran a command.
fn runs(world: &World) -> BTreeMap<Uuid, BTreeSet<i64>> {
    let mut runs: BTreeMap<Uuid, BTreeSet<i64>> = BTreeMap::new();
    for line in world.lines("ran") {
        let (id, attempt) = line.split_once(' ').expect("an id and an attempt");
        let is_new = runs
            .entry(id.parse().expect("an id"))
            .or_default()
            .insert(attempt.parse().expect("a number"));
        assert!(is_new, "attempt {attempt} of order {id} ran its command twice");
    }
    runs
}

#[tokio::test]
async fn every_order_ends_once_although_a_broker_and_an_agent_are_killed() {
    let world = World::new();
    let database = Database::postgres().await;
    let first = BrokerProcess::start(&world, &database).await;
    let second = BrokerProcess::start(&world, &database).await;
    let _steady = first.agent(&world, "steady", "test").await;
    let doomed = second.agent(&world, "doomed", "test").await;
    let client = second.client();
    let total = count();
    let ids = submit(&client, total, &world.path("ran").display().to_string()).await;
    assert_eq!(ids.len(), total);

    let ran = |part: usize| {
        let world = &world;
        until("part of the orders", async move || {
            (part <= world.lines("ran").len()).then_some(())
        })
    };
    ran(total / 5).await;
    doomed.kill();
    ran(total * 2 / 5).await;
    let address = first.address().to_owned();
    first.kill();
    let _first = BrokerProcess::start_at(&world, &database, &address).await;

    for id in &ids {
        let entry = until("the order has ended", async || {
            client.work_order_log_entry(*id).await.ok()
        })
        .await;
        assert_eq!(entry.ending, Ending::Succeeded, "{entry:?}");
    }
    let runs = runs(&world);
    assert_eq!(
        runs.keys().copied().collect::<BTreeSet<_>>(),
        ids.iter().copied().collect::<BTreeSet<_>>()
    );
    for (id, ran) in runs.into_iter().filter(|(_, ran)| 1 < ran.len()) {
        let attempts = client.attempts(id).await.expect("attempts");
        for attempt in ran.iter().rev().skip(1) {
            let ending = attempts
                .iter()
                .find(|known| known.attempt == *attempt)
                .and_then(|known| known.ending);
            assert_eq!(
                ending,
                Some(AttemptEnding::Lost),
                "attempt {attempt} of order {id} is not explained: {attempts:?}"
            );
        }
    }
}
