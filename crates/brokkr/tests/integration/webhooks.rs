//! `brokkr webhook`, as people use it.

use serde_json::{Value, json};

use crate::world::{BrokerProcess, Database, Finished, World};

struct Commands {
    world: World,
    broker: BrokerProcess,
}

impl Commands {
    async fn new() -> Commands {
        let world = World::new();
        world.allow_webhooks_here();
        let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
        Commands { world, broker }
    }

    /// Runs a command, whose words have spaces between them and none in them.
    async fn run(&self, line: &str) -> Finished {
        let words: Vec<_> = line.split(' ').collect();
        self.broker.run(&self.world, &words).await
    }

    async fn said(&self, line: &str) -> String {
        self.run(line).await.with_code(0).stdout
    }

    async fn shown(&self, name: &str) -> Value {
        let line = format!("get webhook {name} -o json");
        self.run(&line).await.with_code(0).json()
    }
}

/// Those members of a webhook.
fn members(webhook: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| webhook[*name].clone()).collect()
}

#[tokio::test]
async fn a_webhook_is_changed_by_what_is_said_and_keeps_the_rest() {
    let commands = Commands::new().await;
    commands
        .run("create agent runner --cluster here --save-pak runner.pak")
        .await
        .with_code(0);
    commands
        .run("create webhook bot --url http://127.0.0.1:9/a -e work_order.failed -l gpu --agent runner")
        .await
        .with_code(0);
    let before = commands.shown("bot").await;
    commands.world.file("auth", "Bearer of news\n");

    let line = "webhook update bot --name scout --url http://127.0.0.1:9/b --auth-header-file auth";
    assert_eq!(commands.said(line).await, "webhook/scout updated\n");
    let after = commands.shown("scout").await;
    let changed = ["name", "url", "has_auth_header"];
    assert_eq!(
        members(&after, &changed),
        json!(["scout", "http://127.0.0.1:9/b", true])
    );
    let kept = ["id", "event_types", "labels", "agent_ids", "position"];
    assert_eq!(members(&after, &kept), members(&before, &kept));

    commands
        .said("webhook update scout -e work_order.* -e agent.paused -l prod --any-agent --no-auth-header")
        .await;
    let after = commands.shown("scout").await;
    let changed = ["event_types", "labels", "agent_ids", "has_auth_header"];
    assert_eq!(
        members(&after, &changed),
        json!([["work_order.*", "agent.paused"], ["prod"], [], false])
    );
    commands.said("webhook update scout --any-label").await;
    assert_eq!(commands.shown("scout").await["labels"], json!([]));
}

#[tokio::test]
async fn a_change_of_a_webhook_that_makes_no_sense_is_refused_with_the_reason() {
    let commands = Commands::new().await;
    commands
        .run("create webhook bot --url http://127.0.0.1:9/a -e *")
        .await
        .with_code(0);
    for (line, code, reason) in [
        ("webhook update bot", 2, "required arguments"),
        ("webhook update bot -l gpu --any-label", 2, "cannot be used with"),
        ("webhook replay bot", 2, "--since"),
        ("webhook replay bot --since 1h --delivery x", 2, "--delivery"),
        ("webhook update bot -e nothing.*", 1, "nothing.*"),
        ("webhook update bot --url ftp://127.0.0.1", 1, "https://"),
        ("webhook update other --any-label", 2, "there is no webhook other"),
    ] {
        let refused = commands.run(line).await;
        assert_eq!(refused.code, Some(code), "{line}: {refused:?}");
        assert!(refused.stderr.contains(reason), "{line}: {refused:?}");
    }
}

#[tokio::test]
async fn a_disabled_webhook_says_by_whom_and_is_told_nothing_until_it_is_enabled() {
    let commands = Commands::new().await;
    commands
        .run("create webhook bot --url http://127.0.0.1:9/a -e *")
        .await
        .with_code(0);
    assert_eq!(
        commands.said("webhook disable bot").await,
        "webhook/bot disabled\n"
    );
    let listed = commands.said("get webhooks").await;
    assert!(
        listed.contains(" disabled ") && listed.contains("disabled by admin:"),
        "{listed}"
    );
    let refused = commands.run("webhook test bot").await;
    assert!(refused.stderr.contains("enable it first"), "{refused:?}");

    commands.said("webhook enable bot --skip-missed").await;
    let tested = commands.run("webhook test bot").await;
    assert_eq!(tested.code, Some(1), "nobody is there: {tested:?}");
    assert!(tested.stderr.contains("webhook/bot: "), "{tested:?}");
    commands.run("delete webhook bot").await.with_code(0);
    let listed = commands.run("get webhooks").await.with_code(0);
    assert!(listed.stderr.contains("brokkr create webhook"), "{listed:?}");
}
