//! Which module may know which, and what no module may contain.

use crate::sources::{Source, code, has_word, rust_under, words};

const BROKER: &str = "crates/brokkr-broker/src/";

/// The files in which the two databases are told apart.
const DIALECT_FILES: [&str; 8] = [
    "db.rs",
    "error.rs",
    "migrate.rs",
    "mod.rs",
    "row.rs",
    "sql.rs",
    "tx.rs",
    "value.rs",
];

const LINES_MAX: usize = 500;

fn offences(sources: &[Source], offends: impl Fn(&str) -> bool) -> Vec<String> {
    sources
        .iter()
        .flat_map(|source| source.offences(&code(&source.text), &offends))
        .collect()
}

fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

fn broker_module(name: &str) -> Vec<Source> {
    rust_under(&format!("{BROKER}{name}"))
}

/// `name` as the beginning of a path or within a `use`, not as a variable.
fn mentions_module(line: &str, name: &str) -> bool {
    let within_use = line.trim_start().starts_with("use ") || line.trim_start().starts_with("pub use ");
    has_word(line, name) && (within_use || line.contains(&format!("{name}::")))
}

fn assert_unknown_to(module: &str, unknown: &str, rule: &str) {
    let offences = offences(&broker_module(module), |line| mentions_module(line, unknown));
    assert_none(&offences, rule);
}

#[test]
fn the_http_words_do_not_know_the_sql_words() {
    assert_unknown_to("api/", "dal", "api/ reaches storage only through app/");
}

#[test]
fn the_sql_words_know_nothing_above_them() {
    assert_unknown_to("dal/", "app", "dal/ does not know the use cases");
    assert_unknown_to("dal/", "api", "dal/ does not know HTTP");
}

#[test]
fn the_use_cases_do_not_know_the_http_words() {
    assert_unknown_to("app/", "api", "app/ does not know HTTP");
    assert_unknown_to("app/", "axum", "app/ does not know HTTP");
}

#[test]
fn the_html_words_do_not_know_the_sql_words() {
    assert_unknown_to("console/", "dal", "console/ reaches storage only through app/");
    assert_unknown_to("app/", "console", "app/ does not know HTML");
}

#[test]
fn the_sweeps_do_not_know_the_sql_words() {
    assert_unknown_to("tasks/", "dal", "tasks/ reach storage only through app/");
}

#[test]
fn the_sql_words_take_time_and_randomness_as_parameters() {
    let offences = offences(&broker_module("dal/"), |line| {
        line.contains("Utc::now")
            || words(line).any(|word| {
                matches!(
                    word,
                    "SystemTime" | "getrandom" | "rand" | "new_v4" | "now_v7" | "Clock" | "Random"
                )
            })
    });
    assert_none(&offences, "dal/ reads neither a clock nor a random source");
}

#[test]
fn the_databases_are_told_apart_in_the_base_of_the_sql_words_only() {
    let mut sources = rust_under("crates/");
    sources.retain(|source| source.path.contains("/src/") && !is_dialect_file(&source.path));
    let offences = offences(&sources, |line| {
        line.contains("Dialect::") && !has_word(line, "use")
    });
    assert_none(&offences, "a statement that differs is an Sql::per_dialect");
}

fn is_dialect_file(path: &str) -> bool {
    DIALECT_FILES
        .iter()
        .any(|file| path == format!("{BROKER}dal/{file}"))
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    let mut paths: Vec<String> = rust_under("").into_iter().map(|source| source.path).collect();
    paths.retain(|path| {
        let mut names = path.trim_end_matches(".rs").split('/');
        names.any(|name| matches!(name, "common" | "helper" | "helpers" | "misc" | "util" | "utils"))
    });
    assert_none(&paths, "a module is named for what it is about");
}

#[test]
fn nothing_is_switched_off_or_left_for_later() {
    let offences = offences(&rust_under(""), |line| {
        ["#[ignore", "#[allow(", "#![allow(", "todo!", "unimplemented!"]
            .iter()
            .any(|banned| line.contains(banned))
    });
    assert_none(
        &offences,
        "a test runs, a lint is expected with a reason, and code is finished",
    );
}

#[test]
fn no_file_is_longer_than_its_noun_needs() {
    let long: Vec<String> = rust_under("")
        .iter()
        .filter(|source| source.text.lines().count() > LINES_MAX)
        .map(|source| format!("{} has {} lines", source.path, source.text.lines().count()))
        .collect();
    assert_none(&long, "a file that grows this long holds two things");
}
