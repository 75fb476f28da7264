use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{delete, get, post, put, refusal, refused};

const AGENTS: &str = "/api/v1/agents";

async fn create(broker: &TestBroker, name: &str, cluster_name: &str) -> Answer {
    post(
        broker,
        broker.admin_pak(),
        AGENTS,
        json!({"name": name, "cluster_name": cluster_name}),
    )
    .await
}

fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    body.as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["name"].as_str().unwrap().to_owned())
        .collect()
}

#[rstest]
#[tokio::test]
async fn a_new_agent_is_inactive_and_its_key_is_shown_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let answer = create(&broker, "runner", "eu").await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    let pak = brokkr_api::PakText::new(body["initial_pak"].as_str().unwrap());
    let agent = &body["agent"];
    assert_eq!(
        (&agent["name"], &agent["cluster_name"], &agent["status"]),
        (&json!("runner"), &json!("eu"), &json!("INACTIVE"))
    );
    for nullable in [
        "deleted_at",
        "last_heartbeat",
        "k8s_reachable",
        "k8s_api_latency_ms",
        "k8s_reported_at",
        "state",
        "report",
        "reported_at",
    ] {
        assert_eq!(agent.get(nullable), Some(&Value::Null), "{nullable}");
    }
    let shown = get(
        &broker,
        &pak,
        &format!("{AGENTS}/{}", agent["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!((shown.status, &shown.json()), (200, agent));
    assert!(!shown.text.contains("hash") && !shown.text.contains("pak"));
}

#[rstest]
#[tokio::test]
async fn a_name_is_taken_within_its_cluster_until_its_agent_is_deleted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let first = create(&broker, "runner", "eu").await.json();
    assert_eq!(
        refusal(&create(&broker, "runner", "eu").await),
        refused(409, "unique_violation")
    );
    assert_eq!(create(&broker, "runner", "us").await.status, 201);

    let path = format!("{AGENTS}/{}", first["agent"]["id"].as_str().unwrap());
    assert_eq!(delete(&broker, broker.admin_pak(), &path).await.status, 204);
    assert_eq!(create(&broker, "runner", "eu").await.status, 201);
}

#[rstest]
#[tokio::test]
async fn nonsense_about_an_agent_is_refused_and_leaves_nothing_behind(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let generator = broker.generator().await;
    let unknown = Uuid::nil();
    for (body, code) in [
        (json!({"name": "", "cluster_name": "c"}), "invalid_agent"),
        (json!({"name": " ", "cluster_name": "c"}), "invalid_agent"),
        (
            json!({"name": "n".repeat(256), "cluster_name": "c"}),
            "invalid_agent",
        ),
        (json!({"name": "n\u{0}", "cluster_name": "c"}), "invalid_agent"),
        (json!({"name": "n", "cluster_name": "\u{0}"}), "invalid_agent"),
        (
            json!({"name": "n", "cluster_name": "c", "generator_ids": ["x"]}),
            "invalid_generator_id",
        ),
        (
            json!({"name": "n", "cluster_name": "c", "generator_ids": [unknown]}),
            "invalid_generator_id",
        ),
        (
            json!({"name": "n", "cluster_name": "c", "generator_ids": [generator.id, unknown]}),
            "invalid_generator_id",
        ),
        (
            json!({"name": "n", "cluster_name": "c", "generator_ids": [generator.id, generator.id]}),
            "invalid_generator_id",
        ),
    ] {
        let answer = post(&broker, broker.admin_pak(), AGENTS, body.clone()).await;
        assert_eq!(refusal(&answer), refused(400, code), "{body}");
    }
    assert_eq!(get(&broker, broker.admin_pak(), AGENTS).await.json(), json!([]));
}

#[rstest]
#[tokio::test]
async fn a_generator_lists_the_agents_that_are_registered_with_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (ours, theirs) = (broker.generator().await, broker.generator().await);
    for (name, generators) in [
        ("a", vec![ours.id]),
        ("b", vec![theirs.id]),
        ("c", vec![ours.id, theirs.id]),
    ] {
        let body = json!({"name": name, "cluster_name": "c", "generator_ids": generators});
        assert_eq!(post(&broker, broker.admin_pak(), AGENTS, body).await.status, 201);
    }
    assert_eq!(names(&get(&broker, &ours.pak, AGENTS).await), ["a", "c"]);
    assert_eq!(names(&get(&broker, &theirs.pak, AGENTS).await), ["b", "c"]);
    assert_eq!(
        names(&get(&broker, broker.admin_pak(), AGENTS).await),
        ["a", "b", "c"]
    );
    let agent = broker.agent().await;
    assert_eq!(
        refusal(&get(&broker, &agent.pak, AGENTS).await),
        refused(403, "generator_required")
    );
}

