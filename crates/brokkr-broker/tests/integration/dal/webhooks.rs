use brokkr_broker::dal::Tx;
use brokkr_broker::dal::webhooks::{self, Settings, Webhook};
use brokkr_core::ids::WebhookId;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;
use uuid::Uuid;

use super::samples::at;

async fn create(tx: &mut Tx) -> Webhook {
    let settings = Settings {
        name: "hook".to_owned(),
        url: "https://hooks.example.com".to_owned(),
        event_types: r#"["*"]"#.to_owned(),
        agent_ids: "[]".to_owned(),
        labels: "[]".to_owned(),
        key_id: "key".to_owned(),
        secret: "sealed".to_owned(),
        previous: None,
        auth_header: None,
    };
    let id = WebhookId::new(Uuid::from_u128(1));
    webhooks::create(tx, id, &settings, 7, at(0)).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn no_deliveries_are_made_of_a_webhook_that_was_disabled_since_it_was_listed(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let webhook = create(&mut tx).await;
    assert_eq!(
        webhooks::take(&mut tx, webhook.id).await.unwrap(),
        Some(webhook.clone())
    );

    webhooks::disable(&mut tx, webhook.id, "enough", at(1))
        .await
        .unwrap();
    assert_eq!(webhooks::take(&mut tx, webhook.id).await.unwrap(), None);

    let enabled = webhooks::enable(&mut tx, webhook.id, None, at(2)).await.unwrap();
    assert_eq!(webhooks::take(&mut tx, webhook.id).await.unwrap(), enabled);
}

#[tokio::test]
async fn a_webhook_that_one_replica_makes_the_deliveries_of_is_passed_over_by_another() {
    let db = TestDb::start(Backend::Postgres).await;
    let mut tx = db.begin().await.unwrap();
    let webhook = create(&mut tx).await;
    tx.commit().await.unwrap();

    let mut one = db.begin().await.unwrap();
    assert!(webhooks::take(&mut one, webhook.id).await.unwrap().is_some());
    let mut other = db.begin().await.unwrap();
    assert_eq!(webhooks::take(&mut other, webhook.id).await.unwrap(), None);
    one.commit().await.unwrap();
    assert!(webhooks::take(&mut other, webhook.id).await.unwrap().is_some());
}
