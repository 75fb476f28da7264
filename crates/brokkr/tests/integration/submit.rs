//! Submitting, watching and ending orders with the commands for people. SQLite, one broker, one agent.

mod many;

use std::path::PathBuf;

use crate::world::{AgentProcess, BrokerProcess, Database, World, example, until};

struct Setting {
    world: World,
    broker: BrokerProcess,
    _agent: AgentProcess,
}

impl Setting {
    async fn new() -> Setting {
        let world = World::new();
        let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
        let agent = broker.agent(&world, "runner", "test").await;
        Setting {
            world,
            broker,
            _agent: agent,
        }
    }

    async fn run(&self, args: &[&str]) -> crate::world::Finished {
        self.broker.run(&self.world, args).await
    }

    /// A command that runs until the file `go` exists, for half a minute at most.
    fn waiting_command(&self, name: &str, then: &str) -> (String, PathBuf) {
        let go = self.world.path(&format!("{name}.go"));
        let wait = format!(
            "n=0; while [ ! -e {} ] && [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); done",
            go.display()
        );
        (
            self.world.command(name, &format!("echo begun\n{wait}\n{then}")),
            go,
        )
    }
}

#[tokio::test]
async fn following_an_order_prints_exactly_its_output_and_leaves_with_its_exit_code() {
    let setting = Setting::new().await;
    let file = setting.world.command(
        "say.yaml",
        "echo one\nsleep 0.2\necho two\necho oops >&2\nprintf end",
    );
    let finished = setting
        .run(&["submit", "-f", &file, "-l", "test", "--follow"])
        .await
        .with_code(0);
    assert_eq!(finished.stdout, "one\ntwo\nend");
    assert!(
        finished.stderr.contains("oops\n") && finished.stderr.contains("succeeded"),
        "{finished:?}"
    );
    let logs = setting.run(&["logs", &finished.order()]).await.with_code(0);
    assert_eq!(
        (logs.stdout.as_str(), logs.stderr.as_str()),
        ("one\ntwo\nend", "oops\n")
    );
}

#[tokio::test]
async fn every_example_does_what_it_says() {
    let setting = Setting::new().await;
    for (name, code, says) in [
        ("hello.yaml", 0, "Good bye."),
        ("fails.yaml", 1, "looking for the answer"),
        ("migration-like.yaml", 0, "schema is at version 43"),
        ("stdin.yaml", 0, "100 hundred\n20 twenty\n3 three\n"),
    ] {
        let finished = setting
            .run(&["submit", "-f", &example(name), "-l", "test", "--follow"])
            .await
            .with_code(code);
        assert!(finished.stdout.contains(says), "{name}: {finished:?}");
    }
}

