//! What no text of the project may say.

use crate::sources::{Source, code_and_strings, has_word, under};

/// The rules themselves name what they forbid.
const RULES: &str = "xtask/tests/house/";

/// The one place that asks the databases for their time, and where the broker's clock comes from.
const DATABASE_CLOCK: &str = "crates/brokkr-broker/src/dal/db.rs";

/// Directories of the machines that the project was made on; a path that begins there means nothing elsewhere.
const MACHINE_DIRECTORIES: [&str; 5] = ["/work/", "/workspace/", "/root/.", "/home/runner/", "/tmp/bash"];

const SQL_CLOCKS_AND_DICE: [&str; 11] = [
    "now()",
    "current_timestamp",
    "current_time",
    "current_date",
    "localtimestamp",
    "clock_timestamp(",
    "unixepoch(",
    "strftime(",
    "('now'",
    "random()",
    "gen_random_uuid(",
];

fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

fn texts() -> Vec<Source> {
    let mut sources = under("");
    sources.retain(|source| !source.path.starts_with(RULES));
    sources
}

#[test]
fn no_text_names_a_path_of_somebodys_machine() {
    let names_machine = |line: &str| MACHINE_DIRECTORIES.iter().any(|path| begins_path(line, path));
    let offences: Vec<_> = texts()
        .iter()
        .flat_map(|source| source.offences(&source.text, names_machine))
        .collect();
    assert_none(&offences, "a path of one machine");
}

/// Whether `line` has `path` where a path begins, and not within a longer one.
fn begins_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-}/*".contains(letter))
    })
}

#[test]
fn nothing_is_noted_down_for_later() {
    let noted = |line: &str| ["TODO", "FIXME", "XXX"].iter().any(|word| has_word(line, word));
    let offences: Vec<_> = texts()
        .iter()
        .flat_map(|source| source.offences(&source.text, noted))
        .collect();
    assert_none(&offences, "what is to be done later belongs into the tracker");
}

#[test]
fn statements_read_neither_a_clock_nor_a_random_source() {
    let mut sources = under("crates/brokkr-broker/src/dal/");
    sources.extend(under("crates/brokkr-broker/migrations/"));
    sources.retain(|source| source.path != DATABASE_CLOCK);
    let offences: Vec<_> = sources
        .iter()
        .flat_map(|source| source.offences(&statements(source), reads))
        .collect();
    assert_none(
        &offences,
        "times, ids and randomness are parameters of a statement",
    );
}

#[test]
fn one_statement_asks_the_databases_for_their_time() {
    let mut sources = under(DATABASE_CLOCK);
    let source = sources
        .pop()
        .expect("the file with the database's clock is there");
    let lines = source.offences(&statements(&source), reads);
    assert_eq!(
        lines.len(),
        2,
        "one statement in two dialects, but there are:\n{}",
        lines.join("\n")
    );
}

fn reads(line: &str) -> bool {
    // A stopwatch tells how long, and not when.
    let line = line.to_lowercase().replace("instant::now()", "");
    SQL_CLOCKS_AND_DICE.iter().any(|banned| line.contains(banned))
}

fn statements(source: &Source) -> String {
    if source.is_rust() {
        return code_and_strings(&source.text);
    }
    let lines = source
        .text
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_machines_directory_is_told_from_a_directory_of_the_same_name() {
    assert!(begins_path("cd /work/main", "/work/"));
    assert!(!begins_path("https://example.org/net/work/main", "/work/"));
}
