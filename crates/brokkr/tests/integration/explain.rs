//! Why orders are where they are, as people ask for it. SQLite, one broker, one agent.

use serde_json::{Value, json};

use crate::world::{AgentProcess, BrokerProcess, Database, Finished, World, until};

struct Setting {
    world: World,
    broker: BrokerProcess,
    _agent: AgentProcess,
}

impl Setting {
    async fn new() -> Setting {
        let world = World::new();
        let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
        let agent = broker.agent(&world, "runner", "production").await;
        Setting {
            world,
            broker,
            _agent: agent,
        }
    }

    async fn run(&self, args: &[&str]) -> Finished {
        self.broker.run(&self.world, args).await
    }

    /// What is said about an order, once the broker knows what the agent can do.
    async fn explained(&self, order: &str, code: &str) -> Value {
        until(code, async || {
            let told = self.run(&["explain", order, "-o", "json"]).await;
            let told = told.with_code(0).json();
            (told["reasons"][0]["code"] == code).then_some(told)
        })
        .await
    }
}

#[tokio::test]
async fn an_order_that_nobody_can_run_is_warned_of_and_explained_with_the_nearest_agent() {
    let setting = Setting::new().await;
    let file = setting.world.command("say.yaml", "true");
    let submitted = setting
        .run(&["submit", "-f", &file, "-l", "prodution"])
        .await
        .with_code(0);
    assert!(
        submitted.stderr.contains("warning: nobody can run this yet.")
            && submitted.stderr.contains("the label production"),
        "{submitted:?}"
    );
    let order = submitted.order();
    let told = setting.run(&["explain", &order]).await.with_code(0).stdout;
    assert!(
        told.contains(&format!("order/{order} is PENDING since"))
            && told.contains("no_matching_agent")
            && told.contains("has the label production, not the label prodution")
            && told.contains("-> Give an agent"),
        "{told}"
    );
    let matching = setting
        .run(&["submit", "-f", &file, "-l", "production", "--wait"])
        .await
        .with_code(0);
    assert!(!matching.stderr.contains("warning"), "{matching:?}");
    setting
        .run(&["explain", "00000000-0000-0000-0000-000000000000"])
        .await
        .with_code(1);
}

#[tokio::test]
async fn a_dry_run_checks_the_order_and_tells_who_could_run_it_and_submits_nothing() {
    let setting = Setting::new().await;
    let file = setting.world.command("say.yaml", "true");
    let dry_run = async |label: &str, file: &str, more: &[&str]| {
        let submit = ["submit", "-f", file, "-l", label, "--dry-run"];
        setting.run(&[&submit, more].concat()).await
    };
    until("an agent that has reported", async || {
        let told = dry_run("production", &file, &["-o", "json"]).await;
        let told = told.with_code(0).json();
        (told["reasons"][0]["code"] == "claimable").then_some(())
    })
    .await;
    let told = dry_run("production", &file, &[]).await.with_code(0);
    assert!(
        told.stdout.contains("1 of 1 matching agents could claim it now.")
            && told.stdout.contains("runner/default has"),
        "{told:?}"
    );
    let other_type = dry_run("production", &file, &["--type", "build"]).await;
    let other_type = other_type.with_code(0).stdout;
    assert!(other_type.contains("work_type_not_run"), "{other_type}");
    let nobody = dry_run("nobody", &file, &[]).await.with_code(0);
    assert!(
        nobody
            .stdout
            .contains("0 of 0 matching agents could claim it now.")
            && nobody.stderr.contains("warning: nobody can run this yet."),
        "{nobody:?}"
    );
    let refused = dry_run("production", &file, &["--priority", "1000"]).await;
    let refused = refused.with_code(1);
    assert!(refused.stderr.contains("invalid_work_order"), "{refused:?}");
    let all = setting.run(&["get", "orders", "--all", "-o", "json"]).await;
    assert_eq!(all.with_code(0).json(), json!([]));
}

#[tokio::test]
async fn an_order_is_explained_while_it_waits_while_it_runs_and_when_it_has_ended() {
    let setting = Setting::new().await;
    setting.run(&["pause", "agent", "runner"]).await.with_code(0);
    let go = setting.world.path("go");
    let wait = format!(
        "n=0; while [ ! -e {} ] && [ $n -lt 1200 ]; do sleep 0.05; n=$((n+1)); done; exit 7",
        go.display()
    );
    let file = setting.world.command("wait.yaml", &wait);
    let submitted = setting.run(&["submit", "-f", &file, "-l", "production"]).await;
    let submitted = submitted.with_code(0);
    assert!(!submitted.stderr.contains("warning"), "{submitted:?}");
    let order = submitted.order();
    let paused = setting.explained(&order, "agent_inactive").await;
    assert_eq!(paused["reasons"][0]["agents"][0]["name"], "runner/default");

    setting.run(&["resume", "agent", "runner"]).await.with_code(0);
    let running = setting.explained(&order, "running").await;
    assert_eq!(running["attempts"][0]["attempt"], 1);

    std::fs::write(go, "").expect("the directory can be written");
    setting.run(&["wait", &order]).await.with_code(1);
    let told = setting.run(&["explain", &order]).await.with_code(0).stdout;
    assert!(
        told.contains("is FAILED since")
            && told.contains("Attempt 1 at agent runner/default failed (class work) with exit code 7")
            && told.contains("is not tried again, since the order's retry_on is infrastructure")
            && told.contains(&format!("brokkr retry {order}"))
            && told.contains("Attempts:"),
        "{told}"
    );
}

#[tokio::test]
async fn an_agent_shows_its_slots_types_and_version() {
    let setting = Setting::new().await;
    let wide = until("an agent that has reported", async || {
        let wide = setting.run(&["get", "agents", "-o", "wide"]).await;
        let wide = wide.with_code(0).stdout;
        wide.contains("command").then_some(wide)
    })
    .await;
    assert!(wide.contains("RUNNING") && wide.contains("0 of "), "{wide}");
    let told = setting.run(&["describe", "agent", "runner"]).await;
    let told = told.with_code(0).stdout;
    for field in ["Running:", "Types:", "Version:", "Reported:"] {
        assert!(told.contains(field), "{field} {told}");
    }
}
