//! Deliveries to webhooks: sent until the receiver has them, and again when somebody asks for that.

use std::collections::HashSet;
use std::time::Duration;

use brokkr_api::{
    CreateWebhook, DeliveryStatus, EnableWebhook, ListDeliveries, ReplayDeliveries, Time, WebhookDelivery,
};
use brokkr_broker::app::webhooks::InHand;
use brokkr_broker::config::{RetentionConfig, WebhooksConfig};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use uuid::Uuid;

use super::refusals::code;
use super::webhooks::receiver::{Answer, Receiver};
use super::webhooks::{broker, create, here, telling, wanting};

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn webhook(broker: &TestBroker, receiver: &Receiver) -> Uuid {
    create(broker, &wanting(&receiver.url, &["work_order.*"]))
        .await
        .webhook
        .id
}

/// Sends a test and answers what became of it.
async fn tested(broker: &TestBroker, id: Uuid) -> WebhookDelivery {
    let test = broker.admin().test_webhook(id).await.unwrap();
    broker.tell_webhooks().await;
    broker.admin().webhook_delivery(id, test.id).await.unwrap()
}

#[rstest]
#[case::server_error(Answer::Status(500), Some(500))]
#[case::unavailable(Answer::Status(503), Some(503))]
#[case::too_many_requests(Answer::Status(429), Some(429))]
#[case::silence(Answer::Hang, None)]
#[tokio::test]
async fn a_receiver_in_trouble_is_told_again_until_it_answers(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
    #[case] answer: Answer,
    #[case] status: Option<i64>,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = webhook(&broker, &receiver).await;
    receiver.answers(answer);

    let delivery = tested(&broker, id).await;

    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Pending, 1));
    assert_eq!(delivery.last_status, status);
    assert!(
        delivery.last_error.is_some() && broker.admin().webhook(id).await.unwrap().failing_since.is_some()
    );
    receiver.answers(Answer::Status(204));
    broker.advance(Duration::from_secs(6)).await;
    broker.tell_webhooks().await;
    let delivery = broker.admin().webhook_delivery(id, delivery.id).await.unwrap();
    assert_eq!(
        (delivery.status, delivery.attempts),
        (DeliveryStatus::Delivered, 2)
    );
    assert_eq!(broker.admin().webhook(id).await.unwrap().failing_since, None);
    let heard = receiver.heard();
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
    assert_ne!(
        heard[0].header("webhook-timestamp"),
        heard[1].header("webhook-timestamp")
    );
}

#[rstest]
#[tokio::test]
async fn a_receiver_that_says_when_to_come_again_is_not_told_before(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = webhook(&broker, &receiver).await;
    receiver.answers(Answer::RetryAfter(600));
    tested(&broker, id).await;
    receiver.answers(Answer::Status(200));
    broker.advance(Duration::from_secs(599)).await;
    assert_eq!(broker.tell_webhooks().await, 0);
    broker.advance(Duration::from_secs(1)).await;
    assert_eq!(broker.tell_webhooks().await, 1);
}

#[rstest]
#[tokio::test]
async fn a_receiver_that_refuses_is_told_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
    #[values(400, 401, 404, 422)] status: u16,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = webhook(&broker, &receiver).await;
    receiver.answers(Answer::Status(status));
    let delivery = tested(&broker, id).await;
    assert_eq!(delivery.status, DeliveryStatus::Failed);
    assert!(delivery.last_error.unwrap().contains(&status.to_string()));
    broker.advance(DAY).await;
    assert_eq!(broker.tell_webhooks().await, 0);
}

#[rstest]
#[tokio::test]
async fn a_redirect_is_not_followed_wherever_it_leads(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver, inside) = (
        broker(backend).await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let id = webhook(&broker, &receiver).await;
    receiver.answers(Answer::Redirect(inside.url.clone()));
    let delivery = tested(&broker, id).await;
    assert_eq!(
        (delivery.status, delivery.last_status),
        (DeliveryStatus::Failed, Some(307))
    );
    assert!(
        delivery
            .last_error
            .unwrap()
            .contains("redirects are not followed")
    );
    assert!(inside.heard().is_empty());
}

