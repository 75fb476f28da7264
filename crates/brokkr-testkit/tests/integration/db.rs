use brokkr_broker::dal::{Db, migrate};
use brokkr_testkit::Backend::{Postgres, Sqlite};
use brokkr_testkit::db::test_options;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

#[rstest]
#[tokio::test]
async fn a_test_database_has_the_whole_schema(#[values(Postgres, Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    assert!(migrate::status(&db).await.unwrap().pending.is_empty());
}

#[rstest]
#[tokio::test]
async fn an_empty_test_database_has_no_schema(#[values(Postgres, Sqlite)] backend: Backend) {
    let db = TestDb::empty(backend).await;
    assert!(migrate::status(&db).await.unwrap().applied.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_test_database_is_gone_once_it_is_dropped(#[values(Postgres, Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let url = db.url().to_owned();
    assert!(db.connect(&test_options()).await.ping().await.is_ok());

    drop(db);

    assert!(Db::connect(&url, &test_options()).await.is_err());
}
