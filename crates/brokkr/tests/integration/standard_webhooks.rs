//! Webhooks as their receivers see them, who verify with another implementation of the specification.

mod receiver;

use std::collections::BTreeSet;
use std::fs;

use brokkr_client::Client;
use brokkr_client::api::{CreateWorkOrder, EventsQuery, TargetingRequest};

use crate::world::{BrokerProcess, Database, World, until};
use receiver::{Receiver, Told};

async fn submit(client: &Client) {
    let order = CreateWorkOrder {
        work_type: "command".to_owned(),
        yaml_content: "a: 1".to_owned(),
        targeting: Some(TargetingRequest {
            labels: Some(vec!["nobody".to_owned()]),
            ..TargetingRequest::default()
        }),
        ..CreateWorkOrder::default()
    };
    let created = client.create_work_order(&order, None).await;
    created.expect("the broker takes it");
}

/// Creates a webhook for all orders and answers its secret.
async fn create(world: &World, broker: &BrokerProcess, receiver: &Receiver) -> String {
    let args = ["create", "webhook", "bot", "-e", "work_order.*"];
    let more = ["--url", &receiver.url(), "--save-secret", "bot.secret"];
    broker
        .run(world, &[args.as_slice(), &more].concat())
        .await
        .with_code(0);
    secret(world, "bot.secret")
}

fn secret(world: &World, file: &str) -> String {
    let secret = fs::read_to_string(world.path(file)).expect("the secret was saved");
    secret.trim().to_owned()
}

/// Waits until the receiver has been told so many things that it did this with, and answers the last one.
async fn told(receiver: &Receiver, mode: &str, count: usize) -> Told {
    until(&format!("{count} deliveries with {mode}"), async || {
        let told = receiver.told();
        let mut told = told.iter().filter(|told| told.mode == mode);
        told.nth(count - 1).cloned()
    })
    .await
}

#[tokio::test]
async fn another_implementation_verifies_whatever_is_sent_again() {
    let world = World::new();
    world.allow_webhooks_here();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let client = broker.client();
    let mut receiver = Receiver::away(&world);
    receiver.start().await;
    let secret = create(&world, &broker, &receiver).await;
    receiver.knows(&[&secret]);

    submit(&client).await;
    let first = told(&receiver, "200", 1).await;
    assert_eq!(first.event(), "work_order.created");

    for (mode, delivered) in [("500", 2), ("hang", 3)] {
        receiver.answers(mode);
        submit(&client).await;
        let missed = told(&receiver, mode, 1).await;
        receiver.answers("200");
        let again = told(&receiver, "200", delivered).await;
        assert_eq!((again.id, again.body), (missed.id, missed.body), "{mode}");
    }
    assert!(
        receiver
            .told()
            .iter()
            .all(|told| told.verified == [true] && !told.forged),
        "{:?}",
        receiver.told()
    );
    broker.stop().await.with_code(0);
}

#[tokio::test]
async fn a_redirect_to_the_loopback_interface_is_not_followed() {
    let world = World::new();
    world.allow_webhooks_here();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let mut receiver = Receiver::away(&world);
    receiver.start().await;
    create(&world, &broker, &receiver).await;

    receiver.answers("307");
    submit(&broker.client()).await;
    let given_up = until("the end of the delivery", async || {
        let args = ["webhook", "deliveries", "bot", "--failed", "-o", "json"];
        let told = broker.run(&world, &args).await.with_code(0).json();
        told.as_array().and_then(|told| told.first().cloned())
    })
    .await;
    assert_eq!(given_up["last_status"], 307);
    let paths: BTreeSet<_> = receiver.told().into_iter().map(|told| told.path).collect();
    assert_eq!(paths, BTreeSet::from(["/hook".to_owned()]));
}

