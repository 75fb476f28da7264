use brokkr_broker::dal::migrate::{self, MigrationError};
use brokkr_broker::dal::{Db, Sql};
use brokkr_testkit::db::test_options;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

async fn execute(db: &Db, sql: &'static Sql) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(sql, vec![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn an_empty_database_has_everything_pending_and_then_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::empty(backend).await;
    let before = migrate::status(&db).await.unwrap();
    assert!(before.applied.is_empty());
    assert_eq!(before.pending.first(), Some(&(1, "initial")));

    migrate::run(&db).await.unwrap();

    let after = migrate::status(&db).await.unwrap();
    assert_eq!(after.applied.len(), before.pending.len());
    assert!(after.pending.is_empty());
    assert_eq!(after.newer(), None);
}

#[rstest]
#[tokio::test]
async fn brokers_that_start_together_migrate_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::empty(backend).await;
    let (second, third) = (
        db.connect(&test_options()).await,
        db.connect(&test_options()).await,
    );

    let (one, two, three) = tokio::join!(migrate::run(&db), migrate::run(&second), migrate::run(&third));

    one.unwrap();
    two.unwrap();
    three.unwrap();
    assert!(migrate::status(&third).await.unwrap().pending.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_schema_from_a_newer_broker_is_refused_with_advice(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    static FROM_THE_FUTURE: Sql = Sql::shared(
        "tests.from_the_future",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         SELECT 999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    );
    let db = TestDb::start(backend).await;
    execute(&db, &FROM_THE_FUTURE).await;

    let refused = migrate::run(&db).await.unwrap_err();

    assert!(
        matches!(refused, MigrationError::Newer { found: 999, .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("run the newer brokkr"));
    assert_eq!(migrate::status(&db).await.unwrap().newer(), Some(999));
}

#[rstest]
#[tokio::test]
async fn a_schema_that_another_build_made_is_refused(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    static ALTERED: Sql = Sql::per_dialect(
        "tests.altered",
        "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1",
        "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1",
    );
    let db = TestDb::start(backend).await;
    execute(&db, &ALTERED).await;

    let refused = migrate::run(&db).await.unwrap_err();

    assert!(
        matches!(refused, MigrationError::Changed { version: 1 }),
        "{refused:?}"
    );
}
