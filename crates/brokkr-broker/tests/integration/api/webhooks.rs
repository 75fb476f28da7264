//! Webhooks: who is told of which events, and what is kept of their secrets.

pub(crate) mod receiver;

use std::sync::Arc;
use std::time::Duration;

use brokkr_api::{
    Cancel, CreateWebhook, EnableWebhook, ListWebhooks, RotateSecret, UpdateWebhook, Webhook, WebhookCreated,
};
use brokkr_broker::app::webhooks::{Receivers, Sealer, Telling};
use brokkr_broker::config::WebhooksConfig;
use brokkr_testkit::{Answer as HttpAnswer, Backend, TestBroker};
use rstest::rstest;
use serde_json::{Value, json};

use super::refusals::code;
use receiver::Receiver;

/// 32 bytes of one value, in base64.
const KEYS: [&str; 2] = [
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
];

/// Configuration for receivers on this host.
pub(crate) fn here() -> WebhooksConfig {
    WebhooksConfig {
        allow_private_addresses: true,
        allow_http: true,
        timeout_seconds: 1,
        ..WebhooksConfig::default()
    }
}

/// Tells receivers as configured, with the `n`th key.
pub(crate) fn telling(config: &WebhooksConfig, n: usize) -> Telling {
    let sealer = Sealer::from_base64(KEYS[n]).unwrap();
    Telling::with(Some(sealer), Receivers::new(config), config)
}

pub(crate) async fn broker(backend: Backend) -> TestBroker {
    TestBroker::start_telling(backend, telling(&here(), 0)).await
}

pub(crate) fn wanting(url: &str, event_types: &[&str]) -> CreateWebhook {
    CreateWebhook {
        name: "hook".to_owned(),
        url: url.to_owned(),
        event_types: event_types.iter().map(ToString::to_string).collect(),
        ..CreateWebhook::default()
    }
}

pub(crate) async fn create(broker: &TestBroker, webhook: &CreateWebhook) -> WebhookCreated {
    broker.admin().create_webhook(webhook).await.unwrap()
}

fn types(heard: &[receiver::Heard]) -> Vec<Value> {
    heard.iter().map(|one| one.json()["type"].clone()).collect()
}

#[rstest]
#[tokio::test]
async fn a_webhook_is_told_of_the_events_that_it_wants_signed_by_its_secret(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let before = broker.work_order().label("gpu").create().await;
    let created = create(&broker, &wanting(&receiver.url, &["work_order.*"])).await;
    let order = broker.work_order().label("gpu").create().await;
    broker.agent().await;
    broker
        .admin()
        .cancel_work_order(order.id, &Cancel::default())
        .await
        .unwrap();

    assert_eq!(broker.tell_webhooks().await, 2);

    let heard = receiver.heard();
    assert_eq!(types(&heard), ["work_order.created", "work_order.cancelled"]);
    let told = heard[1].json();
    assert_eq!(told["data"]["work_order_id"], json!(order.id));
    assert_eq!(
        (&told["data"]["before"], &told["data"]["after"]),
        (&json!("PENDING"), &json!("cancelled"))
    );
    assert!(
        !heard.iter().any(|one| one.body.contains(&before.id.to_string())),
        "it is older than the webhook"
    );
    for one in &heard {
        assert_eq!(one.signatures_by(&created.secret), 1, "{one:?}");
        assert!(one.header("webhook-id").starts_with("msg_"));
        assert_eq!(one.header("content-type"), "application/json");
        assert!(!one.body.contains("yaml"), "{}", one.body);
    }
    assert_eq!(broker.tell_webhooks().await, 0, "once is enough");
}

#[rstest]
#[tokio::test]
async fn filters_by_agent_and_label_leave_the_rest_out(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let (wanted, other) = (broker.agent().await, broker.agent().await);
    let of_agent = CreateWebhook {
        agent_ids: vec![wanted.id],
        ..wanting(&receiver.url, &["work_order.claimed"])
    };
    let of_label = CreateWebhook {
        name: "by label".to_owned(),
        labels: vec!["gpu".to_owned()],
        ..wanting(&receiver.url, &["work_order.created"])
    };
    create(&broker, &of_agent).await;
    create(&broker, &of_label).await;
    let orders = [
        broker.work_order().for_agent(&wanted).create().await,
        broker.work_order().for_agent(&other).create().await,
        broker.work_order().label("gpu").create().await,
        broker.work_order().label("cpu").create().await,
    ];
    wanted.claim(&orders[0]).await.unwrap();
    other.claim(&orders[1]).await.unwrap();

    broker.tell_webhooks().await;

    let mut told: Vec<_> = receiver
        .heard()
        .iter()
        .map(|one| {
            (
                one.json()["type"].clone(),
                one.json()["data"]["work_order_id"].clone(),
            )
        })
        .collect();
    told.sort_by_key(|(kind, _)| kind.to_string());
    assert_eq!(
        told,
        [
            (json!("work_order.claimed"), json!(orders[0].id)),
            (json!("work_order.created"), json!(orders[2].id)),
        ]
    );
}

