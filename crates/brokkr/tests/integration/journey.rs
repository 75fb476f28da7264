//! Orders through crashes: nothing is lost, nothing runs twice in silence, and what happened is not guessed.

mod crowd;

use serde_json::Value;

use crate::world::{AgentProcess, BrokerProcess, Database, World, until};

/// A command that says that it has begun, waits until the file `go` exists, and ends with a code of its own.
fn waiting(world: &World, exit: u8) -> String {
    let path = |name| world.path(name).display().to_string();
    let (begun, go, root) = (path("begun"), path("go"), world.root().display());
    world.command(
        "wait.yaml",
        &format!(
            "echo \"$BROKKR_ATTEMPT\" >> {begun}\necho begun\nn=0\n\
             while [ -d {root} ] && [ ! -e {go} ] && [ $n -lt 1200 ]; do sleep 0.05; n=$((n+1)); done\necho ended\nexit {exit}"
        ),
    )
}

fn go(world: &World) {
    world.file("go", "");
}

async fn begun(world: &World, times: usize) {
    until("the command runs", async || {
        (world.lines("begun").len() == times).then_some(())
    })
    .await;
}

async fn submit(world: &World, broker: &BrokerProcess, file: &str, more: &[&str]) -> String {
    let args = [["submit", "-f", file, "-l", "test"].as_slice(), more].concat();
    broker.run(world, &args).await.with_code(0).order()
}

async fn attempts(world: &World, broker: &BrokerProcess, order: &str) -> Vec<Value> {
    let found = broker
        .run(world, &["get", "attempts", order, "-o", "json"])
        .await
        .with_code(0)
        .json();
    found.as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn an_agent_that_was_killed_and_comes_back_takes_its_command_over_with_its_true_exit_status() {
    let world = World::new();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let agent = broker.agent(&world, "runner", "test").await;
    let order = submit(&world, &broker, &waiting(&world, 7), &[]).await;
    begun(&world, 1).await;

    agent.kill();
    let _agent = AgentProcess::start(&world, "runner", &broker.url());
    go(&world);

    broker.run(&world, &["wait", &order]).await.with_code(1);
    let entry = broker
        .run(&world, &["get", "log", &order, "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(entry["exit_code"], 7, "{entry}");
    assert_eq!(
        world.lines("begun"),
        [entry["attempt"].to_string()],
        "the command ran once"
    );
    let output = broker.run(&world, &["logs", &order]).await.with_code(0).stdout;
    assert_eq!(output, "begun\nended\n");
}

#[tokio::test]
async fn an_agent_that_stays_away_loses_its_attempt_and_another_one_runs_the_order() {
    let world = World::new();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let agent = broker.agent(&world, "first", "test").await;
    let order = submit(&world, &broker, &waiting(&world, 0), &[]).await;
    begun(&world, 1).await;

    agent.kill();
    let _second = broker.agent(&world, "second", "test").await;
    begun(&world, 2).await;
    go(&world);

    broker.run(&world, &["wait", &order]).await.with_code(0);
    let attempts = attempts(&world, &broker, &order).await;
    let endings: Vec<&Value> = attempts.iter().map(|attempt| &attempt["ending"]).collect();
    assert_eq!(endings, ["lost", "succeeded"]);
    let entry = broker
        .run(&world, &["get", "log", &order, "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!((&entry["lost_count"], &entry["attempt"]), (&1.into(), &2.into()));
    let lost = broker
        .run(
            &world,
            &["get", "log", "--succeeded", "--lost-attempt", "-o", "name"],
        )
        .await
        .with_code(0);
    assert_eq!(lost.order(), order);
}

#[tokio::test]
async fn what_must_not_run_twice_is_lost_instead() {
    let world = World::new();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let agent = broker.agent(&world, "first", "test").await;
    let order = submit(
        &world,
        &broker,
        &waiting(&world, 0),
        &["--delivery", "at-most-once"],
    )
    .await;
    begun(&world, 1).await;

    agent.kill();
    let _second = broker.agent(&world, "second", "test").await;
    broker.run(&world, &["wait", &order]).await.with_code(4);
    assert_eq!(world.lines("begun"), ["1"]);
    go(&world);
}

#[tokio::test]
async fn a_broker_that_was_killed_loses_nothing() {
    let world = World::new();
    let database = Database::sqlite(&world);
    let broker = BrokerProcess::start(&world, &database).await;
    let _agent = broker.agent(&world, "runner", "test").await;
    let running = submit(&world, &broker, &waiting(&world, 7), &[]).await;
    begun(&world, 1).await;
    let other = world.command("other.yaml", "echo other");
    let queued = broker
        .run(&world, &["submit", "-f", &other, "-l", "nobody-yet"])
        .await
        .with_code(0)
        .order();
    let mut following = broker.begin(&world, &["logs", "-f", &running]);
    following
        .until_written("output", |out, _| out.contains("begun").then_some(()))
        .await;
    let mut waiting = broker.begin(&world, &["wait", &running]);
    waiting
        .until_written("a state", |_, err| err.contains("runs").then_some(()))
        .await;

    let address = broker.address().to_owned();
    broker.kill();
    go(&world);
    let broker = BrokerProcess::start_at(&world, &database, &address).await;

    // Those who wait and follow have lived through it.
    waiting.finish().await.with_code(1);
    assert_eq!(following.finish().await.with_code(0).stdout, "begun\nended\n");
    assert_eq!(world.lines("begun").len(), 1, "the command ran once");
    let entry = broker
        .run(&world, &["get", "log", &running, "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(entry["exit_code"], 7, "{entry}");
    let order = broker
        .run(&world, &["get", "order", &queued, "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(order["status"], "PENDING");
    broker
        .run(&world, &["label", "agent", "runner", "nobody-yet"])
        .await
        .with_code(0);
    broker.run(&world, &["wait", &queued]).await.with_code(0);
}
