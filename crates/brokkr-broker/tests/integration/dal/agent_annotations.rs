use brokkr_broker::dal::ConstraintKind;
use brokkr_broker::dal::agent_annotations::{self, AgentAnnotation};
use brokkr_core::ids::AgentAnnotationId;
use brokkr_core::names::{AnnotationKey, AnnotationValue};
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;
use uuid::Uuid;

use super::samples::{agent_id, create_agents};

fn annotation(number: u128, key: &str, value: &str) -> AgentAnnotation {
    AgentAnnotation {
        id: AgentAnnotationId::new(Uuid::from_u128(number)),
        agent_id: agent_id(1),
        key: AnnotationKey::parse(key).unwrap(),
        value: AnnotationValue::parse(value).unwrap(),
    }
}

#[rstest]
#[tokio::test]
async fn annotations_are_listed_by_key_page_by_page(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    let (zone, arch) = (annotation(1, "zone", "eu"), annotation(2, "arch", "arm64"));
    assert!(agent_annotations::add(&mut tx, &zone).await.unwrap());
    assert!(agent_annotations::add(&mut tx, &arch).await.unwrap());

    let first = agent_annotations::list(&mut tx, agent_id(1), None, 1)
        .await
        .unwrap();
    let rest = agent_annotations::list(&mut tx, agent_id(1), Some(&arch.key), 9)
        .await
        .unwrap();

    assert_eq!((first, rest), (vec![arch], vec![zone]));
    assert_eq!(agent_annotations::count(&mut tx, agent_id(1)).await.unwrap(), 2);
}

#[rstest]
#[tokio::test]
async fn a_key_has_one_value(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    agent_annotations::add(&mut tx, &annotation(1, "zone", "eu"))
        .await
        .unwrap();

    let refused = agent_annotations::add(&mut tx, &annotation(2, "zone", "us"))
        .await
        .unwrap_err();

    assert_eq!(refused.constraint(), Some(ConstraintKind::Unique));
}

#[rstest]
#[tokio::test]
async fn an_unknown_agent_gets_no_annotation(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();

    assert!(
        !agent_annotations::add(&mut tx, &annotation(1, "zone", "eu"))
            .await
            .unwrap()
    );
}

#[rstest]
#[tokio::test]
async fn an_annotation_is_removed_once(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    let zone = annotation(1, "zone", "eu");
    agent_annotations::add(&mut tx, &zone).await.unwrap();

    assert!(
        agent_annotations::remove(&mut tx, agent_id(1), &zone.key)
            .await
            .unwrap()
    );
    assert!(
        !agent_annotations::remove(&mut tx, agent_id(1), &zone.key)
            .await
            .unwrap()
    );
}
