//! File systems that are really full or read-only, below the broker's database and the agent's state.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use brokkr_client::Client;
use brokkr_client::api::{CreateWorkOrder, ListWorkOrders, TargetingRequest, WorkOrderStatus};
use brokkr_testkit::{Cluster, Durability};
use nix::errno::Errno;
use uuid::Uuid;

use crate::world::{BrokerProcess, Database, Disk, World, alone_with_mounts, until};

/// More room than this is on no page, in no log file and in no table that was there before the disk was full.
const WRITES_MAX: usize = 100;

fn order(label: &str, script: &str) -> CreateWorkOrder {
    CreateWorkOrder {
        work_type: "command".to_owned(),
        yaml_content: format!("apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: '{script}'\n"),
        targeting: Some(TargetingRequest {
            labels: Some(vec![label.to_owned()]),
            ..TargetingRequest::default()
        }),
        ..CreateWorkOrder::default()
    }
}

/// An order of 100 kB that do not compress, and that nobody runs.
fn large(number: usize) -> CreateWorkOrder {
    let ids = (0..3_000).map(|id| {
        let seed = (number * 3_000 + id + 1) as u128;
        Uuid::from_u128(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_string()
    });
    order("nobody", &format!("# {}", ids.collect::<String>()))
}

async fn accepted(client: &Client, order: &CreateWorkOrder, key: &str) -> Uuid {
    let created = client.create_work_order(order, Some(key)).await;
    let created = created.expect("there is room");
    assert!(!created.replayed, "{key} was refused before, or is new");
    created.work_order.id
}

/// Submits until the disk is really full; then everything is refused as it should be. Answers how many orders were taken.
async fn refused_for_want_of_room(client: &Client) -> usize {
    let mut taken = 0;
    let mut refused = 0;
    for number in 0..WRITES_MAX {
        match client
            .create_work_order(&large(number), Some(&number.to_string()))
            .await
        {
            // What the database writes over needs no room.
            Ok(_) => taken += 1,
            Err(error) => {
                assert_eq!(
                    (error.status(), error.code()),
                    (Some(503), Some("database_unavailable")),
                    "{error:?}"
                );
                assert!(error.retry_after().is_some(), "{error:?}");
                refused += 1;
            }
        }
        if refused == 5 {
            return taken;
        }
    }
    panic!("{taken} orders were taken by a full disk, {refused} refused");
}

async fn waiting(client: &Client) -> usize {
    let list = ListWorkOrders {
        limit: Some(500),
        ..ListWorkOrders::default()
    };
    let found = client.work_orders(&list).await.expect("reading needs no room");
    found.items.len()
}

async fn succeeded(client: &Client, id: Uuid) {
    let entry = until("the end of the order", async || {
        client.work_order_log_entry(id).await.ok()
    })
    .await;
    assert!(entry.success, "{entry:?}");
    assert_eq!(entry.attempt, 1, "no attempt was wasted: {entry:?}");
}

/// The agent says by itself that it cannot keep what it would have to know.
async fn agent_says_so(broker: &BrokerProcess, world: &World) {
    until("the agent's word", async || {
        let told = broker.run(world, &["get", "agents", "-o", "wide"]).await.stdout;
        told.contains("the state directory cannot be written")
            .then_some(())
    })
    .await;
}

async fn a_broker_with_its_database_on(disk: &Disk, world: &World, database: &Database) {
    let broker = BrokerProcess::start(world, database).await;
    let client = broker.client();
    accepted(&client, &order("nobody", "true"), "before").await;

    disk.fill();
    let taken = 1 + refused_for_want_of_room(&client).await;
    assert_eq!(waiting(&client).await, taken, "nothing is half-written");

    disk.make_room();
    until("the broker", async || {
        let created = client.create_work_order(&large(WRITES_MAX), Some("again")).await;
        created.ok().filter(|created| !created.replayed)
    })
    .await;
    assert_eq!(waiting(&client).await, taken + 1);
    broker.stop().await.with_code(0);
}

#[tokio::test]
async fn a_broker_on_a_full_file_system_refuses_and_goes_on_when_there_is_room() {
    if !alone_with_mounts("mounts::a_broker_on_a_full_file_system_refuses_and_goes_on_when_there_is_room") {
        return;
    }
    let world = World::new();
    let disk = Disk::mounted_at(world.path("disk"), 16);
    a_broker_with_its_database_on(&disk, &world, &Database::sqlite_on(&disk)).await;
}

#[tokio::test]
async fn a_broker_whose_postgresql_has_a_full_file_system_refuses_and_goes_on_when_there_is_room() {
    if !alone_with_mounts(
        "mounts::a_broker_whose_postgresql_has_a_full_file_system_refuses_and_goes_on_when_there_is_room",
    ) {
        return;
    }
    let world = World::new();
    // The server may run as another user.
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o711)).expect("the directory is ours");
    let disk = Disk::mounted_at(world.path("disk"), 192);
    let cluster = Cluster::start_in(disk.path(), Durability::ServerDefault).expect("a server");
    a_broker_with_its_database_on(&disk, &world, &Database::of(&cluster)).await;
}

