//! Orders that are stopped before their work has ended by itself.

use super::cluster::Scene;
use crate::world::until;

#[tokio::test]
async fn a_cancelled_order_ends_when_its_pods_are_gone() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let order = scene.submit(&scene.job("echo begun; sleep 600"), &[]).await;
    scene.printed(&order, "begun").await;

    scene
        .broker
        .run(&scene.world, &["cancel", &order])
        .await
        .with_code(0);
    let entry = scene.ended(&order, 3).await;

    assert_eq!(entry["ending"], "cancelled", "{entry}");
    assert_eq!(scene.pods().await.len(), 0);
    assert_eq!(scene.jobs().await.len(), 0);
    assert_eq!(scene.output(&order).await, "begun\n", "what was printed stays");
}

#[tokio::test]
async fn the_orders_deadline_ends_the_job() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let order = scene
        .submit(&scene.job("echo begun; sleep 600"), &["--deadline", "4s"])
        .await;
    let entry = scene.ended(&order, 1).await;
    assert_eq!(entry["class"], "deadline", "{entry}");
    until("the pods are gone", async || {
        scene
            .pods()
            .await
            .iter()
            .all(|pod| {
                let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                matches!(phase, Some("Failed" | "Succeeded"))
            })
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_job_of_an_order_that_was_deleted_while_its_agent_was_away_is_removed() {
    let scene = Scene::new().await;
    let agent = scene.agent().await;
    let order = scene.submit(&scene.job("echo begun; sleep 600"), &[]).await;
    scene.printed(&order, "begun").await;
    agent.kill();

    scene
        .broker
        .run(&scene.world, &["delete", "order", &order])
        .await
        .with_code(0);
    let _agent = scene.restart_agent();

    until("no Job is left", async || {
        (scene.jobs().await.is_empty() && scene.pods().await.is_empty()).then_some(())
    })
    .await;
}
