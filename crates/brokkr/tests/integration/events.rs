//! Commands that tell of changes as they happen.

use crate::world::{BrokerProcess, Database, World};

struct Setting {
    world: World,
    broker: BrokerProcess,
}

impl Setting {
    async fn new() -> Setting {
        let world = World::new();
        let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
        Setting { world, broker }
    }

    async fn submit(&self, label: &str) -> String {
        let file = self.world.command("order.yaml", "echo done");
        let args = ["submit", "-f", &file, "-l", label, "-o", "name"];
        self.broker.run(&self.world, &args).await.with_code(0).order()
    }

    async fn cancel(&self, order: &str) {
        let cancelled = self.broker.run(&self.world, &["cancel", order]).await;
        cancelled.with_code(0);
    }
}

#[tokio::test]
async fn events_are_told_from_the_beginning_and_as_they_happen() {
    let setting = Setting::new().await;
    let order = setting.submit("gpu").await;
    let mut told = setting
        .broker
        .begin(&setting.world, &["events", "--order", &order, "--since", "0"]);
    told.until_written("the past", |out, _| {
        out.contains("work_order.created").then_some(())
    })
    .await;
    let other = setting.submit("gpu").await;
    setting.cancel(&other).await;
    setting.cancel(&order).await;
    let text = told
        .until_written("what happens", |out, _| {
            out.contains("work_order.cancelled").then(|| out.to_owned())
        })
        .await;
    assert!(text.contains("PENDING") && text.contains("  by admin:"), "{text}");
    assert!(!text.contains(&other), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[tokio::test]
async fn events_are_narrowed_by_type_and_label_and_told_as_json() {
    let setting = Setting::new().await;
    let narrowed = [
        "events",
        "--type",
        "work_order.cancelled",
        "--label",
        "gpu",
        "--since",
        "0",
        "-o",
        "json",
    ];
    let mut told = setting.broker.begin(&setting.world, &narrowed);
    let (gpu, arm) = (setting.submit("gpu").await, setting.submit("arm").await);
    setting.cancel(&arm).await;
    setting.cancel(&gpu).await;
    let line = told
        .until_written("an event", |out, _| out.ends_with('\n').then(|| out.to_owned()))
        .await;
    let event: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
    assert_eq!(
        (&event["type"], &event["work_order_id"]),
        (&"work_order.cancelled".into(), &gpu.into())
    );
}

#[tokio::test]
async fn a_list_that_is_watched_shows_the_orders_that_it_would_list_again_when_they_change() {
    let setting = Setting::new().await;
    let there = setting.submit("gpu").await;
    let mut watched = setting.broker.begin(
        &setting.world,
        &["get", "orders", "--watch", "--label", "gpu", "-o", "name"],
    );
    watched
        .until_written("the list", |out, _| out.contains(&there).then_some(()))
        .await;
    let other = setting.submit("arm").await;
    let new = setting.submit("gpu").await;
    let text = watched
        .until_written("the new order", |out, _| {
            out.contains(&new).then(|| out.to_owned())
        })
        .await;
    assert!(!text.contains(&other), "{text}");
    setting.cancel(&there).await;
    watched
        .until_written("the change", |out, _| {
            (out.matches(&there).count() == 2).then_some(())
        })
        .await;
}
