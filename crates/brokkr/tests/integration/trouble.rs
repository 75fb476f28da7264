//! Processes whose disk is full, the log included.

use brokkr_client::Client;
use brokkr_client::api::{CreateWorkOrder, ListWorkOrders, TargetingRequest};
use uuid::Uuid;

use crate::world::{BrokerProcess, Database, World, until};

fn order(script: &str) -> CreateWorkOrder {
    CreateWorkOrder {
        work_type: "command".to_owned(),
        yaml_content: format!("apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: '{script}'\n"),
        targeting: Some(TargetingRequest {
            labels: Some(vec!["test".to_owned()]),
            ..TargetingRequest::default()
        }),
        ..CreateWorkOrder::default()
    }
}

async fn succeeded(client: &Client, id: Uuid) {
    let entry = until("the end of the order", async || {
        client.work_order_log_entry(id).await.ok()
    })
    .await;
    assert!(entry.success, "{entry:?}");
}

#[tokio::test]
async fn a_broker_whose_disk_is_full_refuses_and_goes_on_when_there_is_room() {
    let world = World::new();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let client = broker.client();
    client
        .create_work_order(&order("true"), Some("before"))
        .await
        .expect("there is room");

    let full = broker.with_full_disk();
    for _ in 0..5 {
        let refused = client
            .create_work_order(&order("true"), Some("during"))
            .await
            .expect_err("there is no room");
        assert_eq!(
            (refused.status(), refused.code()),
            (Some(503), Some("database_unavailable")),
            "{refused:?}"
        );
        assert!(refused.retry_after().is_some());
    }
    let waiting = client
        .work_orders(&ListWorkOrders::default())
        .await
        .expect("reading needs no room");
    assert_eq!(waiting.items.len(), 1, "nothing is half-written");
    drop(full);

    let again = client
        .create_work_order(&order("true"), Some("during"))
        .await
        .expect("there is room again");
    assert!(!again.replayed);
    broker.stop().await.with_code(0);
}

#[tokio::test]
async fn an_agent_whose_disk_is_full_reports_what_it_runs_and_claims_no_more_commands() {
    let world = World::new();
    let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
    let agent = broker.agent(&world, "small", "test").await;
    let client = broker.client();
    let (began, go) = (world.path("began"), world.path("go"));
    let script = format!(
        "touch {}; until [ -e {} ]; do sleep 0.05; done",
        began.display(),
        go.display()
    );
    let running = client
        .create_work_order(&order(&script), None)
        .await
        .expect("the order is taken");
    until("the command", async || began.exists().then_some(())).await;

    let full = agent.with_full_disk();
    world.file("go", "");
    succeeded(&client, running.work_order.id).await;
    until("the agent's word", async || {
        let told = broker.run(&world, &["get", "agents", "-o", "wide"]).await.stdout;
        told.contains("the state directory cannot be written")
            .then_some(())
    })
    .await;
    let next = client
        .create_work_order(&order("true"), None)
        .await
        .expect("the order is taken");
    drop(full);

    succeeded(&client, next.work_order.id).await;
    let entry = client
        .work_order_log_entry(next.work_order.id)
        .await
        .expect("it has ended");
    assert_eq!(entry.attempt, 1, "no attempt was wasted");
}
