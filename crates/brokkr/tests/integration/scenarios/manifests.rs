//! Manifests that are applied.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::cluster::Scene;
use crate::world::{example, until};

impl Scene {
    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) async fn has_config_map(&self, name: &str) -> bool {
        self.config_maps()
            .get_opt(name)
            .await
            .expect("the cluster answers")
            .is_some()
    }
}

fn config_map(value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": { "key": value } })
}

#[tokio::test]
async fn manifests_are_applied_waited_for_and_cleaned_up_as_the_order_says() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let done = scene
        .submit_and_wait(&example("manifests.yaml"), &[])
        .await
        .with_code(0);
    assert!(done.stdout.contains("Hello from the cluster.\n"), "{done:?}");
    until("what was applied is gone", async || {
        let gone = scene.jobs().await.is_empty() && !scene.has_config_map("greeting").await;
        gone.then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_applied_stays_and_applying_it_again_changes_it() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    for value in ["one", "two"] {
        let file = scene.document("settings.yaml", &[config_map(value)]);
        let order = scene.submit(&file, &["--type", "custom"]).await;
        let entry = scene.ended(&order, 0).await;
        assert_eq!(entry["ending"], "succeeded", "{entry}");
        let settings = scene.config_maps().get("settings").await.unwrap();
        assert_eq!(settings.data.as_ref().unwrap()["key"], value);
        let managers = settings.managed_fields().iter();
        assert!(
            managers
                .into_iter()
                .any(|entry| entry.manager.as_deref() == Some("brokkr"))
        );
    }
}

#[tokio::test]
async fn a_field_of_another_manager_refuses_the_order_unless_it_says_force() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let by_another = PatchParams::apply("another");
    scene
        .config_maps()
        .patch("settings", &by_another, &Patch::Apply(config_map("theirs")))
        .await
        .unwrap();

    let file = scene.document("settings.yaml", &[config_map("ours")]);
    let order = scene.submit(&file, &["--type", "custom"]).await;
    let entry = scene.ended(&order, 1).await;
    assert_eq!(entry["class"], "refused", "{entry}");
    let message = entry["result_message"].as_str().unwrap();
    assert!(
        message.contains("another") && message.contains("key"),
        "{message}"
    );

    let options = json!({ "apiVersion": "brokkr.io/v1", "kind": "Manifests", "spec": { "force": true } });
    let file = scene.document("forced.yaml", &[options, config_map("ours")]);
    let order = scene.submit(&file, &["--type", "custom"]).await;
    scene.ended(&order, 0).await;
    let settings = scene.config_maps().get("settings").await.unwrap();
    assert_eq!(settings.data.unwrap()["key"], "ours");
}
