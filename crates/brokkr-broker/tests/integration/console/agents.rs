//! Agents on pages: making, marking, changing and deleting one, and what it runs.

use std::time::Duration;

use brokkr_api::{Heartbeat, ListAgents, PakText};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::{HOSTILE, Visitor, encoded, shown_once};

/// Whether a key is taken.
async fn is_good(broker: &TestBroker, agent: uuid::Uuid, pak: &str) -> bool {
    let client = broker.client(&PakText::new(pak));
    client.agent(agent).await.is_ok()
}

#[rstest]
#[tokio::test]
async fn an_agent_is_made_resumed_changed_given_a_new_key_and_deleted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let first = shown_once(&admin.act("/agents", "name=runner&cluster_name=eu").await);
    let agent = broker.admin().agent_by_name("runner", "eu").await.unwrap();
    let page = format!("/agents/{}", agent.id);
    assert_eq!(agent.status, "INACTIVE");
    assert!(is_good(&broker, agent.id, &first).await);
    for shown in [&page, "/agents"] {
        let text = admin.get(shown).await.text;
        assert!(text.contains("paused") && !text.contains(&first), "{shown}");
    }

    assert_eq!(admin.act(&page, "act=resume").await.status, 303);
    let change = format!("act=change&name={}&cluster_name=us", encoded(HOSTILE));
    assert_eq!(admin.act(&page, &change).await.status, 303);
    let changed = broker.admin().agent(agent.id).await.unwrap();
    assert_eq!(
        [&changed.name, &changed.cluster_name, &changed.status],
        [HOSTILE, "us", "ACTIVE"]
    );
    let text = admin.get(&page).await.text;
    assert!(text.contains("script&#62;alert(1)") && !text.contains("<script>alert"));

    let second = shown_once(&admin.act(&page, "act=rotate").await);
    assert!(!is_good(&broker, agent.id, &first).await);
    assert!(is_good(&broker, agent.id, &second).await);
    assert_eq!(admin.act(&page, "act=delete").await.status, 303);
    assert!(!is_good(&broker, agent.id, &second).await);
    assert_eq!(admin.get(&page).await.status, 404);
    assert_eq!(admin.act(&page, "act=resume").await.status, 404);
}

#[rstest]
#[tokio::test]
async fn a_name_that_is_none_or_taken_makes_and_changes_no_agent(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    admin.act("/agents", "name=one&cluster_name=eu").await;
    admin.act("/agents", "name=two&cluster_name=eu").await;
    let two = broker.admin().agent_by_name("two", "eu").await.unwrap();
    let page = format!("/agents/{}", two.id);
    for (names, status) in [
        ("name=&cluster_name=eu", 400),
        ("name=one", 400),
        ("name=one&cluster_name=eu", 409),
    ] {
        assert_eq!(admin.act("/agents", names).await.status, status, "{names}");
        let change = admin.act(&page, &format!("act=change&{names}")).await;
        assert_eq!(change.status, status, "{names}");
    }
    let agents = broker.admin().agents(&ListAgents::default()).await.unwrap().items;
    assert_eq!(agents.len(), 2);
    assert_eq!(broker.admin().agent(two.id).await.unwrap().name, "two");
}

#[rstest]
#[tokio::test]
async fn labels_and_annotations_are_given_and_taken(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let page = format!("/agents/{}", agent.id);
    let (label, key) = (format!("label={}", encoded(HOSTILE)), encoded(HOSTILE));
    let annotation = format!("key={key}&value=eu");
    for act in [
        format!("act=add-label&{label}"),
        format!("act=add-annotation&{annotation}"),
    ] {
        assert_eq!(admin.act(&page, &act).await.status, 303, "{act}");
        assert_eq!(admin.act(&page, &act).await.status, 400, "it has it already");
    }
    let text = admin.get(&page).await.text;
    assert!(!text.contains("<script>alert"));
    assert_eq!(
        text.matches("script&#62;=eu").count(),
        2,
        "shown, and named to be taken"
    );

    for act in [
        "act=add-label&label=two+words".to_owned(),
        "act=add-annotation&key=region".to_owned(),
        "act=add-annotation&value=eu".to_owned(),
        "act=nothing".to_owned(),
    ] {
        assert_eq!(admin.act(&page, &act).await.status, 400, "{act}");
    }
    for act in [
        format!("act=remove-label&{label}"),
        format!("act=remove-annotation&key={key}"),
    ] {
        assert_eq!(admin.act(&page, &act).await.status, 303, "{act}");
    }
    let text = admin.get(&page).await.text;
    assert!(!text.contains("script&#62;"), "nothing is left");
}

#[rstest]
#[tokio::test]
async fn an_agent_shows_what_it_runs_and_until_when_each_lease_lasts(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let order = broker
        .work_order()
        .for_agent(&agent)
        .work_type(HOSTILE)
        .claim_timeout_seconds(600)
        .create()
        .await;
    let (viewer, _) = super::viewer(&broker).await;
    let visitor = Visitor::signed_in(&broker, &viewer).await;
    let page = format!("/agents/{}", agent.id);
    assert!(visitor.get(&page).await.text.contains("It holds no orders."));

    let claim = agent.claim(&order).await.unwrap();
    let link = format!("href=\"/orders/{}\"", order.id);
    let text = visitor.get(&page).await.text;
    let lease = claim.lease_expires_at.unwrap().to_string();
    assert!(text.contains(&link) && text.contains(&lease), "{text}");
    assert!(!text.contains("<script>alert") && !text.contains("method=\"post\" action=\"/agents"));
    let others = visitor.get(&format!("/agents/{}", other.id)).await.text;
    assert!(!others.contains(&link));

    agent.succeed(&claim).await.unwrap();
    assert!(!visitor.get(&page).await.text.contains(&link));
}

#[rstest]
#[tokio::test]
async fn the_numbers_of_the_overview_lead_to_the_agents_behind_them(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (late, up) = (broker.agent().await, broker.agent().await);
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    admin.act("/agents", "name=paused&cluster_name=default").await;
    let paused = broker.admin().agent_by_name("paused", "default").await.unwrap();
    late.client
        .heartbeat(late.id, &Heartbeat::default())
        .await
        .unwrap();
    broker.advance(Duration::from_secs(61)).await;
    up.client.heartbeat(up.id, &Heartbeat::default()).await.unwrap();

    let overview = admin.get("/").await.text;
    for (state, count, agent) in [("late", 1, late.id), ("paused", 1, paused.id), ("up", 1, up.id)] {
        let link = format!("href=\"/agents?state={state}\"");
        assert!(overview.contains(&link), "{state}");
        let list = admin.get(&format!("/agents?state={state}")).await.text;
        assert_eq!(list.matches("<tr><th scope=\"row\"").count(), count, "{state}");
        assert!(list.contains(&format!("/agents/{agent}")), "{state}");
    }
    assert!(overview.contains(">1 late<") && overview.contains(">1 paused<"));
}