#[rstest]
#[tokio::test]
async fn after_a_rotation_both_secrets_sign_until_the_overlap_is_over(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let created = create(&broker, &wanting(&receiver.url, &["*"])).await;
    let rotate = RotateSecret {
        overlap_seconds: Some(60),
    };
    let rotated = broker
        .admin()
        .rotate_webhook_secret(created.webhook.id, &rotate)
        .await
        .unwrap();
    assert_ne!(rotated.secret, created.secret);
    let signed = async || {
        broker.admin().test_webhook(created.webhook.id).await.unwrap();
        broker.tell_webhooks().await;
        let heard = receiver.heard().pop().unwrap();
        [&created.secret, &rotated.secret].map(|secret| heard.signatures_by(secret))
    };
    assert_eq!(signed().await, [1, 1]);
    broker.advance(Duration::from_secs(61)).await;
    assert_eq!(signed().await, [0, 1]);
}

#[rstest]
#[tokio::test]
async fn the_authorization_header_is_sent_and_neither_it_nor_the_secret_is_ever_shown_or_stored_in_the_clear(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let webhook = CreateWebhook {
        auth_header: Some("Bearer hush-hush".to_owned()),
        ..wanting(&receiver.url, &["*"])
    };
    let created = create(&broker, &webhook).await;
    broker.admin().test_webhook(created.webhook.id).await.unwrap();
    broker.tell_webhooks().await;
    assert_eq!(receiver.heard()[0].header("authorization"), "Bearer hush-hush");

    let shown = HttpAnswer::of(
        broker
            .http(reqwest::Method::GET, "/api/v1/webhooks")
            .bearer_auth(broker.admin_pak().expose()),
    )
    .await
    .text;
    assert!(created.webhook.has_auth_header && shown.contains("\"has_auth_header\":true"));
    let stored = broker.app().webhook(created.webhook.id.into()).await.unwrap();
    let secret = created.secret.strip_prefix("whsec_").unwrap();
    for text in [shown, format!("{stored:?}")] {
        assert!(!text.contains("hush") && !text.contains(secret), "{text}");
    }
    let none = UpdateWebhook {
        auth_header: Some(String::new()),
        ..UpdateWebhook::default()
    };
    let updated: Webhook = broker
        .admin()
        .update_webhook(created.webhook.id, &none)
        .await
        .unwrap();
    assert!(!updated.has_auth_header);
}

#[rstest]
#[tokio::test]
async fn without_a_key_no_webhook_can_be_created(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let refused = broker
        .admin()
        .create_webhook(&wanting("https://hooks.example.com/", &["*"]))
        .await;
    assert!(format!("{refused:?}").contains("webhooks.key_file"));
    assert_eq!(code(refused), "webhooks_key_missing");
}

#[rstest]
#[tokio::test]
async fn a_webhook_whose_key_was_replaced_is_disabled_and_says_so_until_its_secret_is_rotated(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let created = create(&broker, &wanting(&receiver.url, &["*"])).await;
    let id = created.webhook.id;
    let replaced = broker.replica_telling(telling(&here(), 1)).await;
    replaced.admin().test_webhook(id).await.unwrap();
    replaced.tell_webhooks().await;

    let webhook = replaced.admin().webhook(id).await.unwrap();
    assert!(!webhook.enabled && webhook.disabled_reason.unwrap().contains("another key"));
    assert!(receiver.heard().is_empty());

    let rotated = replaced
        .admin()
        .rotate_webhook_secret(id, &RotateSecret::default())
        .await
        .unwrap();
    replaced
        .admin()
        .enable_webhook(id, &EnableWebhook::default())
        .await
        .unwrap();
    replaced.tell_webhooks().await;
    assert_eq!(receiver.heard()[0].signatures_by(&rotated.secret), 1);
}

