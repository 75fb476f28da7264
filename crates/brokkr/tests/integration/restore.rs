//! The procedure of docs/operating.md: a backup, what happens after it, and the restored database.

use std::process::Command;

use brokkr_client::Client;
use brokkr_client::api::{AttemptEnding, CreateWorkOrder, Delivery, TargetingRequest, WorkOrderStatus};
use uuid::Uuid;

use crate::world::{BrokerProcess, Database, World, until};

fn order(label: &str, script: &str, delivery: Delivery) -> CreateWorkOrder {
    CreateWorkOrder {
        work_type: "command".to_owned(),
        yaml_content: format!("apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: '{script}'\n"),
        delivery: Some(delivery),
        targeting: Some(TargetingRequest {
            labels: Some(vec![label.to_owned()]),
            ..TargetingRequest::default()
        }),
        ..CreateWorkOrder::default()
    }
}

async fn submit(client: &Client, order: &CreateWorkOrder) -> Uuid {
    let created = client.create_work_order(order, None).await;
    created.expect("the broker takes it").work_order.id
}

async fn ended(client: &Client, id: Uuid) -> bool {
    let entry = until("the end of the order", async || {
        client.work_order_log_entry(id).await.ok()
    })
    .await;
    entry.success
}

fn sh(command: &str) {
    let done = Command::new("/bin/sh")
        .args(["-ec", command])
        .output()
        .expect("a shell");
    assert!(
        done.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// `back_up` and `restore` are the commands of the book; `restored` is where the restored database is.
async fn a_restored_backup(
    world: World,
    database: Database,
    back_up: String,
    restore: String,
    restored: Database,
) {
    let broker = BrokerProcess::start(&world, &database).await;
    let address = broker.address().to_owned();
    let _agent = broker.agent(&world, "small", "test").await;
    let client = broker.client();
    let (runs, go) = (world.path("runs"), world.path("go"));
    let script = format!(
        "echo run >> {}; until [ -e {} ]; do sleep 0.05; done",
        runs.display(),
        go.display()
    );
    let done = submit(&client, &order("test", "true", Delivery::AtLeastOnce)).await;
    assert!(ended(&client, done).await);
    let running = submit(&client, &order("test", &script, Delivery::AtLeastOnce)).await;
    until("the command", async || Some(()).filter(|()| runs.exists())).await;
    let delicate = submit(&client, &order("nobody", "true", Delivery::AtMostOnce)).await;

    sh(&back_up);

    let later = submit(&client, &order("test", "true", Delivery::AtLeastOnce)).await;
    assert!(ended(&client, later).await);
    broker.stop().await.with_code(0);
    sh(&restore);
    let said = world
        .run(&["migrate", "--restored", "--database-url", restored.url()])
        .await
        .with_code(0)
        .stdout;
    assert!(said.contains("\n1 claim was taken back\n"), "{said}");
    assert!(said.contains("\n1 waiting order must not run twice"), "{said}");

    let broker = BrokerProcess::start_at(&world, &restored, &address).await;
    let client = broker.client();
    assert_eq!(
        client
            .work_order(later)
            .await
            .expect_err("it came after the backup")
            .status(),
        Some(404)
    );
    assert!(
        client
            .work_order_log_entry(done)
            .await
            .expect("it is older")
            .success
    );
    let waiting = client.work_order(delicate).await.expect("it waited then");
    assert_eq!(waiting.status, WorkOrderStatus::Pending);

    until("the second run", async || {
        Some(()).filter(|()| world.lines("runs").len() == 2)
    })
    .await;
    std::fs::write(&go, "").expect("the directory can be written");
    assert!(ended(&client, running).await);
    let attempts = client.attempts(running).await.expect("it has attempts");
    let ended: Vec<_> = attempts.iter().map(|one| one.ending).collect();
    assert_eq!(
        ended,
        [Some(AttemptEnding::Lost), Some(AttemptEnding::Succeeded)],
        "{attempts:?}"
    );
    assert!(attempts[1].attempt > 1_000_000_000_000, "{attempts:?}");
    broker.stop().await.with_code(0);
}

#[tokio::test]
async fn a_backup_of_postgresql_is_restored_as_the_book_says() {
    let world = World::new();
    let (database, restored) = (Database::postgres().await, Database::postgres().await);
    let dump = world.path("brokkr.dump").display().to_string();
    let back_up = format!("pg_dump --format=custom --file={dump} '{}'", database.url());
    let restore = format!("pg_restore --no-owner --dbname='{}' {dump}", restored.url());
    a_restored_backup(world, database, back_up, restore, restored).await;
}

#[tokio::test]
async fn a_backup_of_sqlite_is_restored_as_the_book_says() {
    let world = World::new();
    let (database, restored) = (Database::sqlite(&world), Database::sqlite(&world));
    let (file, copy) = (world.path("broker.db"), world.path("copy.db"));
    let (file, copy) = (file.display(), copy.display());
    let back_up = format!("sqlite3 {file} \".backup '{copy}'\"");
    let restore = format!("mv {file} {file}.old; rm -f {file}-wal {file}-shm; cp {copy} {file}");
    a_restored_backup(world, database, back_up, restore, restored).await;
}

/// Restoring is refused while a broker is there, and goes on when it is not, or when the caller knows better.
async fn a_restoration_beside_a_broker(world: &World, database: &Database, broker: BrokerProcess) {
    let args = ["migrate", "--restored", "--database-url", database.url()];
    let refused = world.run(&args).await.with_code(1);
    assert!(
        refused.stderr.contains("a broker serves this database"),
        "{refused:?}"
    );
    assert_eq!(refused.stdout, "", "nothing was done");
    let forced = [args.as_slice(), &["--force"]].concat();
    let done = world.run(&forced).await.with_code(0);
    assert!(done.stdout.contains("0 claims were taken back"), "{done:?}");

    broker.kill();
    let done = world.run(&args).await.with_code(0);
    assert!(done.stdout.contains("0 claims were taken back"), "{done:?}");
}

#[tokio::test]
async fn restoring_postgresql_is_refused_while_a_broker_serves_it() {
    let world = World::new();
    let database = Database::postgres().await;
    let broker = BrokerProcess::start(&world, &database).await;
    until("the broker's lock", async || {
        database.served().await.then_some(())
    })
    .await;
    a_restoration_beside_a_broker(&world, &database, broker).await;
}

#[tokio::test]
async fn restoring_sqlite_is_refused_while_a_broker_serves_it_or_what_was_there_before() {
    let world = World::new();
    let database = Database::sqlite(&world);
    let broker = BrokerProcess::start(&world, &database).await;
    let (file, copy) = (world.path("broker.db"), world.path("copy.db"));
    let (file, copy) = (file.display(), copy.display());
    sh(&format!("sqlite3 {file} \".backup '{copy}'\""));
    sh(&format!(
        "mv {file} {file}.old; rm -f {file}-wal {file}-shm; cp {copy} {file}"
    ));
    a_restoration_beside_a_broker(&world, &database, broker).await;
}

#[tokio::test]
async fn a_broker_does_not_start_while_its_database_is_being_restored() {
    let world = World::new();
    let database = Database::sqlite(&world);
    let locked =
        std::fs::File::create(world.path("broker.db-brokers")).expect("the directory can be written");
    locked.lock().expect("nobody else has it");
    let args = [
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        database.url(),
    ];
    let refused = world.run(&args).await.with_code(1);
    assert!(
        refused.stderr.contains("the database is being restored"),
        "{refused:?}"
    );
    drop(locked);
    let broker = BrokerProcess::start(&world, &database).await;
    broker.stop().await.with_code(0);
}
