//! The tables of the documents whose last column is `test` say what holds; each row is held by the tests that it names.

use crate::sources::{rust_under, under};

/// How many rows the tables of a document have at least: a table that is not found holds nothing.
const DOCUMENTS: [(&str, usize); 3] = [
    ("docs/explain.md", 10),
    ("docs/kubernetes.md", 30),
    ("docs/reliability.md", 40),
];

/// Where tests are.
const TESTS: [&str; 2] = ["crates/", "xtask/tests/"];

#[test]
fn every_row_of_a_table_of_tests_names_tests_that_are_there() {
    let sources: Vec<_> = TESTS.into_iter().flat_map(rust_under).collect();
    let is_test = |name: &str| {
        let head = format!("fn {name}(");
        sources.iter().any(|source| source.text.contains(&head))
    };
    for (document, rows_min) in DOCUMENTS {
        let text = under(document).pop().expect(document).text;
        let rows = rows_with_tests(&text);
        assert!(
            rows.len() >= rows_min,
            "the tables of {document} are not where they were: {} rows",
            rows.len()
        );
        for row in rows {
            let names = names_in(row);
            assert!(!names.is_empty(), "{document}: no test holds this: {row}");
            for name in names {
                assert!(is_test(name), "{document}: there is no test `{name}`: {row}");
            }
        }
    }
}

/// The rows of every table whose last column is `test`.
fn rows_with_tests(text: &str) -> Vec<&str> {
    let mut rows = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('|') && last_cell(line) == "test" {
            let table = lines.by_ref().take_while(|line| line.starts_with('|'));
            // The first is the rule below the head.
            rows.extend(table.skip(1));
        }
    }
    rows
}

fn last_cell(row: &str) -> &str {
    let row = row.trim_end().trim_end_matches('|');
    row.rsplit('|').next().unwrap_or_default().trim()
}

/// What stands between backquotes in the last cell.
fn names_in(row: &str) -> Vec<&str> {
    last_cell(row).split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_names_of_tests_are_found_in_their_column_only() {
    let text =
        "| a | `b` | test |\n|---|---|---|\n| `c` | d | `e`, `f` |\n\n| a | b |\n|---|---|\n| `g` | `h` |\n";
    let rows = rows_with_tests(text);
    assert_eq!(rows, ["| `c` | d | `e`, `f` |"]);
    assert_eq!(names_in(rows[0]), ["e", "f"]);
    assert!(names_in("| a fault | what comes of it | |").is_empty());
}
