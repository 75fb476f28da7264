//! Agents that people make, mark and delete.

use brokkr_api::{ListAgents, PakText};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::{Visitor, encoded, shown_once};

#[rstest]
#[tokio::test]
async fn an_agent_is_made_annotated_and_deleted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let visitor = Visitor::signed_in(&broker, broker.admin_pak()).await;

    let made = visitor.act("/agents", "name=eu-1&cluster=prod&active=on").await;
    let pak = PakText::new(shown_once(&made));
    let agents = broker.admin().agents(&ListAgents::default()).await.unwrap().items;
    let agent = &agents[0];
    assert_eq!(
        (
            agent.name.as_str(),
            agent.cluster_name.as_str(),
            agent.status.as_str()
        ),
        ("eu-1", "prod", "ACTIVE")
    );
    let itself = broker.client(&pak).agent(agent.id).await;
    assert_eq!(itself.unwrap().id, agent.id, "the key is the agent's");

    let path = format!("/agents/{}", agent.id);
    let annotate = format!("act=annotate&key=zone&value={}", encoded("a<b>"));
    assert_eq!(visitor.act(&path, &annotate).await.status, 303);
    let page = visitor.get(&path).await.text;
    assert!(page.contains("zone: a&#60;b&#62;"), "{page}");
    let twice = visitor.act(&path, "act=annotate&key=zone&value=other").await;
    assert_eq!(twice.status, 400, "a key has one value");
    let wrong = visitor.act(&path, "act=annotate&key=a%20b&value=c").await;
    assert_eq!(wrong.status, 400);
    let removed = visitor.act(&path, "act=remove-annotation&key=zone").await;
    assert_eq!(removed.status, 303);
    assert!(!visitor.get(&path).await.text.contains("zone:"));

    let deleted = visitor.act(&path, "act=delete").await;
    assert_eq!((deleted.status, deleted.header("location")), (303, "/agents"));
    assert_eq!(visitor.get(&path).await.status, 404);
    assert!(
        broker.client(&pak).agent(agent.id).await.is_err(),
        "its key is dead"
    );
}

#[rstest]
#[tokio::test]
async fn an_agent_that_cannot_be_made_is_refused_with_the_reason(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let visitor = Visitor::signed_in(&broker, broker.admin_pak()).await;
    for form in ["name=&cluster=prod", "name=eu-1&cluster="] {
        let refused = visitor.act("/agents", form).await;
        assert_eq!(refused.status, 400, "{form}");
        assert!(refused.text.contains("No agent was made"), "{}", refused.text);
    }
    visitor.act("/agents", "name=eu-1&cluster=prod").await;
    let taken = visitor.act("/agents", "name=eu-1&cluster=prod").await;
    assert_eq!(taken.status, 400);
    assert!(taken.text.contains("exists in this cluster"), "{}", taken.text);
    let agents = broker.admin().agents(&ListAgents::default()).await.unwrap().items;
    assert_eq!(agents.len(), 1);
    assert_eq!(agents[0].status, "INACTIVE", "it was not to claim at once");
}