#[rstest]
#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_webhook_at_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = webhook(&broker, &receiver).await;
    receiver.answers(Answer::Status(410));
    tested(&broker, id).await;
    let webhook = broker.admin().webhook(id).await.unwrap();
    assert!(webhook.disabled_reason.unwrap().contains("410"));
    assert_eq!(code(broker.admin().test_webhook(id).await), "webhook_disabled");
}

#[rstest]
#[tokio::test]
async fn days_of_nothing_but_failures_disable_a_webhook_and_lose_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = webhook(&broker, &receiver).await;
    receiver.answers(Answer::Status(500));
    let mut orders = Vec::new();
    for _ in 0..7 {
        orders.push(broker.work_order().label("gpu").create().await.id);
        broker.advance(DAY).await;
        broker.tell_webhooks().await;
    }
    let disabled = broker.admin().webhook(id).await.unwrap();
    assert!(disabled.disabled_reason.unwrap().contains("5 days"));
    receiver.heard();

    receiver.answers(Answer::Status(200));
    broker
        .admin()
        .enable_webhook(id, &EnableWebhook::default())
        .await
        .unwrap();
    broker.tell_webhooks().await;
    let range = ReplayDeliveries {
        since: Time::from_micros(0),
        until: None,
        delivered: false,
    };
    broker
        .admin()
        .replay_webhook_deliveries(id, &range)
        .await
        .unwrap();
    broker.tell_webhooks().await;
    assert_eq!(told(&receiver), orders.into_iter().collect());
}

/// The orders that it heard of.
fn told(receiver: &Receiver) -> HashSet<Uuid> {
    let order = |json: serde_json::Value| json["data"]["work_order_id"].as_str().unwrap().parse().unwrap();
    receiver.heard().iter().map(|one| order(one.json())).collect()
}

#[rstest]
#[tokio::test]
async fn a_receiver_that_is_down_for_an_hour_while_the_broker_is_killed_hears_of_every_event(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = webhook(&broker, &receiver).await;
    receiver.answers(Answer::Status(502));
    let mut orders = HashSet::new();
    let mut successor = None;
    for minute in 0..60 {
        let alive = successor.as_ref().unwrap_or(&broker);
        orders.insert(alive.work_order().label("gpu").create().await.id);
        if minute == 30 {
            // It takes what is due, and is gone before it has sent anything.
            let app = broker.app();
            app.make_webhook_deliveries(100).await.unwrap();
            let taken = app
                .take_webhook_deliveries(&Default::default(), 100)
                .await
                .unwrap();
            assert!(!taken.is_empty());
            drop(taken);
            successor = Some(broker.replica_telling(telling(&here(), 0)).await);
        } else {
            alive.tell_webhooks().await;
        }
        broker.clock().advance(Duration::from_secs(60));
    }
    let successor = successor.unwrap();
    receiver.heard();
    receiver.answers(Answer::Status(200));
    for _ in 0..61 {
        successor.tell_webhooks().await;
        broker.clock().advance(Duration::from_secs(60));
    }
    assert_eq!(told(&receiver), orders, "every event is delivered at least once");
    let list = ListDeliveries {
        status: Some(DeliveryStatus::Delivered),
        ..ListDeliveries::default()
    };
    let delivered = successor
        .admin()
        .webhook_deliveries(id, &list)
        .await
        .unwrap()
        .items;
    assert_eq!(delivered.len(), orders.len());

    let range = ReplayDeliveries {
        since: Time::from_micros(0),
        until: None,
        delivered: true,
    };
    let replayed = successor
        .admin()
        .replay_webhook_deliveries(id, &range)
        .await
        .unwrap();
    assert_eq!((replayed.replayed, replayed.more), (60, false));
    successor.tell_webhooks().await;
    assert_eq!(told(&receiver), orders, "a replay tells all of it again");
}

#[rstest]
#[tokio::test]
async fn replicas_that_tell_at_the_same_time_send_each_delivery_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let replica = broker.replica_telling(telling(&here(), 0)).await;
    webhook(&broker, &receiver).await;
    for _ in 0..30 {
        broker.work_order().label("gpu").create().await;
    }
    let (mine, others) = tokio::join!(broker.tell_webhooks(), replica.tell_webhooks());
    // Whoever came second to the webhook's row left it to the first, and may have found nothing due.
    let rest = broker.tell_webhooks().await;
    assert_eq!((mine + others + rest, receiver.heard().len()), (30, 30));
}

