use brokkr_broker::dal::audit::{self, AuditEntry};
use brokkr_core::ids::uuid_v7;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

use super::samples::at;

fn entry(number: u64, subject: &str) -> AuditEntry {
    AuditEntry {
        id: uuid_v7(at(number), 0, [7; 6]),
        at: at(number),
        actor: "admin:abcdefgh".to_owned(),
        action: "agent.create".to_owned(),
        subject: subject.to_owned(),
        details: r#"{"name": "Ägir \"1\""}"#.to_owned(),
        request_id: number.is_multiple_of(2).then(|| format!("request {number}")),
    }
}

async fn start(backend: Backend) -> TestDb {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let entries = [
        entry(1, "agent:a"),
        entry(2, "agent:b"),
        entry(3, "agent:a"),
        entry(4, "agent:a"),
    ];
    audit::insert(&mut tx, &entries).await.unwrap();
    tx.commit().await.unwrap();
    db
}

#[rstest]
#[tokio::test]
async fn facts_are_read_newest_first_page_by_page(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = start(backend).await;
    let mut tx = db.read().await.unwrap();

    let first = audit::list(&mut tx, None, None, 3).await.unwrap();
    let rest = audit::list(&mut tx, None, Some(first[2].id), 3).await.unwrap();

    assert_eq!(
        first,
        [entry(4, "agent:a"), entry(3, "agent:a"), entry(2, "agent:b")]
    );
    assert_eq!(rest, [entry(1, "agent:a")]);
}

#[rstest]
#[tokio::test]
async fn the_facts_about_one_subject_are_read_alone(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = start(backend).await;
    let mut tx = db.read().await.unwrap();

    let first = audit::list(&mut tx, Some("agent:a"), None, 2).await.unwrap();
    let rest = audit::list(&mut tx, Some("agent:a"), Some(first[1].id), 2)
        .await
        .unwrap();

    assert_eq!(first, [entry(4, "agent:a"), entry(3, "agent:a")]);
    assert_eq!(rest, [entry(1, "agent:a")]);
}

#[rstest]
#[tokio::test]
async fn old_facts_are_forgotten_oldest_first(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = start(backend).await;
    let mut tx = db.begin().await.unwrap();

    assert_eq!(audit::prune(&mut tx, at(4), 2).await.unwrap(), 2);
    assert_eq!(audit::prune(&mut tx, at(4), 2).await.unwrap(), 1);
    assert_eq!(
        audit::list(&mut tx, None, None, 9).await.unwrap(),
        [entry(4, "agent:a")]
    );
}
