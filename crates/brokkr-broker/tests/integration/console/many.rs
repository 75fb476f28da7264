//! Lists that are narrowed, and what is done with many orders at once.

use std::time::Duration;

use brokkr_api::{FailureClass, ListWorkOrders, WorkOrder, WorkOrderStatus};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::Visitor;

async fn waiting(broker: &TestBroker, label: &str) -> WorkOrder {
    let order = broker.work_order().label(label).create().await;
    broker.advance(Duration::from_secs(1)).await;
    order
}

async fn status(broker: &TestBroker, order: &WorkOrder) -> WorkOrderStatus {
    broker.admin().work_order(order.id).await.unwrap().status
}

/// The time of the count that a page asks to be sure of.
fn before(page: &str) -> String {
    let (_, after) = page.split_once("name=\"before\" value=\"").expect("a count");
    after.split('"').next().unwrap().to_owned()
}

#[rstest]
#[tokio::test]
async fn a_list_shows_what_its_address_says_and_its_links_keep_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let held = broker.work_order().for_agent(&agent).create().await;
    agent.claim(&held).await.unwrap();
    let mut batch = vec![broker.work_order().label("gpu").request(); 101];
    batch.push(broker.work_order().label("other").yaml("name: nightly").request());
    let batch = brokkr_api::BatchCreate { work_orders: batch };
    broker.admin().create_work_orders(&batch, None).await.unwrap();
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let rows = async |path: &str| {
        let page = admin.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        (page.text.matches("type=\"checkbox\"").count(), page.text)
    };
    for (path, expected) in [
        ("/orders", 100),
        ("/orders?state=CLAIMED", 1),
        (&*format!("/orders?agent={}", agent.id), 1),
        ("/orders?label=other", 1),
        ("/orders?label=other&type=build", 0),
        ("/orders?text=NIGHTLY", 1),
        (&*format!("/orders?by={}", held.submitted_by), 100),
        ("/orders?by=nobody", 0),
        ("/orders?state=LOST", 0),
    ] {
        assert_eq!(rows(path).await.0, expected, "{path}");
    }
    let (_, page) = rows("/orders?state=PENDING&label=gpu").await;
    let (link, _) = page.split_once("\" rel=\"next\"").expect("a next page");
    let next = link.rsplit('"').next().unwrap().replace("&#38;", "&");
    assert!(
        next.starts_with("/orders?state=PENDING&label=gpu&after="),
        "{next}"
    );
    assert_eq!(rows(&next).await.0, 1);

    for path in [
        "/orders?state=NONSENSE",
        "/orders?label=two+words",
        "/orders?agent=runner",
    ] {
        let (shown, page) = rows(path).await;
        assert!(shown == 0 && page.contains("role=\"alert\""), "{path}");
        assert!(!page.contains("Cancel all of these"), "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn what_a_list_shows_is_cancelled_after_a_look_at_how_many(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (old, other) = (waiting(&broker, "old").await, waiting(&broker, "other").await);
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let preview = admin.act("/orders/cancellations", "label=old").await;
    assert!(
        preview.text.contains("<b>1</b> order can be cancelled"),
        "{}",
        preview.text
    );
    assert_eq!(
        status(&broker, &old).await,
        WorkOrderStatus::Pending,
        "a look changed something"
    );

    let late = waiting(&broker, "old").await;
    let sure = format!("label=old&reason=a+mistake&before={}", before(&preview.text));
    let done = admin.act("/orders/cancellations", &sure).await;
    assert_eq!((done.status, done.header("location")), (303, "/orders?label=old"));
    let entry = broker.admin().work_order_log_entry(old.id).await.unwrap();
    assert_eq!(entry.result_message.as_deref(), Some("a mistake"));
    for order in [&other, &late] {
        assert_eq!(status(&broker, order).await, WorkOrderStatus::Pending);
    }
}

#[rstest]
#[tokio::test]
async fn those_that_were_ticked_are_cancelled_or_repeated_and_no_others(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let [one, two, three] = [
        waiting(&broker, "a").await,
        waiting(&broker, "a").await,
        waiting(&broker, "a").await,
    ];
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let ticked = format!("chosen=1&id={}&id={}", one.id, three.id);
    let preview = admin.act("/orders/cancellations", &ticked).await;
    assert!(preview.text.contains("<b>2</b> orders"), "{}", preview.text);
    let sure = format!("id={}&id={}&before={}", one.id, three.id, before(&preview.text));
    assert_eq!(admin.act("/orders/cancellations", &sure).await.status, 303);
    let left = broker
        .admin()
        .work_orders(&ListWorkOrders::default())
        .await
        .unwrap();
    assert_eq!(
        left.items.iter().map(|order| order.id).collect::<Vec<_>>(),
        [two.id]
    );

    let ticked = format!("state=CANCELLED&chosen=1&id={}", one.id);
    let preview = admin.act("/orders/retries", &ticked).await;
    assert!(preview.text.contains("<b>1</b> order ended"), "{}", preview.text);
    let sure = format!("id={}&before={}", one.id, before(&preview.text));
    assert_eq!(admin.act("/orders/retries", &sure).await.status, 303);
    let queued = broker
        .admin()
        .work_orders(&ListWorkOrders::default())
        .await
        .unwrap();
    assert_eq!(
        queued.items.first().and_then(|order| order.retry_of),
        Some(one.id)
    );

    for (path, form) in [
        ("/orders/cancellations", "chosen=1"),
        ("/orders/retries", "chosen=1"),
        ("/orders/cancellations", "chosen=1&id=nonsense"),
        ("/orders/cancellations", "before=nonsense"),
        ("/orders/cancellations", "label=two+words"),
        ("/orders/cancellations", "state=FAILED"),
        ("/orders/retries", "state=PENDING"),
    ] {
        assert_eq!(admin.act(path, form).await.status, 400, "{path} {form}");
    }
}

#[rstest]
#[tokio::test]
async fn what_failed_is_repeated_as_the_list_shows_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for label in ["gpu", "other"] {
        let order = broker.work_order().for_agent(&agent).label(label).create().await;
        let claim = agent.claim(&order).await.unwrap();
        agent.fail(&claim, FailureClass::Work).await.unwrap();
    }
    broker.advance(Duration::from_secs(1)).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let all = admin.act("/orders/retries", "state=UNSUCCESSFUL").await;
    assert!(all.text.contains("<b>2</b> orders failed"), "{}", all.text);
    let some = admin.act("/orders/retries", "state=FAILED&label=gpu").await;
    assert!(some.text.contains("<b>1</b> order ended so"), "{}", some.text);
    let sure = format!("state=FAILED&label=gpu&before={}", before(&some.text));
    assert_eq!(admin.act("/orders/retries", &sure).await.status, 303);
    let queued = broker
        .admin()
        .work_orders(&ListWorkOrders::default())
        .await
        .unwrap();
    assert_eq!(queued.items.len(), 1);
}

