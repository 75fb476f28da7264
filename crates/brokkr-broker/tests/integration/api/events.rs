//! What happens to orders and agents, as those hear it who listen.

mod readers;

use std::time::Duration;

use brokkr_api::{Event, EventsQuery, FailureClass, SetTargeting};
use brokkr_broker::app::events::EventFilter;
use brokkr_broker::config::RetentionConfig;
use brokkr_broker::dal::{agents, events};
use brokkr_client::{EventTold, EventsTold};
use brokkr_core::events::EventType;
use brokkr_core::ids::AgentId;
use brokkr_core::pak::Pak;
use brokkr_testkit::{Backend, TestBroker};
use futures_util::{FutureExt as _, StreamExt as _};
use rstest::rstest;

use super::call::{delete, get, refusal, refused};

async fn all(broker: &TestBroker, query: EventsQuery) -> Vec<Event> {
    broker.admin().events(&query).await.unwrap().events
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// Listens, and knows that everything from now on will be told.
async fn listening(broker: &TestBroker, query: EventsQuery) -> EventsTold {
    let mut told = broker.admin().follow_events(&query).await.unwrap();
    let first = told.next().await.unwrap().unwrap();
    assert!(matches!(first, EventTold::Listening(_)), "{first:?}");
    told
}

async fn next(told: &mut EventsTold) -> Event {
    match told.next().await.unwrap().unwrap() {
        EventTold::Event(event) => *event,
        listening => panic!("{listening:?}"),
    }
}

#[rstest]
#[tokio::test]
async fn an_order_s_events_tell_its_life(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .label("gpu")
        .max_retries(1)
        .create()
        .await;
    let claim = agent.claim(&order).await.unwrap();
    agent.fail(&claim, FailureClass::Infrastructure).await.unwrap();
    broker.advance(Duration::from_secs(3_600)).await;
    let claim = agent.claim(&order).await.unwrap();
    broker
        .admin()
        .cancel_work_order(order.id, &brokkr_api::Cancel::default())
        .await
        .unwrap();
    agent.succeed(&claim).await.unwrap();

    let told = all(
        &broker,
        EventsQuery {
            work_order_id: Some(order.id),
            ..EventsQuery::default()
        },
    )
    .await;
    assert_eq!(
        kinds(&told),
        [
            "work_order.created",
            "work_order.claimed",
            "work_order.retry_scheduled",
            "work_order.due",
            "work_order.claimed",
            "work_order.cancel_requested",
            "work_order.succeeded"
        ]
    );
    let states: Vec<_> = told.iter().map(|event| event.after.as_deref().unwrap()).collect();
    assert_eq!(
        states,
        [
            "PENDING",
            "CLAIMED",
            "RETRY_PENDING",
            "PENDING",
            "CLAIMED",
            "CLAIMED",
            "succeeded"
        ]
    );
    assert!(told.iter().all(|event| event.labels == ["gpu"]));
    assert_eq!((told[2].agent_id, told[2].attempt), (Some(agent.id), Some(1)));
    assert_eq!(told[2].details["class"], "infrastructure");
    assert_eq!(
        (&*told[3].actor, &*told[4].actor),
        ("broker", &*format!("agent:{}", agent.id))
    );
    assert!(told.last().unwrap().ends_order());
}

#[rstest]
#[tokio::test]
async fn an_agent_s_events_tell_what_was_done_to_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let admin = broker.admin();
    admin.add_agent_label(agent.id, "gpu").await.unwrap();
    admin.remove_agent_label(agent.id, "gpu").await.unwrap();
    agent.claim_next(1).await.unwrap();
    agent.restarted("again").claim_next(1).await.unwrap();
    admin.rotate_agent_pak(agent.id).await.unwrap();
    admin.delete_agent(agent.id).await.unwrap();

    let of_agent = EventsQuery {
        agent_id: Some(agent.id),
        ..EventsQuery::default()
    };
    let told = all(&broker, of_agent).await;
    assert_eq!(
        kinds(&told),
        [
            "agent.created",
            "agent.activated",
            "agent.labels_changed",
            "agent.labels_changed",
            "agent.instance_changed",
            "agent.instance_changed",
            "agent.pak_rotated",
            "agent.deleted"
        ]
    );
    assert_eq!(
        (told[1].before.as_deref(), told[1].after.as_deref()),
        (Some("INACTIVE"), Some("ACTIVE"))
    );
    let labelled = EventsQuery {
        label: Some("gpu".to_owned()),
        types: Some("agent.*".to_owned()),
        ..EventsQuery::default()
    };
    // Whoever listens for a label hears also that an agent has it no more.
    assert_eq!(all(&broker, labelled).await, told[2..4]);
}

#[rstest]
#[tokio::test]
async fn a_stream_tells_what_happens_from_now_on_and_goes_on_where_it_was_left(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let before = broker.work_order().for_agent(&agent).create().await;
    let mut told = listening(&broker, EventsQuery::default()).await;
    let order = broker.work_order().for_agent(&agent).create().await;
    let first = next(&mut told).await;
    assert_eq!(first.work_order_id, Some(order.id));
    drop(told);
    broker.admin().delete_work_order(before.id).await.unwrap();
    let after = EventsQuery {
        after: Some(first.id),
        ..EventsQuery::default()
    };
    let mut told = listening(&broker, after).await;
    let second = next(&mut told).await;
    assert_eq!(
        (&*second.kind, second.work_order_id),
        ("work_order.deleted", Some(before.id))
    );
    assert!(told.next().now_or_never().is_none());
}