#[rstest]
#[tokio::test]
async fn a_long_list_comes_in_pages(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(create(&broker, name, "c").await.status, 201);
    }
    let (mut seen, mut path) = (Vec::new(), format!("{AGENTS}?limit=2"));
    loop {
        let page = get(&broker, broker.admin_pak(), &path).await;
        seen.extend(names(&page));
        let link = page.header("link").to_owned();
        let Some(next) = link
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix(">; rel=\"next\""))
        else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    for (query, code) in [
        ("limit=0", "invalid_limit"),
        ("limit=-1", "invalid_limit"),
        ("limit=1001", "invalid_limit"),
        ("limit=x", "invalid_query"),
        ("limit=1&limit=2", "invalid_query"),
        ("cursor=", "invalid_cursor"),
        ("cursor=%00", "invalid_cursor"),
    ] {
        let answer = get(&broker, broker.admin_pak(), &format!("{AGENTS}?{query}")).await;
        assert_eq!(refusal(&answer), refused(400, code), "{query}");
    }
}

#[rstest]
#[tokio::test]
async fn an_agent_is_found_by_name_and_cluster_by_an_admin_or_itself(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (own, other) = (broker.agent().await, broker.agent().await);
    let viewer = broker.viewer().await;
    let path = |query: &str| format!("{AGENTS}/?{query}");
    let name = get(&broker, &own.pak, &format!("{AGENTS}/{}", own.id))
        .await
        .json()["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let query = path(&format!("name={name}&cluster_name=test"));
    for pak in [broker.admin_pak(), &own.pak, &viewer.pak] {
        let answer = get(&broker, pak, &query).await;
        assert_eq!((answer.status, answer.json()["id"].clone()), (200, json!(own.id)));
    }
    assert_eq!(
        refusal(&get(&broker, &other.pak, &query).await),
        refused(403, "agent_pak_mismatch")
    );
    let unknown = path("name=nobody&cluster_name=test");
    assert_eq!(
        refusal(&get(&broker, &other.pak, &unknown).await),
        refused(403, "agent_pak_mismatch")
    );
    assert_eq!(
        refusal(&get(&broker, broker.admin_pak(), &unknown).await),
        refused(404, "agent_not_found")
    );
    for missing in ["", "name=a", "cluster_name=a"] {
        let answer = get(&broker, broker.admin_pak(), &path(missing)).await;
        assert_eq!(
            refusal(&answer),
            refused(400, "name_and_cluster_required"),
            "{missing}"
        );
    }
    assert_eq!(
        refusal(&get(&broker, broker.admin_pak(), &path("name=a%00&cluster_name=b")).await),
        refused(400, "invalid_agent")
    );
}

#[rstest]
#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.inactive_agent().await;
    let path = format!("{AGENTS}/{}", agent.id);
    let before = get(&broker, &agent.pak, &path).await.json();

    let answer = put(&broker, broker.admin_pak(), &path, json!({"status": "ACTIVE"})).await;
    assert_eq!(
        (answer.status, answer.json()["status"].clone()),
        (200, json!("ACTIVE"))
    );
    assert_eq!(answer.json()["name"], before["name"]);

    let answer = put(&broker, &agent.pak, &path, json!({"name": "renamed"})).await;
    assert_eq!(
        (answer.status, answer.json()["name"].clone()),
        (200, json!("renamed"))
    );
    assert_eq!(answer.json()["status"], json!("ACTIVE"));

    for body in [
        json!({"status": "SLEEPING"}),
        json!({"status": "active"}),
        json!({"name": ""}),
    ] {
        let answer = put(&broker, broker.admin_pak(), &path, body.clone()).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_agent"), "{body}");
    }
    create(&broker, "taken", "test").await;
    let answer = put(&broker, broker.admin_pak(), &path, json!({"name": "taken"})).await;
    assert_eq!(refusal(&answer), refused(409, "unique_violation"));
    let unknown = format!("{AGENTS}/{}", Uuid::nil());
    assert_eq!(
        refusal(&put(&broker, broker.admin_pak(), &unknown, json!({})).await),
        refused(404, "agent_not_found")
    );
}

