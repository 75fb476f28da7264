use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::call::{post, refusal, refused};

const AUTH: &str = "/api/v1/auth/pak";

#[rstest]
#[tokio::test]
async fn everybody_hears_who_they_are(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let (agent, generator, viewer) = (
        broker.agent().await,
        broker.generator().await,
        broker.viewer().await,
    );
    let nobody = json!({"admin": false, "agent": null, "generator": null, "readonly": false});
    let with = |name: &str, value: serde_json::Value| {
        let mut answer = nobody.clone();
        answer[name] = value;
        answer
    };
    for (pak, expected) in [
        (broker.admin_pak(), with("admin", json!(true))),
        (&viewer.pak, with("readonly", json!(true))),
        (&agent.pak, with("agent", json!(agent.id))),
        (&generator.pak, with("generator", json!(generator.id))),
    ] {
        let answer = post(&broker, pak, AUTH, json!({})).await;
        assert_eq!((answer.status, answer.json()), (200, expected));
    }
}

#[tokio::test]
async fn a_key_is_taken_after_bearer_or_bare_and_in_no_other_way() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let pak = broker.admin_pak().expose();
    let ask = async |header: String| {
        Answer::of(broker.http(Method::POST, AUTH).header("Authorization", header)).await
    };
    for header in [format!("Bearer {pak}"), format!("bearer {pak}"), pak.to_owned()] {
        assert_eq!(ask(header.clone()).await.status, 200, "{header}");
    }
    for header in [
        format!("Basic {pak}"),
        format!("BEARER {pak}"),
        format!("Token {pak}"),
        format!("Bearer  {pak}"),
        format!("Bearer {pak} more"),
        "Bearer".to_owned(),
        String::new(),
    ] {
        assert_eq!(
            refusal(&ask(header.clone()).await),
            refused(401, "invalid_credentials"),
            "{header}"
        );
    }
}

#[tokio::test]
async fn without_a_key_or_with_two_nobody_is_known() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let none = Answer::of(broker.http(Method::POST, AUTH)).await;
    assert_eq!(refusal(&none), refused(401, "missing_credentials"));
    assert_eq!(none.header("www-authenticate"), "Bearer");

    let pak = broker.admin_pak().expose();
    let twice = broker
        .http(Method::POST, AUTH)
        .header("Authorization", pak)
        .header("Authorization", pak);
    assert_eq!(
        refusal(&Answer::of(twice).await),
        refused(401, "missing_credentials")
    );
}

#[rstest]
#[tokio::test]
async fn both_parts_of_a_key_must_be_right(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let parts = |pak: &str| {
        let (short, long) = pak.trim_start_matches("brokkr_BR").split_once('_').unwrap();
        (short.to_owned(), long.to_owned())
    };
    let (admin_short, admin_long) = parts(broker.admin_pak().expose());
    let (agent_short, agent_long) = parts(agent.pak.expose());
    for (short, long) in [(&admin_short, &agent_long), (&agent_short, &admin_long)] {
        let crossed = brokkr_api::PakText::new(format!("brokkr_BR{short}_{long}"));
        assert_eq!(
            refusal(&post(&broker, &crossed, AUTH, json!({})).await),
            refused(401, "invalid_credentials")
        );
    }
}