#[rstest]
#[case::no_url(json!({"url": "nowhere"}), "must be an absolute URL")]
#[case::scheme(json!({"url": "ftp://example.com"}), "https://")]
#[case::plain_http(json!({"url": "http://example.com"}), "webhooks.allow_http")]
#[case::password(json!({"url": "https://me:secret@example.com"}), "auth_header")]
#[case::loopback(json!({"url": "https://127.0.0.1/"}), "webhooks.allow_private_addresses")]
#[case::loopback_in_another_spelling(json!({"url": "https://2130706433/"}), "webhooks.allow_private_addresses")]
#[case::metadata_service(json!({"url": "https://169.254.169.254/latest"}), "webhooks.allow_private_addresses")]
#[case::mapped(json!({"url": "https://[::ffff:10.0.0.1]/"}), "webhooks.allow_private_addresses")]
#[case::no_events(json!({"event_types": []}), "event_types")]
#[case::unknown_event(json!({"event_types": ["work_order.eaten"]}), "work_order.eaten")]
#[case::blank(json!({"name": " "}), "name")]
#[case::label(json!({"labels": ["a b"]}), "label")]
#[case::header(json!({"auth_header": "a\nb"}), "auth_header")]
#[tokio::test]
async fn a_webhook_that_makes_no_sense_is_refused_with_the_rule(#[case] change: Value, #[case] said: &str) {
    let strict = telling(&WebhooksConfig::default(), 0);
    let broker = TestBroker::start_telling(Backend::Sqlite, strict).await;
    let mut body = json!({"name": "hook", "url": "https://hooks.example.com/", "event_types": ["*"]});
    body.as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    let request = broker
        .http(reqwest::Method::POST, "/api/v1/webhooks")
        .bearer_auth(broker.admin_pak().expose())
        .json(&body);
    let answer = HttpAnswer::of(request).await;
    let refusal = match said.contains("allow_private_addresses") {
        true => (403, "webhook_address_forbidden"),
        false => (400, "invalid_webhook"),
    };
    assert_eq!(
        (answer.status, answer.code().as_str()),
        refusal,
        "{}",
        answer.text
    );
    assert!(answer.text.contains(said), "{}", answer.text);
    let left = broker.admin().webhooks(&ListWebhooks::default()).await.unwrap();
    assert!(left.items.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_called_whatever_it_led_to_before(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    struct Rebound;

    #[async_trait::async_trait]
    impl brokkr_broker::app::webhooks::Lookup for Rebound {
        async fn addresses(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
            Ok(vec![std::net::Ipv4Addr::LOCALHOST.into()])
        }
    }

    let receiver = Receiver::start().await;
    let config = WebhooksConfig {
        allow_private_addresses: false,
        ..here()
    };
    let receivers = Receivers::found_by(&config, Arc::new(Rebound));
    let strict = Telling::with(Some(Sealer::from_base64(KEYS[0]).unwrap()), receivers, &config);
    let broker = TestBroker::start_telling(backend, strict).await;
    let url = receiver.url.replace("127.0.0.1", "hooks.example.com");
    let id = create(&broker, &wanting(&url, &["*"])).await.webhook.id;
    let test = broker.admin().test_webhook(id).await.unwrap();

    broker.tell_webhooks().await;

    assert!(receiver.heard().is_empty());
    let delivery = broker.admin().webhook_delivery(id, test.id).await.unwrap();
    assert!(delivery.last_error.unwrap().contains("not public"));
}

#[rstest]
#[tokio::test]
async fn a_viewer_sees_webhooks_and_changes_none(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = broker(backend).await;
    let created = create(&broker, &wanting("https://hooks.example.com/", &["*"])).await;
    let viewer = broker.viewer().await.client;
    assert_eq!(viewer.webhook(created.webhook.id).await.unwrap(), created.webhook);
    assert_eq!(code(viewer.test_webhook(created.webhook.id).await), "read_only");
    assert_eq!(code(viewer.delete_webhook(created.webhook.id).await), "read_only");
    assert_eq!(
        code(broker.agent().await.client.webhook(created.webhook.id).await),
        "admin_required"
    );
}

#[rstest]
#[tokio::test]
async fn a_disabled_webhook_is_told_nothing_and_when_enabled_what_it_missed_or_only_what_is_new(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = create(&broker, &wanting(&receiver.url, &["work_order.created"]))
        .await
        .webhook
        .id;
    let missed = async || {
        broker.admin().disable_webhook(id).await.unwrap();
        broker.work_order().label("gpu").create().await;
        assert_eq!(broker.tell_webhooks().await, 0);
    };
    missed().await;
    broker
        .admin()
        .enable_webhook(id, &EnableWebhook::default())
        .await
        .unwrap();
    assert_eq!(broker.tell_webhooks().await, 1);

    missed().await;
    broker
        .admin()
        .enable_webhook(id, &EnableWebhook { skip_missed: true })
        .await
        .unwrap();
    assert_eq!(broker.tell_webhooks().await, 0);
    assert_eq!(
        code(
            broker
                .admin()
                .create_webhook(&wanting(&receiver.url, &["*"]))
                .await
        ),
        "unique_violation"
    );
    broker.admin().delete_webhook(id).await.unwrap();
    assert_eq!(code(broker.admin().webhook(id).await), "webhook_not_found");
}
