use std::time::Duration;

use brokkr_broker::dal::agents;
use brokkr_broker::dal::generators::{self, GeneratorChanges};
use brokkr_broker::dal::{ConstraintKind, DalError, Db, DbOptions, Sql};
use brokkr_testkit::db::test_options;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

use super::samples::{agent, agent_id, at, create_agents, create_generator};

#[rstest]
#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    drop(tx);

    let mut tx = db.read().await.unwrap();
    assert_eq!(agents::get(&mut tx, agent_id(1)).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn readers_do_not_see_what_is_not_committed(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut writing = db.begin().await.unwrap();
    create_agents(&mut writing, 1).await;

    let mut reading = db.read().await.unwrap();
    assert_eq!(agents::get(&mut reading, agent_id(1)).await.unwrap(), None);
    writing.commit().await.unwrap();
    assert!(agents::get(&mut reading, agent_id(1)).await.unwrap().is_some());
}

#[rstest]
#[tokio::test]
async fn after_a_failed_statement_nothing_more_is_done_and_nothing_is_kept(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    agents::create(&mut tx, &agent(1), at(0)).await.unwrap_err();

    let next = agents::get(&mut tx, agent_id(1)).await.unwrap_err();
    assert!(
        matches!(
            next,
            DalError::Aborted {
                operation: "agents.get"
            }
        ),
        "{next:?}"
    );
    let commit = tx.commit().await.unwrap_err();
    assert!(matches!(commit, DalError::Aborted { .. }), "{commit:?}");

    let mut tx = db.read().await.unwrap();
    assert_eq!(agents::get(&mut tx, agent_id(1)).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn a_transaction_that_the_database_ended_by_itself_is_not_in_the_next_ones_way(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    static FULL_DISK: Sql = Sql::shared("tests.full_disk", "ROLLBACK");
    let db = TestDb::start(backend).await;
    for _ in 0..8 {
        let mut tx = db.begin().await.unwrap();
        tx.execute(&FULL_DISK, vec![]).await.unwrap();
    }

    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    tx.commit().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn one_that_only_reads_cannot_write(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.read().await.unwrap();

    agents::create(&mut tx, &agent(1), at(0)).await.unwrap_err();

    let mut tx = db.read().await.unwrap();
    assert_eq!(agents::get(&mut tx, agent_id(1)).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn a_nul_character_is_refused_before_it_reaches_the_database(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let generator = create_generator(&mut tx, 1).await;
    let changes = GeneratorChanges {
        description: Some("nul\0nul".to_owned()),
        ..GeneratorChanges::default()
    };

    let refused = generators::update(&mut tx, generator.id, &changes, at(1))
        .await
        .unwrap_err();

    assert!(
        matches!(
            refused,
            DalError::NulCharacter {
                statement: "generators.update"
            }
        ),
        "{refused:?}"
    );
}

#[rstest]
#[tokio::test]
async fn a_value_that_makes_no_sense_is_named_by_statement_and_column(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    static SPOIL: Sql = Sql::shared("tests.spoil", "UPDATE agents SET name = ' '");
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    tx.execute(&SPOIL, vec![]).await.unwrap();

    let corrupt = agents::get(&mut tx, agent_id(1)).await.unwrap_err();

    assert!(
        matches!(
            corrupt,
            DalError::Corrupt {
                statement: "agents.get",
                column: "name",
                ..
            }
        ),
        "{corrupt:?}"
    );
}

#[rstest]
#[tokio::test]
async fn an_invariant_of_a_table_is_a_check(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    static BREAK: Sql = Sql::shared("tests.break", "UPDATE agents SET status = 'SLEEPING'");
    static FORGET: Sql = Sql::shared("tests.forget", "UPDATE agents SET created_at = NULL");
    let db = TestDb::start(backend).await;
    for (sql, kind) in [
        (&BREAK, ConstraintKind::Check),
        (&FORGET, ConstraintKind::NotNull),
    ] {
        let mut tx = db.begin().await.unwrap();
        create_agents(&mut tx, 1).await;
        let refused = tx.execute(sql, vec![]).await.unwrap_err();
        assert_eq!(refused.constraint(), Some(kind));
    }
}

#[rstest]
#[tokio::test]
async fn who_finds_no_connection_in_time_hears_that_the_database_is_not_available(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let options = DbOptions {
        connections_max: 1,
        // It bounds the opening too, which takes its time on a machine that is busy with other tests.
        acquire_timeout: Duration::from_secs(3),
        ..test_options()
    };
    let db = db.connect(&options).await;
    let _held = db.begin().await.unwrap();

    let refused = db.begin().await.err().unwrap();

    assert!(
        matches!(
            refused,
            DalError::Unavailable {
                operation: "begin",
                ..
            }
        ),
        "{refused:?}"
    );
    assert!(refused.transient());
}

#[rstest]
#[tokio::test]
async fn a_server_that_is_not_there_is_not_available() {
    let options = DbOptions {
        acquire_timeout: Duration::from_millis(50),
        ..test_options()
    };
    // Port 9 is discard, which nobody serves.
    let refused = Db::connect("postgres://nobody@127.0.0.1:9/none", &options)
        .await
        .unwrap_err();
    assert!(refused.transient(), "{refused:?}");

    let refused = Db::connect("sqlite:/there/is/no/such/directory/brokkr.db", &options)
        .await
        .unwrap_err();
    assert!(refused.transient(), "{refused:?}");

    let refused = Db::connect("mysql://localhost/brokkr", &options)
        .await
        .unwrap_err();
    assert!(matches!(refused, DalError::Address(_)), "{refused:?}");
}

#[rstest]
#[tokio::test]
async fn a_closed_database_is_not_available(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    db.ping().await.unwrap();

    db.close().await;

    assert!(db.ping().await.unwrap_err().transient());
    assert!(db.begin().await.err().unwrap().transient());
}

#[rstest]
#[tokio::test]
async fn the_databases_clock_runs_in_microseconds_since_the_epoch(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let first = db.now_micros().await.unwrap();
    let second = db.now_micros().await.unwrap();

    // Between the years 2023 and 2100, in microseconds.
    assert!(
        (1_700_000_000_000_000..4_102_444_800_000_000).contains(&first),
        "{first}"
    );
    assert!(first <= second);
}

#[tokio::test]
async fn a_database_in_memory_keeps_its_rows_between_transactions() {
    let db = Db::connect("sqlite::memory:", &test_options()).await.unwrap();
    brokkr_broker::dal::migrate::run(&db).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    tx.commit().await.unwrap();

    let mut tx = db.read().await.unwrap();
    assert!(agents::get(&mut tx, agent_id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_database_file_is_readable_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("new.db");
    let db = Db::connect(&format!("sqlite:{}", file.display()), &test_options())
        .await
        .unwrap();
    brokkr_broker::dal::migrate::run(&db).await.unwrap();

    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
    }
}