#[tokio::test]
async fn a_broker_on_a_read_only_file_system_says_so_and_loses_nothing() {
    if !alone_with_mounts("mounts::a_broker_on_a_read_only_file_system_says_so_and_loses_nothing") {
        return;
    }
    let world = World::new();
    let disk = Disk::mounted_at(world.path("disk"), 16);
    let database = Database::sqlite_on(&disk);
    let broker = BrokerProcess::start(&world, &database).await;
    let id = accepted(&broker.client(), &order("nobody", "true"), "before").await;
    assert_eq!(
        disk.remount(true),
        Err(Errno::EBUSY),
        "the broker has its files open"
    );
    // Nothing is in the file yet but in the log beside it.
    broker.kill();

    disk.remount(true).expect("no file is open");
    let args = [
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        database.url(),
    ];
    let refused = world.run(&args).await.with_code(1);
    assert!(
        refused.stderr.contains("could not open the database"),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");

    disk.remount(false).expect("it can be written again");
    let broker = BrokerProcess::start(&world, &database).await;
    let client = broker.client();
    let order = client.work_order(id).await.expect("it was accepted");
    assert_eq!(order.status, WorkOrderStatus::Pending);
    broker.stop().await.with_code(0);
}

/// Runs a command until the file `go` is there. It prints something at its beginning and at its end.
async fn running(client: &Client, world: &World) -> Uuid {
    let (began, go) = (world.path("began"), world.path("go"));
    let script = format!(
        "echo first; touch {}; until [ -e {} ]; do sleep 0.05; done; echo last",
        began.display(),
        go.display()
    );
    let created = client.create_work_order(&order("test", &script), None).await;
    until("the command", async || began.exists().then_some(())).await;
    created.expect("the broker takes it").work_order.id
}

/// What runs ends while the agent's disk is in trouble; what waits is not claimed; both succeed at their first attempt.
async fn an_agent_with_its_state_on_a_disk(trouble: impl FnOnce(&Disk), relief: impl FnOnce(&Disk)) {
    let world = World::new();
    let disk = Disk::mounted_at(world.path("small.state"), 8);
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let _agent = broker.agent(&world, "small", "test").await;
    let client = broker.client();
    let running = running(&client, &world).await;

    trouble(&disk);
    agent_says_so(&broker, &world).await;
    let next = client
        .create_work_order(&order("test", "true"), None)
        .await
        .expect("the broker takes it")
        .work_order
        .id;
    world.file("go", "");
    // It goes on with what it has, or has told its outcome already.
    let lease = async || client.work_order(running).await.ok()?.lease_expires_at;
    let before = lease().await;
    until("a renewal", async || {
        let order = client.work_order(next).await.expect("it waits");
        assert_eq!(
            order.status,
            WorkOrderStatus::Pending,
            "it was claimed: {order:?}"
        );
        let now = lease().await;
        (now.is_none() || now > before).then_some(())
    })
    .await;

    relief(&disk);
    succeeded(&client, running).await;
    succeeded(&client, next).await;
    broker.stop().await.with_code(0);
}

#[tokio::test]
async fn an_agent_on_a_full_file_system_tells_the_outcome_when_there_is_room_and_claims_nothing_until_then() {
    if !alone_with_mounts(
        "mounts::an_agent_on_a_full_file_system_tells_the_outcome_when_there_is_room_and_claims_nothing_until_then",
    ) {
        return;
    }
    an_agent_with_its_state_on_a_disk(Disk::fill, Disk::make_room).await;
}

#[tokio::test]
async fn an_agent_on_a_read_only_file_system_tells_the_outcome_when_it_can_write_and_claims_nothing_until_then()
 {
    if !alone_with_mounts(
        "mounts::an_agent_on_a_read_only_file_system_tells_the_outcome_when_it_can_write_and_claims_nothing_until_then",
    ) {
        return;
    }
    an_agent_with_its_state_on_a_disk(Disk::cover, Disk::uncover).await;
}
