//! Webhooks on pages: making, trying, repeating, changing, and what is said when that cannot be.

use std::time::Duration;

use brokkr_api::{ListDeliveries, ListWebhooks, Webhook};
use brokkr_testkit::{Answer, Backend, TestBroker};
use rstest::rstest;

use super::{HOSTILE, Visitor, encoded, shown_once};
use crate::api::webhooks::receiver::{self, Receiver};
use crate::api::webhooks::{broker, create, wanting};

fn form(url: &str) -> String {
    let event_types = encoded("work_order.*, agent.paused");
    format!("name=hook&url={}&event_types={event_types}", encoded(url))
}

async fn only_webhook(broker: &TestBroker) -> Webhook {
    let mut webhooks = broker.admin().webhooks(&ListWebhooks::default()).await.unwrap();
    assert_eq!(webhooks.items.len(), 1);
    webhooks.items.remove(0)
}

/// The states of what the webhook was told, the latest first.
async fn states(broker: &TestBroker, webhook: &Webhook) -> Vec<String> {
    let query = ListDeliveries::default();
    let deliveries = broker.admin().webhook_deliveries(webhook.id, &query).await;
    let states = deliveries.unwrap().items.into_iter();
    states.map(|delivery| format!("{:?}", delivery.status)).collect()
}

#[rstest]
#[tokio::test]
async fn a_webhook_is_made_with_a_secret_that_is_shown_once_and_tried(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let made = admin.act("/webhooks", &form(&receiver.url)).await;
    let secret = shown_once(&made);
    assert!(secret.starts_with("whsec_"), "{secret}");
    let webhook = only_webhook(&broker).await;
    assert_eq!(webhook.event_types, ["work_order.*", "agent.paused"]);

    let page = format!("/webhooks/{}", webhook.id);
    let tried = admin.act(&page, "act=test").await;
    assert_eq!(tried.status, 303);
    assert!(admin.get(tried.header("location")).await.text.contains("PENDING"));
    broker.tell_webhooks().await;
    assert_eq!(receiver.heard()[0].signatures_by(&secret), 1);
    let delivery = admin.get(tried.header("location")).await.text;
    for word in ["DELIVERED", "answered 200", "webhook.test"] {
        assert!(delivery.contains(word), "{word} is missing");
    }
    for page in [page.as_str(), "/webhooks"] {
        let text = admin.get(page).await.text;
        assert!(text.contains("enabled") && !text.contains(&secret), "{page}");
    }
}

#[rstest]
#[tokio::test]
async fn deliveries_are_sent_again_one_by_one_and_by_their_time(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let webhook = create(&broker, &wanting(&receiver.url, &["work_order.*"]))
        .await
        .webhook;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    receiver.answers(receiver::Answer::Status(400));
    broker.work_order().label("gpu").create().await;
    broker.work_order().label("gpu").create().await;
    broker.tell_webhooks().await;
    let page = format!("/webhooks/{}", webhook.id);
    let shown = admin.get(&page).await.text;
    assert!(shown.contains("answered 400") && shown.contains("work_order.created"));
    assert_eq!(states(&broker, &webhook).await, ["Failed", "Failed"]);

    receiver.answers(receiver::Answer::Status(200));
    let (_, after) = shown.split_once("/deliveries/").unwrap();
    let delivery = after.split('"').next().unwrap();
    let again = admin.act(&format!("{page}/deliveries/{delivery}"), "").await;
    assert_eq!(again.status, 303);
    broker.tell_webhooks().await;
    assert_eq!(states(&broker, &webhook).await, ["Delivered", "Failed"]);

    broker.advance(Duration::from_secs(1)).await;
    let range = "act=replay&since=2000-01-01T00:00:00Z&until=";
    let again = admin.act(&page, range).await;
    assert_eq!(again.header("location"), format!("{page}?replayed=1"));
    let said = admin.get(again.header("location")).await.text;
    assert!(said.contains("1 deliveries are sent again"));
    let all = admin.act(&page, &format!("{range}&delivered=yes")).await;
    assert_eq!(all.header("location"), format!("{page}?replayed=1"));
    broker.tell_webhooks().await;
    assert_eq!(states(&broker, &webhook).await, ["Delivered", "Delivered"]);

    for since in ["yesterday", "2999-01-01T00:00:00Z"] {
        let refused = admin.act(&page, &format!("act=replay&since={since}")).await;
        assert_eq!(refused.status, 400, "{since}");
    }
}