#[rstest]
#[tokio::test]
async fn a_stream_tells_only_what_was_asked_for(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let query = EventsQuery {
        types: Some("work_order.deleted,work_order.retargeted".to_owned()),
        label: Some("b".to_owned()),
        ..EventsQuery::default()
    };
    let mut told = listening(&broker, query).await;
    let one = broker.work_order().for_agent(&agent).label("a").create().await;
    let other = broker.work_order().for_agent(&agent).label("a").create().await;
    let to_b: SetTargeting = serde_json::from_value(serde_json::json!({"labels": ["b"]})).unwrap();
    broker.admin().set_targeting(other.id, &to_b).await.unwrap();
    for order in [&one, &other] {
        broker.admin().delete_work_order(order.id).await.unwrap();
    }
    assert_eq!(next(&mut told).await.kind, "work_order.retargeted");
    assert_eq!(next(&mut told).await.work_order_id, Some(other.id));
}

#[rstest]
#[tokio::test]
async fn nonsense_is_refused(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let admin = broker.admin_pak();
    for (query, code) in [
        ("?after=-1", "invalid_position"),
        ("?after=100000", "invalid_position"),
        ("?type=work_order.exploded", "invalid_query"),
        ("?label=%20", "invalid_label"),
        ("?limit=0", "invalid_limit"),
        ("?agent_id=x", "invalid_query"),
    ] {
        let answer = get(&broker, admin, &format!("/api/v1/events{query}")).await;
        assert_eq!(refusal(&answer), refused(400, code), "{query}");
    }
    for id in ["+1", "x", "100000"] {
        let request = broker
            .http(reqwest::Method::GET, "/api/v1/events")
            .header("accept", "text/event-stream")
            .header("last-event-id", id)
            .bearer_auth(admin.expose());
        let answer = brokkr_testkit::Answer::of(request).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_position"), "{id}");
    }
    let answer = get(&broker, &agent.pak, "/api/v1/events").await;
    assert_eq!(refusal(&answer), refused(403, "admin_required"));
}

#[rstest]
#[tokio::test]
async fn whoever_resumes_too_late_hears_that_something_is_missing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    broker.agent().await;
    let old = all(&broker, EventsQuery::default()).await;
    broker.advance(Duration::from_secs(8 * 24 * 3_600)).await;
    broker.agent().await;
    broker
        .app()
        .forget(&RetentionConfig::default(), 1_000)
        .await
        .unwrap();

    let answer = get(
        &broker,
        broker.admin_pak(),
        &format!("/api/v1/events?after={}", old[0].id),
    )
    .await;
    assert_eq!(refusal(&answer), refused(410, "events_forgotten"));
    let kept = all(&broker, EventsQuery::default()).await;
    assert!(!kept.is_empty() && kept[0].id > old.last().unwrap().id);
    let after_the_last = EventsQuery {
        after: old.last().map(|event| event.id),
        ..EventsQuery::default()
    };
    assert_eq!(all(&broker, after_the_last).await, kept);
}

#[rstest]
#[tokio::test]
async fn a_position_is_never_given_twice_also_after_a_restoration(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let mut told = listening(&broker, EventsQuery::default()).await;
    let epoch = broker.app().restored().await.unwrap().epoch;
    broker.agent().await;
    assert!(next(&mut told).await.id > epoch.number());
}

#[tokio::test]
async fn an_event_that_is_committed_late_keeps_its_place() {
    let broker = TestBroker::start(Backend::Postgres).await;
    let agent = broker.agent().await;
    let id = AgentId::new(agent.id);
    let before = all(&broker, EventsQuery::default()).await.last().unwrap().id;
    let late = || events::AgentEvent {
        at: broker.now(),
        kind: EventType::AgentUpdated,
        id,
        actor: "broker".to_owned(),
        before: None,
        after: None,
        label: None,
        details: "{}".to_owned(),
    };
    let after = EventsQuery {
        after: Some(before),
        ..EventsQuery::default()
    };
    let mut told = listening(&broker, after.clone()).await;

    for commits in [true, false] {
        let mut tx = broker.db().begin().await.unwrap();
        let unchanged = agents::AgentChanges::default();
        agents::update(&mut tx, id, &unchanged, broker.now())
            .await
            .unwrap();
        events::insert_of_agents(&mut tx, &[late()]).await.unwrap();
        let order = broker.work_order().label("x").create().await;
        let seen = broker
            .app()
            .list_events(&EventFilter::default(), Some(before), 100)
            .await
            .unwrap();
        assert!(
            seen.events
                .iter()
                .all(|event| event.work_order.map(|id| id.as_uuid()) != Some(order.id))
        );
        assert!(told.next().now_or_never().is_none());
        if commits {
            tx.commit().await.unwrap();
            assert_eq!(next(&mut told).await.kind, "agent.updated");
        } else {
            drop(tx);
        }
        assert_eq!(next(&mut told).await.work_order_id, Some(order.id));
    }
    assert_eq!(
        kinds(&all(&broker, after).await),
        ["agent.updated", "work_order.created", "work_order.created"]
    );
}

#[rstest]
#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked_or_the_broker_stops(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let viewer = broker.viewer().await;
    let query = EventsQuery::default();
    let mut told = viewer.client.follow_events(&query).await.unwrap();
    told.next().await.unwrap().unwrap();
    let mut other = listening(&broker, query).await;
    let short = Pak::parse(viewer.pak.expose()).unwrap().short().clone();
    let gone = delete(&broker, broker.admin_pak(), &format!("/api/v1/paks/{short}")).await;
    assert_eq!(gone.status, 204);
    let ended = tokio::time::timeout(Duration::from_secs(30), told.next()).await;
    assert!(ended.unwrap().is_none());
    broker.app().stopping().cancel();
    assert!(other.next().await.is_none());
}
