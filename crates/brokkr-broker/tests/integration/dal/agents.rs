use std::collections::BTreeSet;

use brokkr_broker::dal::ConstraintKind;
use brokkr_broker::dal::agents::{self, AgentChanges, AgentStatus, Heartbeat, Instance};
use brokkr_broker::dal::{agent_annotations, agent_labels};
use brokkr_core::ids::{AgentAnnotationId, AgentLabelId};
use brokkr_core::names::{AgentName, AnnotationKey, AnnotationValue, Label};
use brokkr_core::routing::Route;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;
use uuid::Uuid;

use super::samples::{agent, agent_id, at, create_agents, create_generator, generator_id};

#[rstest]
#[tokio::test]
async fn a_created_agent_is_read_back_as_it_was_written(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let created = agents::create(&mut tx, &agent(1), at(0)).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = db.read().await.unwrap();
    let read = agents::get(&mut tx, agent_id(1)).await.unwrap();
    let found = agents::find_by_name(&mut tx, &agent(1).name, &agent(1).cluster_name)
        .await
        .unwrap();

    assert_eq!(read.as_ref(), Some(&created));
    assert_eq!(found.as_ref(), Some(&created));
    assert_eq!((created.created_at, created.updated_at), (at(0), at(0)));
    assert_eq!(created.status, AgentStatus::Active);
    assert_eq!(
        (created.last_heartbeat, created.k8s_reachable, created.instance_id),
        (None, None, None)
    );
}

#[rstest]
#[tokio::test]
async fn two_agents_cannot_share_a_name_in_one_cluster(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    agents::create(&mut tx, &agent(1), at(0)).await.unwrap();
    let twin = agents::NewAgent {
        id: agent_id(2),
        ..agent(1)
    };

    let refused = agents::create(&mut tx, &twin, at(0)).await.unwrap_err();

    assert_eq!(refused.constraint(), Some(ConstraintKind::Unique));
}

#[rstest]
#[tokio::test]
async fn a_name_is_free_again_once_its_agent_is_deleted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    agents::create(&mut tx, &agent(1), at(0)).await.unwrap();
    assert!(agents::soft_delete(&mut tx, agent_id(1), at(1)).await.unwrap());

    let twin = agents::NewAgent {
        id: agent_id(2),
        ..agent(1)
    };
    agents::create(&mut tx, &twin, at(2)).await.unwrap();

    let found = agents::find_by_name(&mut tx, &twin.name, &twin.cluster_name)
        .await
        .unwrap();
    assert_eq!(found.map(|agent| agent.id), Some(agent_id(2)));
}

#[rstest]
#[tokio::test]
async fn a_deleted_agent_is_gone_for_every_reader_and_writer(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    let id = agent_id(1);
    assert!(agents::soft_delete(&mut tx, id, at(1)).await.unwrap());

    assert!(!agents::soft_delete(&mut tx, id, at(2)).await.unwrap());
    assert_eq!(agents::get(&mut tx, id).await.unwrap(), None);
    assert_eq!(agents::list(&mut tx, None, 10).await.unwrap(), []);
    assert_eq!(agents::existing(&mut tx, &[id]).await.unwrap(), []);
    assert_eq!(
        agents::update(&mut tx, id, &AgentChanges::default(), at(2))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        agents::take_over(&mut tx, id, "process", at(2)).await.unwrap(),
        Instance::NoAgent
    );
    assert_eq!(agents::heartbeats(&mut tx, &[heartbeat(1, 2)]).await.unwrap(), 0);
}

#[rstest]
#[tokio::test]
async fn an_update_changes_what_is_given_and_nothing_else(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let created = agents::create(&mut tx, &agent(1), at(0)).await.unwrap();
    let changes = AgentChanges {
        name: Some(AgentName::parse("renamed").unwrap()),
        status: Some(AgentStatus::Inactive),
        ..AgentChanges::default()
    };

    let updated = agents::update(&mut tx, agent_id(1), &changes, at(5))
        .await
        .unwrap()
        .unwrap();

    assert_eq!(updated.name.as_str(), "renamed");
    assert_eq!(updated.status, AgentStatus::Inactive);
    assert_eq!(updated.cluster_name, created.cluster_name);
    assert_eq!((updated.created_at, updated.updated_at), (at(0), at(5)));
}

