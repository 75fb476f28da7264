use std::collections::BTreeSet;

use brokkr_broker::dal::all_statements;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

#[rstest]
#[tokio::test]
async fn the_database_understands_every_statement(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut refused = Vec::new();
    for sql in all_statements() {
        if let Err(error) = db.prepare_check(sql).await {
            refused.push(format!("{}: {:?}", sql.name(), error));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn no_two_statements_have_the_same_name() {
    let mut names = BTreeSet::new();
    for sql in all_statements() {
        assert!(names.insert(sql.name()), "{} is used twice", sql.name());
    }
}
