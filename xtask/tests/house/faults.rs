//! The fault table of docs/kubernetes.md says what people see; each row is held by the test that it names.

use crate::sources::under;

const TESTS: &str = "crates/brokkr-agent/tests/integration/manifests";

#[test]
fn every_row_of_the_fault_table_names_a_test_that_is_there() {
    let chapter = under("docs")
        .into_iter()
        .find(|source| source.path.ends_with("kubernetes.md"));
    let chapter = chapter.expect("docs/kubernetes.md").text;
    let tests: String = under(TESTS).into_iter().map(|source| source.text).collect();
    let rows = chapter
        .lines()
        .skip_while(|line| !line.starts_with("| the attempt is |"));
    let rows: Vec<&str> = rows.skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(
        rows.len() > 30,
        "the table is not where it was: {} rows",
        rows.len()
    );
    for row in rows {
        let test = row.trim_end_matches(" |").rsplit("| ").next().unwrap_or_default();
        let name = test.trim_matches('`');
        assert!(
            tests.contains(&format!("async fn {name}(")),
            "no test of this name: {row}"
        );
    }
}
