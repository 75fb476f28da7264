use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::scene::{Scene, config_map, refusal};

#[tokio::test]
async fn what_is_forbidden_is_refused_there_and_nowhere_else() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    scene.kube.forbid("create", "configmaps", Some("default"));

    let refused = refusal(api.create(&PostParams::default(), &config_map("a", "1")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    assert_eq!(refused.details.unwrap().kind, "configmaps");
    api.list(&ListParams::default()).await.unwrap();
    let applied = config_map("a", "1");
    let applied = api
        .patch("a", &PatchParams::apply("ours"), &Patch::Apply(&applied))
        .await;
    assert_eq!(refusal(applied).code, 403);

    scene.kube.allow("create", "configmaps", Some("default"));
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_client_can_ask_what_it_may_do() {
    let scene = Scene::start().await;
    scene.kube.forbid("get", "pods/log", Some("default"));
    let reviews: Api<SelfSubjectAccessReview> = Api::all(scene.client.clone());
    let mut answers = Vec::new();

    for (verb, subresource) in [("get", "log"), ("get", "")] {
        let attributes =
            json!({"verb": verb, "resource": "pods", "subresource": subresource, "namespace": "default"});
        let review = json!({"spec": {"resourceAttributes": attributes}});
        let review = serde_json::from_value(review).unwrap();
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        answers.push(answer.status.unwrap().allowed);
    }

    assert_eq!(answers, [false, true]);
}
