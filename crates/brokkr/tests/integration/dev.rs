//! `brokkr dev`.

use std::net::TcpListener;

use nix::sys::signal::Signal;

use crate::world::{World, example, until};

#[tokio::test]
async fn an_example_runs_and_only_its_output_is_on_standard_output() {
    let world = World::new();
    let finished = world
        .run(&["dev", &example("stdin.yaml"), "--exit"])
        .await
        .with_code(0);
    assert_eq!(finished.stdout, "100 hundred\n20 twenty\n3 three\n");
    assert!(finished.stderr.contains("succeeded"), "{finished:?}");
    assert!(!world.path(".brokkr/dev.toml").exists());
}

#[tokio::test]
async fn it_leaves_with_the_exit_code_of_the_orders() {
    let world = World::new();
    let good = world.command("good.yaml", "echo fine");
    let args = ["dev", &good, &example("fails.yaml"), "--exit", "--ephemeral"];
    let finished = world.run(&args).await.with_code(1);
    assert!(finished.stdout.contains("good.yaml | fine"), "{finished:?}");
    assert!(!world.path(".brokkr").exists(), "--ephemeral keeps nothing");
}

#[tokio::test]
async fn a_broken_file_starts_nothing() {
    let world = World::new();
    let file = world.file("broken.yaml", "a: [b\n");
    world.run(&["dev", &file]).await.with_code(2);
    assert!(!world.path(".brokkr").exists());
}

#[tokio::test]
async fn a_second_terminal_needs_no_set_up_and_a_second_start_remembers() {
    let world = World::new();
    let mut dev = world.start(&["dev"]);
    dev.until_written("where things are", |_, err| {
        err.contains("Ctrl-C stops it").then_some(())
    })
    .await;
    world.run(&["get", "orders"]).await.with_code(0);
    let file = world.command("say.yaml", "echo said");
    let finished = world
        .run(&["submit", "-f", &file, "-l", "local", "--follow"])
        .await
        .with_code(0);
    assert_eq!(finished.stdout, "said\n");
    let agents = world
        .run(&["get", "agents", "-o", "json"])
        .await
        .with_code(0)
        .json();
    let refused = world.run(&["dev"]).await.with_code(2);
    assert!(refused.stderr.contains("--ephemeral"), "{refused:?}");
    world.run(&["doctor"]).await.with_code(0);

    dev.signal(Signal::SIGINT);
    dev.finish().await.with_code(0);
    world.run(&["get", "orders"]).await.with_code(2);

    let mut dev = world.start(&["dev"]);
    dev.until_written("where things are", |_, err| {
        err.contains("Ctrl-C stops it").then_some(())
    })
    .await;
    let again = world
        .run(&["get", "agents", "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(again[0]["id"], agents[0]["id"]);
    let log = world.run(&["get", "log", "-o", "name"]).await.with_code(0).stdout;
    assert_eq!(log, format!("order/{}\n", finished.order()));
    dev.signal(Signal::SIGTERM);
    dev.finish().await.with_code(0);
}

#[tokio::test]
async fn a_killed_one_misleads_nobody() {
    let world = World::new();
    let mut dev = world.start(&["dev"]);
    dev.until_written("where things are", |_, err| {
        err.contains("Ctrl-C stops it").then_some(())
    })
    .await;
    dev.kill();
    let refused = world.run(&["get", "orders"]).await.with_code(2);
    assert!(refused.stderr.contains("no broker is known"), "{refused:?}");
}

#[tokio::test]
async fn the_first_interrupt_lets_work_finish_and_the_second_stops_it() {
    let world = World::new();
    let go = world.path("go");
    let file = world.command(
        "wait.yaml",
        &format!("echo begun\nn=0\nwhile [ ! -e {} ] && [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); done\necho ended", go.display()),
    );
    let mut dev = world.start(&["dev", &file, "--ephemeral"]);
    dev.until_written("output", |out, _| out.contains("begun").then_some(()))
        .await;
    dev.signal(Signal::SIGINT);
    dev.until_written("a word", |_, err| err.contains("may finish").then_some(()))
        .await;
    std::fs::write(&go, "").expect("the directory can be written");
    let finished = dev.finish().await.with_code(0);
    assert!(finished.stdout.ends_with("ended\n"), "{finished:?}");

    std::fs::remove_file(&go).expect("it was there");
    let mut dev = world.start(&["dev", &file, "--ephemeral"]);
    dev.until_written("output", |out, _| out.contains("begun").then_some(()))
        .await;
    dev.signal(Signal::SIGINT);
    dev.until_written("a word", |_, err| err.contains("may finish").then_some(()))
        .await;
    dev.signal(Signal::SIGINT);
    let finished = dev.finish().await;
    assert!(
        !finished.stdout.contains("ended") && finished.code != Some(0),
        "{finished:?}"
    );
}

#[tokio::test]
async fn a_taken_port_is_said_and_another_one_used() {
    let taken = until("port 3000 or somebody who has it", async || {
        TcpListener::bind(("127.0.0.1", 3000))
            .ok()
            .map(Some)
            .or(Some(None))
    })
    .await;
    let world = World::new();
    let file = world.command("say.yaml", "true");
    let finished = world
        .run(&["dev", &file, "--exit", "--ephemeral"])
        .await
        .with_code(0);
    assert!(finished.stderr.contains("port 3000 is taken"), "{finished:?}");
    drop(taken);

    let port = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let number = port.local_addr().expect("its address").port().to_string();
    // A port that was asked for is not replaced by another one.
    world
        .run(&["dev", &file, "--exit", "--ephemeral", "--port", &number])
        .await
        .with_code(1);
}