#[tokio::test]
async fn another_implementation_verifies_by_both_secrets_while_they_overlap_and_by_the_new_one_afterwards() {
    let world = World::new();
    world.allow_webhooks_here();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let mut receiver = Receiver::away(&world);
    receiver.start().await;
    let first = create(&world, &broker, &receiver).await;
    let rotate = async |overlap: &str, file: &str| {
        let args = ["webhook", "rotate-secret", "bot", "--overlap", overlap];
        let more = ["--save-secret", file];
        broker
            .run(&world, &[args.as_slice(), &more].concat())
            .await
            .with_code(0);
        secret(&world, file)
    };
    let test = async || {
        broker.run(&world, &["webhook", "test", "bot"]).await.with_code(0);
        receiver.told().pop().expect("it was told")
    };

    let second = rotate("1h", "second.secret").await;
    receiver.knows(&[&first, &second]);
    assert_eq!(test().await.verified, [true, true]);

    let third = rotate("0s", "third.secret").await;
    receiver.knows(&[&first, &second, &third]);
    assert_eq!(test().await.verified, [false, false, true]);
}

/// The positions of all events of orders.
async fn happened(client: &Client) -> BTreeSet<i64> {
    let query = EventsQuery {
        types: Some("work_order.*".to_owned()),
        ..EventsQuery::default()
    };
    let page = client.events(&query).await.expect("the broker answers");
    page.events.iter().map(|event| event.id).collect()
}

/// The positions of what the receiver took, once for each time.
fn taken(receiver: &Receiver) -> Vec<i64> {
    let told = receiver.told();
    let taken = told.iter().filter(|told| told.mode == "200");
    taken
        .map(|told| {
            assert_eq!((told.verified.as_slice(), told.forged), (&[true][..], false));
            told.body["data"]["position"].as_i64().expect("a position")
        })
        .collect()
}

#[tokio::test]
async fn a_broker_on_sqlite_that_is_killed_while_the_receiver_is_down_and_while_it_sends_loses_no_event() {
    let world = World::new();
    let database = Database::sqlite(&world);
    killed(world, database).await;
}

#[tokio::test]
async fn a_broker_on_postgresql_that_is_killed_while_the_receiver_is_down_and_while_it_sends_loses_no_event()
{
    killed(World::new(), Database::postgres().await).await;
}

async fn killed(world: World, database: Database) {
    world.allow_webhooks_here();
    let mut receiver = Receiver::away(&world);
    let broker = BrokerProcess::start(&world, &database).await;
    let address = broker.address().to_owned();
    let secret = create(&world, &broker, &receiver).await;
    receiver.knows(&[&secret]);
    receiver.answers("hang");
    for _ in 0..20 {
        submit(&broker.client()).await;
    }
    until("an attempt in vain", async || {
        let args = ["webhook", "deliveries", "bot", "-o", "json"];
        let told = broker.run(&world, &args).await.with_code(0).json();
        let mut tried = told.as_array().into_iter().flatten();
        tried.find(|told| told["attempts"].as_i64() > Some(0)).cloned()
    })
    .await;
    broker.kill();

    receiver.start().await;
    let broker = BrokerProcess::start_at(&world, &database, &address).await;
    for _ in 0..20 {
        submit(&broker.client()).await;
    }
    told(&receiver, "hang", 1).await;
    broker.kill();

    receiver.answers("200");
    let broker = BrokerProcess::start_at(&world, &database, &address).await;
    submit(&broker.client()).await;
    let all = happened(&broker.client()).await;
    assert_eq!(all.len(), 41);
    until("every event", async || {
        let taken: BTreeSet<_> = taken(&receiver).into_iter().collect();
        (taken == all).then_some(())
    })
    .await;

    let before = taken(&receiver).len();
    let args = ["webhook", "replay", "bot", "--since", "1h", "--delivered"];
    let said = broker.run(&world, &args).await.with_code(0);
    assert_eq!(said.stdout, "41 deliveries are sent again\n");
    until("every event again", async || {
        let again: BTreeSet<_> = taken(&receiver).into_iter().skip(before).collect();
        (again == all).then_some(())
    })
    .await;
    let ids: BTreeSet<_> = receiver.told().into_iter().map(|told| told.id).collect();
    assert_eq!(ids.len(), 41, "an event has one id, however often it is told");
    broker.stop().await.with_code(0);
}
