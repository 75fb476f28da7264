//! Texts of every kind that callers may send: they come back as they were, on both databases.

use brokkr_api::{
    Cancel, Complete, CreateGenerator, CreatePak, EndingItem, EndingsRequest, FailureClass, PakRole, Release,
    WorkOrder,
};
use brokkr_client::{CancelOutcome, CompleteOutcome};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::json;

use super::endings::claimed;

/// Valid everywhere where a text may be anything, and each a trap for somebody who quotes, escapes, splits or counts.
const TEXTS: &[&str] = &[
    "'; DROP TABLE work_orders; --",
    "\"quoted\" \\ \\u0000 \\n $1 %s {0} ${HOME}",
    "\u{1}\u{1f}\t\r\n.",
    "\u{202e}desrever\u{202c} a\u{301} \u{1f469}\u{200d}\u{1f680} \u{fffd} \u{10ffff}",
    "[null, {\"a\": 1}]",
    " spaces around ",
    "null",
    "<script>alert(1)</script>&amp;",
];

#[rstest]
#[tokio::test]
async fn what_an_order_carries_comes_back_as_it_was(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    for text in TEXTS {
        // A comment would end at its line's end, so the text is written as a JSON string, which YAML reads too.
        let yaml = format!("text: {}\n# ü\u{1f680}\n", json!(text));
        let order = broker
            .work_order()
            .label("l'\"\\$1%é")
            .annotation("k'\"", "v\\")
            .yaml(&yaml);
        let order = order.metadata("key 'of' \"it\" \\ é", text).create().await;
        let shown = broker.admin().work_order(order.id).await.unwrap();
        assert_eq!((shown.yaml_content.as_str(), &shown), (yaml.as_str(), &order));
        assert_eq!(shown.metadata.values().collect::<Vec<_>>(), [text]);
        assert_eq!(shown.targeting.labels, ["l'\"\\$1%é"]);
    }
}

#[rstest]
#[tokio::test]
async fn what_an_ending_says_comes_back_as_it_was(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for text in TEXTS {
        let claim = claimed(&broker, &agent).await;
        let result =
            json!({(*text): [text, null, 1.5, -0.0, 1e-300, u64::MAX, i64::MIN, {"\u{0}": "a\u{0}b"}]});
        let report = Complete {
            success: true,
            message: Some((*text).to_owned()),
            exit_code: Some(i64::from(i32::MIN)),
            result: Some(result.clone()),
            ..Complete::default()
        };
        let CompleteOutcome::Ended(entry) = agent.complete(&claim, report).await.unwrap() else {
            panic!("a success is not tried again")
        };
        assert_eq!(
            (entry.result_message.as_deref(), &entry.result),
            (Some(*text), &Some(result))
        );
        assert_eq!(entry.exit_code, Some(i64::from(i32::MIN)));
        assert_eq!(
            broker.admin().work_order_log_entry(claim.id).await.unwrap(),
            *entry
        );
        let attempts = broker.admin().attempts(claim.id).await.unwrap();
        assert_eq!(
            (&attempts[0].message, &attempts[0].result),
            (&entry.result_message, &entry.result)
        );
    }
}

#[rstest]
#[tokio::test]
async fn what_a_failure_a_release_and_a_cancellation_say_comes_back_as_it_was(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for text in TEXTS {
        let said = || Some((*text).to_owned());
        let claim = claimed(&broker, &agent).await;
        let release = Release {
            agent_id: agent.id,
            attempt: claim.attempt,
            reason: said(),
        };
        agent.client.release(claim.id, &release).await.unwrap();
        let claim = agent.claim(&claim).await.unwrap();
        let report = Complete {
            message: said(),
            class: Some(FailureClass::Infrastructure),
            ..Complete::default()
        };
        agent.complete(&claim, report).await.unwrap();
        let waiting: WorkOrder = broker.admin().work_order(claim.id).await.unwrap();
        assert_eq!(waiting.last_error, said());
        let outcome = broker
            .admin()
            .cancel_work_order(claim.id, &Cancel { reason: said() })
            .await
            .unwrap();
        let CancelOutcome::Ended(entry) = outcome else {
            panic!("it was waiting")
        };
        assert_eq!(entry.result_message, said());
        let attempts = broker.admin().attempts(claim.id).await.unwrap();
        assert_eq!(
            attempts
                .iter()
                .map(|attempt| &attempt.message)
                .collect::<Vec<_>>(),
            [&said(), &said()]
        );
    }
}

#[rstest]
#[tokio::test]
async fn the_largest_report_is_kept_and_a_larger_one_is_not(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let item = |bytes: usize| EndingItem {
        id: claim.id,
        attempt: 1,
        success: true,
        message: Some("ü".repeat(bytes / 2)),
        class: None,
        retryable: None,
        exit_code: Some(i64::MAX),
        result: None,
    };
    let end = async |item| {
        let answer = agent
            .client
            .end(agent.id, &EndingsRequest { endings: vec![item] })
            .await
            .unwrap();
        answer.items[0].clone()
    };
    let larger = end(item(64 * 1024 + 2)).await;
    assert_eq!(
        (larger.status, larger.error.unwrap().code.as_str()),
        (400, "invalid_ending")
    );
    let largest = end(item(64 * 1024)).await.work_order_log.unwrap();
    assert_eq!(largest.result_message.map(|text| text.len()), Some(64 * 1024));
    assert_eq!(largest.exit_code, Some(i64::MAX));
}

#[rstest]
#[tokio::test]
async fn names_and_descriptions_come_back_as_they_were(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let names = TEXTS
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.chars().any(char::is_control));
    for name in names {
        let description = Some(name.to_owned());
        let request = CreateGenerator {
            name: name.to_owned(),
            description: description.clone(),
        };
        let generator = broker.admin().create_generator(&request).await.unwrap().generator;
        assert_eq!(
            (generator.name.as_str(), &generator.description),
            (name, &description)
        );
        let request = CreatePak {
            name: name.to_owned(),
            role: PakRole::Viewer,
            expires_at: None,
        };
        assert_eq!(
            broker.admin().create_pak(&request).await.unwrap().pak_info.name,
            name
        );
    }
}
