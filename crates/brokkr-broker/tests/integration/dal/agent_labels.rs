use brokkr_broker::dal::ConstraintKind;
use brokkr_broker::dal::agent_labels::{self, AgentLabel};
use brokkr_broker::dal::agents;
use brokkr_core::ids::AgentLabelId;
use brokkr_core::names::Label;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;
use uuid::Uuid;

use super::samples::{agent_id, at, create_agents};

fn label(number: u128, word: &str) -> AgentLabel {
    AgentLabel {
        id: AgentLabelId::new(Uuid::from_u128(number)),
        agent_id: agent_id(1),
        label: Label::parse(word).unwrap(),
    }
}

#[rstest]
#[tokio::test]
async fn labels_are_listed_in_their_own_order_page_by_page(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    for (number, word) in [(1, "b"), (2, "Z"), (3, "a"), (4, "ä")] {
        assert!(agent_labels::add(&mut tx, &label(number, word)).await.unwrap());
    }

    let first = agent_labels::list(&mut tx, agent_id(1), None, 2).await.unwrap();
    let rest = agent_labels::list(&mut tx, agent_id(1), Some(&first[1].label), 9)
        .await
        .unwrap();

    // Both databases sort by bytes, so that a cursor of the one is good on the other.
    assert_eq!(first, [label(2, "Z"), label(3, "a")]);
    assert_eq!(rest, [label(1, "b"), label(4, "ä")]);
    assert_eq!(agent_labels::count(&mut tx, agent_id(1)).await.unwrap(), 4);
}

#[rstest]
#[tokio::test]
async fn an_agent_has_a_label_once(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    agent_labels::add(&mut tx, &label(1, "prod")).await.unwrap();

    let refused = agent_labels::add(&mut tx, &label(2, "prod")).await.unwrap_err();

    assert_eq!(refused.constraint(), Some(ConstraintKind::Unique));
}

#[rstest]
#[tokio::test]
async fn an_agent_that_is_unknown_or_deleted_gets_no_label(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    assert!(!agent_labels::add(&mut tx, &label(1, "prod")).await.unwrap());

    create_agents(&mut tx, 1).await;
    agents::soft_delete(&mut tx, agent_id(1), at(1)).await.unwrap();
    assert!(!agent_labels::add(&mut tx, &label(1, "prod")).await.unwrap());
}

#[rstest]
#[tokio::test]
async fn a_label_is_removed_once(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    let prod = label(1, "prod");
    agent_labels::add(&mut tx, &prod).await.unwrap();

    assert!(
        agent_labels::remove(&mut tx, agent_id(1), &prod.label)
            .await
            .unwrap()
    );
    assert!(
        !agent_labels::remove(&mut tx, agent_id(1), &prod.label)
            .await
            .unwrap()
    );
}
