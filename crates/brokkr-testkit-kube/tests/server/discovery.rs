use brokkr_testkit_kube::FakeKube;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::time::timeout;

use crate::scene::{PATIENCE, Scene};

#[tokio::test]
async fn both_kinds_of_discovery_find_the_same() {
    let scene = Scene::of(FakeKube::builder().shipwright(true).start().await);
    let plain = Discovery::new(scene.client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(scene.client.clone())
        .run_aggregated()
        .await
        .unwrap();

    for (group, version, kind, plural, scope) in [
        ("", "v1", "Pod", "pods", Scope::Namespaced),
        ("", "v1", "Namespace", "namespaces", Scope::Cluster),
        ("batch", "v1", "Job", "jobs", Scope::Namespaced),
        (
            "shipwright.io",
            "v1beta1",
            "BuildRun",
            "buildruns",
            Scope::Namespaced,
        ),
    ] {
        for discovery in [&plain, &aggregated] {
            let kind = GroupVersionKind::gvk(group, version, kind);
            let (resource, capabilities) = discovery.resolve_gvk(&kind).unwrap();
            assert_eq!(
                (resource.plural.as_str(), capabilities.scope.clone()),
                (plural, scope.clone())
            );
            assert!(capabilities.supports_operation(kube::discovery::verbs::WATCH));
        }
    }
    assert!(!plain.has_group("example.org"));
}

#[tokio::test]
async fn shipwright_is_there_only_on_demand() {
    let scene = Scene::start().await;
    let discovery = Discovery::new(scene.client.clone()).run().await.unwrap();

    assert!(!discovery.has_group("shipwright.io"));
}

#[tokio::test]
async fn the_version_and_the_health_are_told() {
    let scene = Scene::start().await;

    assert_eq!(
        scene.client.apiserver_version().await.unwrap().git_version,
        "v1.33.0"
    );
    let ready = http_get(&scene, "/readyz").await;
    assert_eq!(ready, "ok");
}

#[tokio::test]
async fn the_kubeconfig_leads_here() {
    let scene = Scene::start().await;
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&scene.kube.kubeconfig()).unwrap();

    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default())
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();

    assert_eq!(client.default_namespace(), "default");
    client.apiserver_version().await.unwrap();
}

#[tokio::test]
async fn a_definition_makes_its_kind_served_once_it_is_established() {
    let scene = Scene::start().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(scene.client.clone());
    let definition = json!({
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        },
    });
    let definition = serde_json::from_value(definition).unwrap();

    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
    let established = await_condition(definitions, "widgets.example.org", is_crd_established());
    timeout(PATIENCE, established).await.unwrap().unwrap();

    let discovery = Discovery::new(scene.client.clone()).run().await.unwrap();
    let (resource, _) = discovery
        .resolve_gvk(&GroupVersionKind::gvk("example.org", "v1", "Widget"))
        .unwrap();
    let widgets: Api<DynamicObject> = Api::default_namespaced_with(scene.client.clone(), &resource);
    let widget =
        DynamicObject::new("a", &resource).data(json!({"spec": {"size": 1}, "status": {"no": "more"}}));
    let created = widgets.create(&PostParams::default(), &widget).await.unwrap();
    assert_eq!(created.data, json!({"spec": {"size": 1}}));
}

async fn http_get(scene: &Scene, path: &str) -> String {
    let request = kube::core::Request::new(path).list(&Default::default()).unwrap();
    scene.client.request_text(request).await.unwrap()
}
