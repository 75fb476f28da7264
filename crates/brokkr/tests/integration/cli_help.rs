//! The help of every command is a page of the manual.

use std::path::{Path, PathBuf};

use crate::world::World;

/// Set it to write the pages anew.
const UPDATE: &str = "BROKKR_UPDATE_DOCS";

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

/// The page in the repository is what the binary prints.
pub(crate) async fn holds(name: &str, which: &str) {
    let printed = World::new()
        .run(&["internal", "reference", which])
        .await
        .with_code(0)
        .stdout;
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(page(name), &printed).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(page(name)).unwrap_or_default();
    assert!(
        kept == printed,
        "docs/{name} is out of date; write it anew with {UPDATE}=1"
    );
}

#[tokio::test]
async fn the_page_of_commands_is_up_to_date() {
    holds("commands.md", "commands").await;
}

#[tokio::test]
async fn without_arguments_the_help_is_shown_as_a_usage_error() {
    let finished = World::new().run(&[]).await.with_code(2);
    assert!(finished.stderr.contains("Usage: brokkr"), "{finished:?}");
}

#[tokio::test]
async fn completions_are_written_for_shells() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run(&["completion", shell]).await.with_code(0).stdout;
        assert!(script.contains("submit"), "{shell}");
    }
}

#[tokio::test]
async fn an_unknown_flag_is_a_usage_error() {
    World::new()
        .run(&["get", "orders", "--nonsense"])
        .await
        .with_code(2);
}