#[rstest]
#[tokio::test]
async fn a_rotated_key_is_dead_and_an_update_does_not_bring_it_back(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let path = format!("{AGENTS}/{}", agent.id);
    let before = get(&broker, &agent.pak, &path).await.json();

    let rotated = post(&broker, &agent.pak, &format!("{path}/rotate-pak"), json!({})).await;
    assert_eq!(rotated.status, 200);
    let new = brokkr_api::PakText::new(rotated.json()["pak"].as_str().unwrap());
    assert_eq!(rotated.json()["agent"]["id"], json!(agent.id));
    assert_eq!(
        refusal(&get(&broker, &agent.pak, &path).await),
        refused(401, "invalid_credentials")
    );

    // A client that sends the whole agent back as it was before the rotation.
    assert_eq!(put(&broker, broker.admin_pak(), &path, before).await.status, 200);
    assert_eq!(
        refusal(&get(&broker, &agent.pak, &path).await),
        refused(401, "invalid_credentials")
    );
    assert_eq!(get(&broker, &new, &path).await.status, 200);
}

#[rstest]
#[tokio::test]
async fn a_deleted_agent_is_gone_and_its_key_dead(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let path = format!("{AGENTS}/{}", agent.id);
    assert_eq!(delete(&broker, broker.admin_pak(), &path).await.status, 204);

    assert_eq!(
        refusal(&get(&broker, &agent.pak, &path).await),
        refused(401, "invalid_credentials")
    );
    assert_eq!(
        refusal(&get(&broker, broker.admin_pak(), &path).await),
        refused(404, "agent_not_found")
    );
    assert_eq!(
        refusal(&delete(&broker, broker.admin_pak(), &path).await),
        refused(404, "agent_not_found")
    );
    let rotation = post(
        &broker,
        broker.admin_pak(),
        &format!("{path}/rotate-pak"),
        json!({}),
    )
    .await;
    assert_eq!(refusal(&rotation), refused(404, "agent_not_found"));
    let label = json!({"agent_id": agent.id, "label": "gpu"});
    let labelled = post(&broker, broker.admin_pak(), &format!("{path}/labels"), label).await;
    assert_eq!(refusal(&labelled), refused(422, "foreign_key_violation"));
}

#[rstest]
#[tokio::test]
async fn a_heartbeat_is_the_agents_own_and_needs_no_body(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let (path, heartbeat) = (
        format!("{AGENTS}/{}", agent.id),
        format!("{AGENTS}/{}/heartbeat", agent.id),
    );
    let report = json!({"k8s_reachable": true, "k8s_api_latency_ms": 12});
    assert_eq!(post(&broker, &agent.pak, &heartbeat, report).await.status, 204);
    let bare = Answer::of(
        broker
            .http(Method::POST, &heartbeat)
            .bearer_auth(agent.pak.expose()),
    )
    .await;
    assert_eq!((bare.status, bare.text.as_str()), (204, ""));

    let shown = get(&broker, &agent.pak, &path).await.json();
    assert_eq!(
        (&shown["k8s_reachable"], &shown["k8s_api_latency_ms"]),
        (&json!(true), &json!(12))
    );
    assert!(shown["last_heartbeat"].is_string() && shown["k8s_reported_at"].is_string());

    for pak in [broker.admin_pak(), &other.pak] {
        assert_eq!(
            refusal(&post(&broker, pak, &heartbeat, json!({})).await),
            refused(403, "agent_pak_mismatch")
        );
    }
    for nonsense in [-1, i64::from(i32::MAX) + 1] {
        let answer = post(
            &broker,
            &agent.pak,
            &heartbeat,
            json!({"k8s_api_latency_ms": nonsense}),
        )
        .await;
        assert_eq!(refusal(&answer), refused(400, "invalid_agent"));
    }
}

#[rstest]
#[tokio::test]
async fn a_deleted_agents_claims_are_taken_back_at_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (gone, stays) = (broker.agent().await, broker.agent().await);
    let again = broker.work_order().for_agents([&gone, &stays]).create().await;
    let once = broker
        .work_order()
        .for_agents([&gone, &stays])
        .at_most_once()
        .create()
        .await;
    assert_eq!(gone.claim_next(10).await.unwrap().len(), 2);

    let path = format!("{AGENTS}/{}", gone.id);
    assert_eq!(delete(&broker, broker.admin_pak(), &path).await.status, 204);

    let again = broker.admin().work_order(again.id).await.unwrap();
    assert_eq!((again.status.as_str(), again.lost_count), ("PENDING", 1));
    let once = broker.admin().work_order(once.id).await.unwrap();
    assert_eq!(once.status.as_str(), "LOST");
    assert_eq!(stays.claim_next(10).await.unwrap().len(), 1);
}