#[rstest]
#[tokio::test]
async fn deliveries_are_listed_by_their_state(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let webhook = create(&broker, &wanting(&receiver.url, &["*"])).await.webhook;
    broker.admin().test_webhook(webhook.id).await.unwrap();
    broker.tell_webhooks().await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    for (status, is_there) in [("", true), ("DELIVERED", true), ("FAILED", false)] {
        let page = admin
            .get(&format!("/webhooks/{}?status={status}", webhook.id))
            .await;
        assert_eq!(page.text.contains("webhook.test"), is_there, "{status}");
    }
}

#[rstest]
#[tokio::test]
async fn a_webhook_is_changed_disabled_enabled_and_deleted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = broker(backend).await;
    let mut new = wanting("https://hooks.example.com/a", &["*"]);
    new.auth_header = Some("Bearer of-the-receiver".to_owned());
    let created = create(&broker, &new).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let page = format!("/webhooks/{}", created.webhook.id);
    assert!(!admin.get(&page).await.text.contains("of-the-receiver"));

    let change = format!("act=change&{}", form("https://hooks.example.com/b"));
    assert_eq!(admin.act(&page, &change).await.status, 303);
    let webhook = only_webhook(&broker).await;
    assert_eq!(webhook.url, "https://hooks.example.com/b");
    assert!(webhook.has_auth_header, "an empty field keeps it");
    admin
        .act(&page, &format!("{change}&without_auth_header=yes"))
        .await;
    assert!(!only_webhook(&broker).await.has_auth_header);

    let secret = shown_once(&admin.act(&page, "act=rotate").await);
    assert!(secret.starts_with("whsec_") && secret != created.secret);
    assert!(admin.get(&page).await.text.contains("Second secret"));

    admin.act(&page, "act=disable").await;
    let said = admin.get("/webhooks").await.text;
    assert!(said.contains("disabled by "), "the list says why");
    assert_eq!(admin.act(&page, "act=test").await.status, 409);
    for enable in ["act=enable", "act=enable-for-new"] {
        admin.act(&page, enable).await;
        assert!(only_webhook(&broker).await.enabled, "{enable}");
        admin.act(&page, "act=disable").await;
    }

    let gone = admin.act(&page, "act=delete").await;
    assert_eq!((gone.status, gone.header("location")), (303, "/webhooks"));
    for path in [page.clone(), format!("{page}/deliveries/{}", created.webhook.id)] {
        assert_eq!(admin.get(&path).await.status, 404, "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn what_is_wrong_is_said_beside_the_form_as_it_was(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = broker(backend).await;
    let created = create(&broker, &wanting("https://hooks.example.com/a", &["*"])).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let page = format!("/webhooks/{}", created.webhook.id);
    let refused = |answer: &Answer| {
        let has_alert = answer.text.contains("role=\"alert\"");
        assert!(
            answer.status == 400 && has_alert,
            "{}: {}",
            answer.status,
            answer.text
        );
        assert!(!answer.text.contains("<script>alert"));
        assert!(answer.text.contains("script&#62;alert(1)"), "the form forgets");
    };
    for fields in [
        format!("name=a&url={}&event_types=*", encoded(HOSTILE)),
        format!("name=a&url=https://a.example&event_types={}", encoded(HOSTILE)),
        format!(
            "name=a&url=https://a.example&event_types=*&agents={}",
            encoded(HOSTILE)
        ),
    ] {
        refused(&admin.act("/webhooks", &fields).await);
        refused(&admin.act(&page, &format!("act=change&{fields}")).await);
    }
    let taken = admin.act("/webhooks", &form("https://hooks.example.com/c")).await;
    assert_eq!(taken.status, 409);
    assert_eq!(only_webhook(&broker).await, created.webhook);
}

#[rstest]
#[tokio::test]
async fn a_broker_without_a_key_says_so_and_makes_no_webhook(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let page = admin.get("/webhooks").await.text;
    assert!(page.contains("webhooks.key_file") && !page.contains("action=\"/webhooks\""));
    let refused = admin.act("/webhooks", &form("https://hooks.example.com/a")).await;
    assert!(refused.status == 409 && refused.text.contains("webhooks.key_file"));
}