#[rstest]
#[tokio::test]
async fn pages_of_agents_follow_each_other_without_gap_or_repeat(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 5).await;

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = agents::list(&mut tx, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|agent| agent.id));
    }

    assert_eq!(seen, (1..=5).map(agent_id).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn a_generator_sees_the_agents_that_are_registered_with_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 3).await;
    create_generator(&mut tx, 1).await;
    create_generator(&mut tx, 2).await;
    agents::register(&mut tx, agent_id(1), &[generator_id(1)])
        .await
        .unwrap();
    agents::register(&mut tx, agent_id(3), &[generator_id(1), generator_id(2)])
        .await
        .unwrap();

    let first = agents::list_of_generator(&mut tx, generator_id(1), None, 10)
        .await
        .unwrap();
    let rest = agents::list_of_generator(&mut tx, generator_id(1), Some(agent_id(1)), 10)
        .await
        .unwrap();

    assert_eq!(
        first.iter().map(|agent| agent.id).collect::<Vec<_>>(),
        [agent_id(1), agent_id(3)]
    );
    assert_eq!(
        rest.iter().map(|agent| agent.id).collect::<Vec<_>>(),
        [agent_id(3)]
    );
}

#[rstest]
#[tokio::test]
async fn registering_with_a_generator_that_does_not_exist_shows_in_the_count(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    create_generator(&mut tx, 1).await;

    let registered = agents::register(&mut tx, agent_id(1), &[generator_id(1), generator_id(9)])
        .await
        .unwrap();

    assert_eq!(registered, 1);
}

fn heartbeat(number: u128, seconds: u64) -> Heartbeat {
    Heartbeat {
        agent: agent_id(number),
        at: at(seconds),
        k8s_reachable: None,
        k8s_api_latency_ms: None,
        state: None,
        report: None,
    }
}

#[rstest]
#[tokio::test]
async fn a_heartbeat_without_a_report_keeps_the_last_report(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    let report = Heartbeat {
        k8s_reachable: Some(false),
        k8s_api_latency_ms: Some(40),
        state: Some("draining".to_owned()),
        ..heartbeat(1, 1)
    };

    agents::heartbeats(&mut tx, &[report]).await.unwrap();
    agents::heartbeats(&mut tx, &[heartbeat(1, 2)]).await.unwrap();

    let agent = agents::get(&mut tx, agent_id(1)).await.unwrap().unwrap();
    assert_eq!(agent.last_heartbeat, Some(at(2)));
    assert_eq!(
        (agent.k8s_reachable, agent.k8s_api_latency_ms),
        (Some(false), Some(40))
    );
    assert_eq!(agent.k8s_reported_at, Some(at(1)));
    assert_eq!(agent.state.as_deref(), Some("draining"));
    assert_eq!(
        agent.updated_at,
        at(0),
        "a sign of life is no change of the agent"
    );
}

#[rstest]
#[tokio::test]
async fn many_heartbeats_are_one_statement(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 20).await;
    let heartbeats: Vec<_> = (1..=20)
        .rev()
        .map(|number| heartbeat(number, number as u64))
        .collect();
    let before = db.statements_sent();

    assert_eq!(agents::heartbeats(&mut tx, &heartbeats).await.unwrap(), 20);

    assert_eq!(db.statements_sent() - before, 1);
    let seventh = agents::get(&mut tx, agent_id(7)).await.unwrap().unwrap();
    assert_eq!(seventh.last_heartbeat, Some(at(7)));
}

