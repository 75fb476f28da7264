//! Objects other than Jobs.

use serde_json::json;

use super::{Scene, config_map, job, message_of};

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: busybox, command: [sh, -c, 'while true; do sleep 0.1; done']}
";

fn options(spec: &str) -> String {
    format!("apiVersion: brokkr.io/v1\nkind: Manifests\nspec: {spec}\n---\n")
}

#[tokio::test]
async fn an_object_that_has_no_end_is_named_as_applied() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&config_map("settings", "one"));

    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(
        message_of(&ending),
        "applied, not watched: ConfigMap default/settings"
    );
    let map = scene.kube.get("configmaps", Some("default"), "settings").unwrap();
    assert_eq!(map["data"]["key"], "one");
    assert_eq!(map["metadata"]["managedFields"][0]["manager"], "brokkr");
}

#[tokio::test]
async fn a_deployment_is_waited_for_when_the_order_asks_for_it() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let id = scene.submit(&format!("{}{DEPLOYMENT}", options("{wait: ready}")));

    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(message_of(&ending), "Deployment default/web is ready");
}

#[tokio::test]
async fn a_condition_is_waited_for_until_the_deadline() {
    let scene = Scene::start().await;
    let _agent = scene.agent();
    let order = format!(
        "{}{DEPLOYMENT}",
        options("{conditions: [{kind: Deployment, condition: Blessed}]}")
    );
    let id = scene.submit(&order);
    scene
        .kube
        .until("the Deployment", |kube| {
            kube.get("deployments", Some("default"), "web")
        })
        .await;
    let status = json!({"conditions": [{"type": "Blessed", "status": "True"}]});
    scene
        .kube
        .set_status("deployments", Some("default"), "web", &status);

    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert_eq!(
        message_of(&ending),
        "Deployment default/web has condition Blessed=True"
    );
}

#[tokio::test]
async fn a_field_of_another_manager_is_named_and_taken_over_only_by_force() {
    let scene = Scene::start().await;
    let agent = scene.agent();
    assert_eq!(
        scene.ending(scene.submit(&config_map("settings", "one"))).await["success"],
        true
    );
    scene
        .kube
        .change("configmaps", Some("default"), "settings", |map| {
            map["metadata"]["managedFields"][0]["manager"] = "kubectl".into();
        });

    let refused = scene.ending(scene.submit(&config_map("settings", "two"))).await;
    assert_eq!(refused["class"], "refused", "{refused}");
    assert!(message_of(&refused).contains(".data.key (kubectl)"), "{refused}");

    let forced = format!("{}{}", options("{force: true}"), config_map("settings", "two"));
    assert_eq!(scene.ending(scene.submit(&forced)).await["success"], true);
    drop(agent);
}

#[tokio::test]
async fn a_kind_is_defined_and_used_by_the_same_order() {
    let scene =
        Scene::with_policy("kinds: {allowClusterScoped: [CustomResourceDefinition.apiextensions.k8s.io]}")
            .await;
    let _agent = scene.agent();
    let order = "apiVersion: example.com/v1
kind: Sprocket
metadata: {name: first}
spec: {teeth: 12}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sprockets.example.com}
spec:
  group: example.com
  names: {kind: Sprocket, plural: sprockets, singular: sprocket, listKind: SprocketList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
    let id = scene.submit(order);

    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert!(scene.kube.get("sprockets", Some("default"), "first").is_some());
}

#[tokio::test]
async fn a_namespace_is_made_and_used_by_the_same_order() {
    let scene =
        Scene::with_policy("namespaces: {allow: [default, shop]}\nkinds: {allowClusterScoped: [Namespace]}")
            .await;
    let _agent = scene.agent();
    let job = job("migrate", "echo here").replace("{name: migrate}", "{name: migrate, namespace: shop}");
    let id = scene.submit(&format!(
        "{job}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n"
    ));

    let ending = scene.ending(id).await;

    assert_eq!(ending["success"], true, "{ending}");
    assert!(
        message_of(&ending).contains("Job shop/migrate-000000000001-1 is complete"),
        "{ending}"
    );
    assert_eq!(scene.broker.see(|world| world.output(id, "stdout")), "here\n");
}
