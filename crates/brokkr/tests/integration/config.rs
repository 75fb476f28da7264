//! Where configuration and connections come from.

use crate::cli_help::holds;
use crate::world::World;

#[tokio::test]
async fn the_page_of_the_configuration_is_up_to_date() {
    holds("configuration.md", "configuration").await;
}

#[tokio::test]
async fn variables_win_over_the_file_and_secrets_are_masked() {
    let world = World::new();
    world.file(
        "brokkr.toml",
        "[http]\nlisten = \"127.0.0.1:1\"\n\n[agent]\nslots = 9\n",
    );
    let variables = [
        ("BROKKR__HTTP__LISTEN", "127.0.0.1:2"),
        ("BROKKR__DATABASE__URL", "postgres://me:secret@db/brokkr"),
    ];
    let shown = world
        .run_with(&variables, &["config", "show"])
        .await
        .with_code(0)
        .stdout;
    assert!(shown.contains("listen = \"127.0.0.1:2\""), "{shown}");
    assert!(shown.contains("# BROKKR__HTTP__LISTEN"), "{shown}");
    assert!(
        shown.contains("slots = 9") && shown.contains("brokkr.toml"),
        "{shown}"
    );
    assert!(
        shown.contains("postgres://me:***@db/brokkr") && !shown.contains("secret"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_is_shown_is_itself_a_configuration() {
    let world = World::new();
    let shown = world.run(&["config", "show"]).await.with_code(0).stdout;
    world.file("shown.toml", &shown);
    world
        .run(&["config", "show", "--config", "shown.toml"])
        .await
        .with_code(0);
}

#[tokio::test]
async fn unknown_keys_are_refused_by_name_wherever_they_stand() {
    let world = World::new();
    let finished = world
        .run_with(&[("BROKKR__AGENT__SLOTZ", "3")], &["config", "show"])
        .await
        .with_code(2);
    assert!(
        finished.stderr.contains("agent.slotz") && finished.stderr.contains("BROKKR__AGENT__SLOTZ"),
        "{finished:?}"
    );
    let file = world.file("wrong.toml", "[database]\nuri = \"sqlite:x\"\n");
    let finished = world.run(&["broker", "--config", &file]).await.with_code(2);
    assert!(
        finished.stderr.contains("database.uri") && finished.stderr.contains("wrong.toml"),
        "{finished:?}"
    );
}

#[tokio::test]
async fn without_a_broker_commands_say_how_to_name_one() {
    let finished = World::new().run(&["get", "orders"]).await.with_code(2);
    assert!(
        finished.stderr.contains("brokkr login") && finished.stderr.contains("brokkr dev"),
        "{finished:?}"
    );
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_exit_code_5() {
    let world = World::new();
    let variables = [
        ("BROKKR_BROKER", "http://127.0.0.1:9"),
        ("BROKKR_PAK", "brokkr_BRabcdefgh_abcdefghijkmnopqrstuvwxyz"),
    ];
    world.run_with(&variables, &["get", "orders"]).await.with_code(5);
    let order = "01980a0c-7e1f-7c3a-9d52-0242ac120002";
    world.run_with(&variables, &["wait", order]).await.with_code(5);
    let finished = world.run_with(&variables, &["doctor"]).await.with_code(1);
    assert!(
        finished.stdout.contains("BAD   broker") && finished.stdout.contains("fix:"),
        "{finished:?}"
    );
}

#[tokio::test]
async fn the_schema_can_be_brought_up_to_date_alone() {
    let world = World::new();
    let url = format!("sqlite:{}", world.path("alone.db").display());
    world
        .run(&["migrate", "--database-url", &url, "--status"])
        .await
        .with_code(2);
    world
        .run(&["migrate", "--database-url", &url, "--restored"])
        .await
        .with_code(2);
    let finished = world.run(&["migrate", "--database-url", &url]).await.with_code(0);
    assert!(finished.stdout.contains("applied 1"), "{finished:?}");
    let finished = world.run(&["migrate", "--database-url", &url]).await.with_code(0);
    assert!(finished.stdout.contains("up to date"), "{finished:?}");
    let finished = world
        .run(&["migrate", "--database-url", &url, "--restored"])
        .await
        .with_code(0);
    assert!(
        finished.stdout.contains("0 claims were taken back"),
        "{finished:?}"
    );
    world
        .run(&["migrate", "--database-url", &url, "--status"])
        .await
        .with_code(0);
}