#[rstest]
#[tokio::test]
async fn a_new_process_takes_over_and_the_old_one_never_comes_back(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    let id = agent_id(1);

    assert_eq!(
        agents::take_over(&mut tx, id, "old", at(1)).await.unwrap(),
        Instance::Current
    );
    assert_eq!(
        agents::take_over(&mut tx, id, "old", at(2)).await.unwrap(),
        Instance::Current
    );
    assert_eq!(
        agents::take_over(&mut tx, id, "new", at(3)).await.unwrap(),
        Instance::Current
    );
    assert_eq!(
        agents::take_over(&mut tx, id, "old", at(4)).await.unwrap(),
        Instance::Superseded
    );

    let agent = agents::get(&mut tx, id).await.unwrap().unwrap();
    assert_eq!(
        (agent.instance_id.as_deref(), agent.instance_since),
        (Some("new"), Some(at(3)))
    );
}

#[rstest]
#[tokio::test]
async fn of_two_new_processes_at_once_exactly_one_serves_the_agent(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    tx.commit().await.unwrap();
    let take_over = |instance: &'static str| {
        let db = db.db().clone();
        async move {
            let mut tx = db.begin().await.unwrap();
            agents::take_over(&mut tx, agent_id(1), instance, at(1))
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
    };
    tokio::join!(take_over("one"), take_over("other"));

    let mut tx = db.begin().await.unwrap();
    let mut current = 0;
    for instance in ["one", "other", "one", "other"] {
        let found = agents::take_over(&mut tx, agent_id(1), instance, at(2))
            .await
            .unwrap();
        current += usize::from(found == Instance::Current);
    }
    assert_eq!(current, 2, "the same process was told so both times");
}

#[rstest]
#[tokio::test]
async fn only_superseded_processes_are_forgotten(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    for (second, instance) in [(1, "first"), (2, "second"), (3, "third")] {
        agents::take_over(&mut tx, agent_id(1), instance, at(second))
            .await
            .unwrap();
    }

    assert_eq!(agents::prune_instances(&mut tx, at(2), 10).await.unwrap(), 1);
    assert_eq!(agents::prune_instances(&mut tx, at(100), 10).await.unwrap(), 1);
    assert_eq!(agents::prune_instances(&mut tx, at(100), 10).await.unwrap(), 0);
}

#[rstest]
#[tokio::test]
async fn an_agent_listens_on_the_routes_that_the_core_makes_of_its_terms(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 2).await;
    let mut expected = BTreeSet::from([Route::agent(agent_id(1))]);
    for (number, word) in [(1, "prod"), (2, "ä%25=b")] {
        let label = Label::parse(word).unwrap();
        expected.insert(Route::label(&label));
        let id = AgentLabelId::new(Uuid::from_u128(number));
        let label = agent_labels::AgentLabel {
            id,
            agent_id: agent_id(1),
            label,
        };
        assert!(agent_labels::add(&mut tx, &label).await.unwrap());
    }
    for (number, key, value) in [(1, "a=b%", "c=d%"), (2, "%3D", "x"), (3, "zone", "eu")] {
        let (key, value) = (
            AnnotationKey::parse(key).unwrap(),
            AnnotationValue::parse(value).unwrap(),
        );
        expected.insert(Route::annotation(&key, &value));
        let id = AgentAnnotationId::new(Uuid::from_u128(number));
        let annotation = agent_annotations::AgentAnnotation {
            id,
            agent_id: agent_id(1),
            key,
            value,
        };
        assert!(agent_annotations::add(&mut tx, &annotation).await.unwrap());
    }

    let routes = agents::routes(&mut tx, agent_id(1)).await.unwrap();

    assert_eq!(routes.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(
        agents::routes(&mut tx, agent_id(2)).await.unwrap(),
        [Route::agent(agent_id(2))]
    );
}

#[rstest]
#[tokio::test]
async fn of_given_ids_those_that_exist_are_told(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 2).await;

    let found = agents::existing(&mut tx, &[agent_id(2), agent_id(7)])
        .await
        .unwrap();

    assert_eq!(found, [agent_id(2)]);
    assert_eq!(agents::existing(&mut tx, &[]).await.unwrap(), []);
}