#[rstest]
#[tokio::test]
async fn one_webhook_gets_a_quarter_of_the_places_however_much_it_has_to_hear(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    const PLACES: u32 = 16;
    let (broker, greedy, modest) = (
        broker(backend).await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let greedy_id = webhook(&broker, &greedy).await;
    let other = CreateWebhook {
        name: "modest".to_owned(),
        ..wanting(&modest.url, &["*"])
    };
    let modest_id = create(&broker, &other).await.webhook.id;
    let (app, in_hand) = (broker.app(), InHand::default());
    let take = async || app.take_webhook_deliveries(&in_hand, PLACES).await.unwrap();

    // One is in hand already, so that there is less room than a quarter.
    broker.admin().test_webhook(greedy_id).await.unwrap();
    let mut taken = take().await;
    for _ in 0..20 {
        broker.admin().test_webhook(greedy_id).await.unwrap();
    }
    broker.admin().test_webhook(modest_id).await.unwrap();
    loop {
        let more = take().await;
        if more.is_empty() {
            break;
        }
        taken.extend(more);
    }
    for due in taken {
        app.send_webhook_delivery(due).await.unwrap();
    }
    assert_eq!((greedy.heard().len(), modest.heard().len()), (4, 1));
    assert_eq!(broker.tell_webhooks().await, 17, "and the rest in their turn");
}

#[rstest]
#[tokio::test]
async fn one_delivery_is_replayed_under_its_id(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = webhook(&broker, &receiver).await;
    let delivery = tested(&broker, id).await;
    broker
        .admin()
        .replay_webhook_delivery(id, delivery.id)
        .await
        .unwrap();
    broker.tell_webhooks().await;
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
    let strange = broker.admin().replay_webhook_delivery(id, Uuid::nil()).await;
    assert_eq!(code(strange), "webhook_delivery_not_found");
}

#[rstest]
#[tokio::test]
async fn a_receiver_that_is_full_of_words_costs_a_kilobyte_of_them(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let config = WebhooksConfig {
        give_up_after_days: 1,
        ..here()
    };
    let broker = TestBroker::start_telling(backend, telling(&config, 0)).await;
    let app = axum::Router::new().fallback(async || {
        (
            axum::http::StatusCode::BAD_REQUEST,
            "x\u{1b}[31m".repeat(1_000_000),
        )
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let id = create(&broker, &wanting(&url, &["*"])).await.webhook.id;
    let error = tested(&broker, id).await.last_error.unwrap();
    assert!(
        error.len() <= 1_200 && !error.contains('\u{1b}'),
        "{}",
        error.len()
    );
}

#[rstest]
#[tokio::test]
async fn events_that_a_webhook_has_still_to_hear_of_are_not_forgotten(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    webhook(&broker, &receiver).await;
    let order = broker.work_order().label("gpu").create().await.id;
    broker.clock().advance(DAY * 30);
    broker
        .app()
        .forget(&RetentionConfig::default(), 100)
        .await
        .unwrap();
    broker.tell_webhooks().await;
    assert_eq!(told(&receiver), HashSet::from([order]));
}

#[rstest]
#[tokio::test]
async fn a_sender_that_comes_back_late_does_not_overwrite_what_another_one_found_out(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let (broker, receiver) = (broker(backend).await, Receiver::start().await);
    let id = webhook(&broker, &receiver).await;
    let test = broker.admin().test_webhook(id).await.unwrap();
    let (app, late) = (broker.app(), InHand::default());
    let mut taken = app.take_webhook_deliveries(&late, 10).await.unwrap();
    assert_eq!(broker.tell_webhooks().await, 0, "it is in hand");
    broker.clock().advance(Duration::from_secs(60));
    assert_eq!(
        broker.tell_webhooks().await,
        1,
        "whoever had it in hand is taken for gone"
    );

    receiver.answers(Answer::Status(400));
    app.send_webhook_delivery(taken.pop().unwrap()).await.unwrap();

    let delivery = broker.admin().webhook_delivery(id, test.id).await.unwrap();
    assert_eq!(
        (delivery.status, delivery.last_status),
        (DeliveryStatus::Delivered, Some(200))
    );
}