#[rstest]
#[tokio::test]
async fn an_order_is_sent_elsewhere_while_it_waits_and_not_afterwards(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    broker.admin().add_agent_label(agent.id, "gpu").await.unwrap();
    let order = waiting(&broker, "prodution").await;
    let path = format!("/orders/{}/targeting", order.id);
    let page = format!("/orders/{}", order.id);
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    assert!(admin.get(&page).await.text.contains("Send it elsewhere"));

    for (form, status) in [
        ("labels=", 400),
        ("labels=gpu%0Agpu", 409),
        ("agents=runner", 400),
        ("agents=00000000-0000-0000-0000-000000000007", 400),
        ("annotations=region", 400),
    ] {
        assert_eq!(admin.act(&path, form).await.status, status, "{form}");
    }
    assert!(agent.claim_next(1).await.unwrap().is_empty());

    let sent = admin
        .act(&path, "labels=gpu%0D%0Aother&annotations=&agents=")
        .await;
    assert_eq!((sent.status, sent.header("location")), (303, &*page));
    let claimed = agent.claim_next(1).await.unwrap();
    assert_eq!(claimed[0].work_order.id, order.id);

    assert!(!admin.get(&page).await.text.contains("Send it elsewhere"));
    assert_eq!(admin.act(&path, "labels=other").await.status, 409);
    let unknown = "/orders/00000000-0000-0000-0000-000000000007/targeting";
    assert_eq!(admin.act(unknown, "labels=other").await.status, 404);
    let targeting = broker.admin().targeting(order.id).await.unwrap();
    assert_eq!(targeting.labels, ["gpu", "other"]);
}