#[tokio::test]
async fn a_failure_keeps_its_exit_code_and_is_final() {
    let setting = Setting::new().await;
    let file = setting.world.command("fail.yaml", "exit 7");
    let order = setting
        .run(&["submit", "-f", &file, "-l", "test", "--wait"])
        .await
        .with_code(1)
        .order();
    let entry = setting
        .run(&["get", "log", &order, "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(
        (&entry["ending"], &entry["exit_code"], &entry["attempt"]),
        (&"failed".into(), &7.into(), &1.into())
    );
    let described = setting
        .run(&["describe", "order", &order])
        .await
        .with_code(0)
        .stdout;
    assert!(
        described.contains("Exit code:") && described.contains("exit 7"),
        "{described}"
    );
}

#[tokio::test]
async fn a_running_order_is_cancelled_and_its_command_may_tidy_up() {
    let setting = Setting::new().await;
    let file = example("slow.yaml");
    let mut following = setting
        .broker
        .begin(&setting.world, &["submit", "-f", &file, "-l", "test", "--follow"]);
    following
        .until_written("output", |out, _| out.contains("second 0").then_some(()))
        .await;
    let order = following.until_written("the order", |_, err| {
        err.split_whitespace()
            .find_map(|word| word.strip_prefix("order/").map(str::to_owned))
    });
    let order = order.await;
    setting
        .run(&["cancel", &order, "--reason", "enough", "--wait"])
        .await
        .with_code(3);
    let finished = following.finish().await.with_code(3);
    assert!(finished.stdout.contains("told to stop"), "{finished:?}");
    let attempts = setting
        .run(&["get", "attempts", &order, "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(
        (attempts.as_array().map(Vec::len), &attempts[0]["ending"]),
        (Some(1), &"cancelled".into())
    );
    setting.run(&["cancel", &order]).await.with_code(1);
}

#[tokio::test]
async fn what_nobody_starts_in_time_expires() {
    let setting = Setting::new().await;
    let file = setting.world.command("late.yaml", "true");
    let args = [
        "submit",
        "-f",
        &file,
        "-l",
        "nobody",
        "--start-by",
        "+1s",
        "--wait",
    ];
    let finished = setting.run(&args).await.with_code(4);
    assert!(finished.stderr.contains("expired"), "{finished:?}");
}

#[tokio::test]
async fn of_several_orders_the_gravest_counts_and_lines_tell_whose_they_are() {
    let setting = Setting::new().await;
    let good = setting.world.command("good.yaml", "echo fine");
    let bad = setting.world.command("bad.yaml", "echo wrong; exit 3");
    let finished = setting
        .run(&["submit", "-f", &good, "-f", &bad, "-l", "test", "--follow"])
        .await
        .with_code(1);
    assert!(
        finished.stdout.contains("good.yaml | fine\n") && finished.stdout.contains("bad.yaml | wrong\n"),
        "{finished:?}"
    );
}

#[tokio::test]
async fn mistakes_are_told_before_anything_is_sent() {
    let setting = Setting::new().await;
    let good = setting.world.command("good.yaml", "true");
    let broken = setting.world.file("broken.yaml", "kind: [Command\napiVersion\n");
    let finished = setting
        .run(&["submit", "-f", &good, "-f", &broken, "-l", "test"])
        .await
        .with_code(2);
    assert!(finished.stderr.contains("broken.yaml:"), "{finished:?}");
    setting.run(&["submit", "-f", &good]).await.with_code(2);
    setting
        .run(&["submit", "-f", &good, "--agent", "nobody"])
        .await
        .with_code(2);
    let all = setting
        .run(&["get", "orders", "--all", "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(all, serde_json::json!([]));
}

#[tokio::test]
async fn the_same_key_submits_one_order_and_a_retry_is_a_new_one() {
    let setting = Setting::new().await;
    let file = setting.world.command("once.yaml", "echo once");
    let args = [
        "submit",
        "-f",
        &file,
        "--agent",
        "runner",
        "--idempotency-key",
        "deploy-7",
        "--wait",
    ];
    let first = setting.run(&args).await.with_code(0).order();
    assert_eq!(setting.run(&args).await.with_code(0).order(), first);
    let again = setting
        .run(&["retry", &first, "--wait"])
        .await
        .with_code(0)
        .order();
    assert_ne!(again, first);
    let order = setting
        .run(&["get", "order", &again, "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(order["retry_of"], first.as_str());
}

#[tokio::test]
async fn orders_agents_and_names_come_in_every_form() {
    let setting = Setting::new().await;
    let (file, go) = setting.waiting_command("wait.yaml", "true");
    let order = setting
        .run(&["submit", "-f", &file, "-l", "test", "-o", "name"])
        .await
        .with_code(0)
        .order();
    until("the order runs", async || {
        let shown = setting.run(&["get", "orders"]).await.with_code(0).stdout;
        (shown.contains(&order) && shown.contains("CLAIMED") && shown.contains("runner")).then_some(())
    })
    .await;
    let names = setting
        .run(&["get", "orders", "-o", "name"])
        .await
        .with_code(0)
        .stdout;
    assert_eq!(names, format!("order/{order}\n"));
    let yaml = setting
        .run(&["get", "order", &format!("order/{order}"), "-o", "yaml"])
        .await
        .with_code(0)
        .stdout;
    assert!(yaml.contains("status: CLAIMED"), "{yaml}");
    let described = setting
        .run(&["describe", "agent", "runner"])
        .await
        .with_code(0)
        .stdout;
    assert!(
        described.contains("test") && described.contains(&order),
        "{described}"
    );
    std::fs::write(go, "").expect("the directory can be written");
    setting
        .run(&["wait", &format!("order/{order}")])
        .await
        .with_code(0);
    let shown = setting.run(&["get", "orders"]).await.with_code(0);
    assert!(
        shown.stdout.is_empty() && shown.stderr.contains("brokkr get log"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn a_paused_agent_claims_nothing_until_it_is_resumed() {
    let setting = Setting::new().await;
    setting.run(&["pause", "agent", "runner"]).await.with_code(0);
    let file = setting.world.command("say.yaml", "echo done");
    let finished = setting
        .run(&["submit", "-f", &file, "-l", "test", "--wait", "--timeout", "2s"])
        .await
        .with_code(1);
    assert!(finished.stderr.contains("waits for an agent"), "{finished:?}");
    setting.run(&["resume", "agent", "runner"]).await.with_code(0);
    setting.run(&["wait", &finished.order()]).await.with_code(0);
}

#[tokio::test]
async fn labels_and_annotations_come_and_go() {
    let setting = Setting::new().await;
    setting
        .run(&["label", "agent", "runner", "gpu", "test-"])
        .await
        .with_code(0);
    setting
        .run(&["annotate", "agent", "runner", "region=eu"])
        .await
        .with_code(0);
    setting
        .run(&["annotate", "agent", "runner", "region=us"])
        .await
        .with_code(1);
    setting
        .run(&["annotate", "agent", "runner", "region=us", "--overwrite"])
        .await
        .with_code(0);
    let described = setting
        .run(&["describe", "agent", "runner/default"])
        .await
        .with_code(0)
        .stdout;
    assert!(
        described.contains("gpu") && described.contains("region=us") && !described.contains("test"),
        "{described}"
    );
    let file = setting.world.command("say.yaml", "true");
    setting
        .run(&["submit", "-f", &file, "--annotation", "region=us", "--wait"])
        .await
        .with_code(0);
}

#[tokio::test]
async fn credentials_are_made_replaced_and_deleted() {
    let setting = Setting::new().await;
    let pak = setting
        .run(&["create", "pak", "wall", "--role", "viewer"])
        .await
        .with_code(0)
        .stdout;
    let login = [
        "login",
        "--broker",
        &setting.broker.url(),
        "--name",
        "wall",
        "--pak-file",
    ];
    let file = setting.world.file("viewer.pak", &pak);
    setting
        .world
        .run(&[login.as_slice(), &[&file]].concat())
        .await
        .with_code(0);
    // From here on the context is enough.
    setting.world.run(&["get", "agents"]).await.with_code(0);
    let refused = setting
        .world
        .run(&["pause", "agent", "runner"])
        .await
        .with_code(1);
    assert!(refused.stderr.contains("read_only"), "{refused:?}");
    let listed = setting.world.run(&["context", "list"]).await.with_code(0).stdout;
    assert!(listed.contains("* wall"), "{listed}");
    let short = pak
        .trim()
        .trim_start_matches("brokkr_BR")
        .split('_')
        .next()
        .unwrap_or_default()
        .to_owned();
    setting.run(&["delete", "pak", &short]).await.with_code(0);
    setting.world.run(&["get", "agents"]).await.with_code(1);

    setting.run(&["create", "generator", "ci"]).await.with_code(0);
    let first = setting
        .run(&["rotate-pak", "generator", "ci"])
        .await
        .with_code(0)
        .stdout;
    assert!(first.starts_with("brokkr_BR"), "{first}");
    setting.run(&["delete", "generator", "ci"]).await.with_code(0);
}
