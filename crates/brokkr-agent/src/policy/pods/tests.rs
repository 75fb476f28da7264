use rstest::rstest;
use serde_json::json;

use super::*;

fn images(object: &Value) -> Vec<(String, String)> {
    found_in(object)
        .iter()
        .flat_map(PodSpec::images)
        .map(|(field, image)| (field, image.to_owned()))
        .collect()
}

fn opening(spec: Value) -> Option<String> {
    let object = json!({"kind": "Pod", "spec": spec});
    found_in(&object).iter().find_map(PodSpec::opening)
}

fn container_opening_of(container: Value) -> Option<String> {
    opening(json!({"containers": [{"image": "a"}, container]}))
}

#[rstest]
#[case::pod(json!({"spec": {"containers": [{"image": "a"}]}}), "spec.containers[0].image")]
#[case::job(
    json!({"spec": {"template": {"spec": {"containers": [{"image": "a"}]}}}}),
    "spec.template.spec.containers[0].image"
)]
#[case::cron_job(
    json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"image": "a"}]}}}}}}),
    "spec.jobTemplate.spec.template.spec.containers[0].image"
)]
#[case::pod_template(
    json!({"template": {"spec": {"containers": [{"image": "a"}]}}}),
    "template.spec.containers[0].image"
)]
#[case::list(json!({"items": [{"spec": {"containers": [{"image": "a"}]}}]}), "items[0].spec.containers[0].image")]
#[case::only_init(json!({"spec": {"initContainers": [{"image": "a"}]}}), "spec.initContainers[0].image")]
#[case::unheard_of(
    json!({"spec": {"steps": [{"pod": {"containers": [{"image": "a"}]}}]}}),
    "spec.steps[0].pod.containers[0].image"
)]
fn pods_are_found_wherever_they_are_described(#[case] object: Value, #[case] field: &str) {
    assert_eq!(images(&object), [(field.to_owned(), "a".to_owned())]);
}

#[test]
fn every_container_and_every_mounted_image_counts() {
    let object = json!({"spec": {
        "containers": [{"image": "a"}, {"name": "none"}],
        "initContainers": [{"image": "b"}],
        "ephemeralContainers": [{"image": "c"}],
        "volumes": [{"emptyDir": {}}, {"image": {"reference": "d"}}],
    }});
    let fields_and_images = images(&object);
    let all: Vec<_> = fields_and_images
        .iter()
        .map(|(field, image)| (field.as_str(), image.as_str()))
        .collect();
    assert_eq!(
        all,
        [
            ("spec.containers[0].image", "a"),
            ("spec.containers[1].image", ""),
            ("spec.initContainers[0].image", "b"),
            ("spec.ephemeralContainers[0].image", "c"),
            ("spec.volumes[1].image.reference", "d"),
        ]
    );
}

#[test]
fn what_describes_no_pod_is_none() {
    for object in [
        json!({"data": {"containers": "none"}}),
        json!({"properties": {"containers": {"type": "array"}}}),
        json!(null),
    ] {
        assert!(found_in(&object).is_empty(), "{object}");
    }
}

#[test]
fn the_service_account_has_two_names() {
    let account = |spec: Value| {
        let object = json!({"spec": spec});
        found_in(&object)
            .iter()
            .find_map(PodSpec::service_account)
            .map(|(field, account)| (field, account.to_owned()))
    };
    let field = |field: &str, account: &str| Some((field.to_owned(), account.to_owned()));
    assert_eq!(
        account(json!({"containers": [], "serviceAccountName": "a"})),
        field("spec.serviceAccountName", "a")
    );
    assert_eq!(
        account(json!({"containers": [], "serviceAccount": "b"})),
        field("spec.serviceAccount", "b")
    );
    assert_eq!(account(json!({"containers": [], "serviceAccountName": ""})), None);
}

#[rstest]
#[case(json!({"containers": [], "hostNetwork": true}), "spec.hostNetwork")]
#[case(json!({"containers": [], "hostPID": true}), "spec.hostPID")]
#[case(json!({"containers": [], "hostIPC": true}), "spec.hostIPC")]
#[case(json!({"containers": [], "volumes": [{}, {"hostPath": {"path": "/"}}]}), "spec.volumes[1].hostPath")]
#[case(
    json!({"containers": [], "securityContext": {"windowsOptions": {"hostProcess": true}}}),
    "spec.securityContext.windowsOptions.hostProcess"
)]
#[case(
    json!({"containers": [], "initContainers": [{"securityContext": {"privileged": true}}]}),
    "spec.initContainers[0].securityContext.privileged"
)]
fn what_opens_the_node_to_a_pod_is_found(#[case] spec: Value, #[case] field: &str) {
    assert_eq!(opening(spec).as_deref(), Some(field));
}

#[rstest]
#[case(json!({"securityContext": {"privileged": true}}), "securityContext.privileged")]
#[case(
    json!({"securityContext": {"capabilities": {"add": ["CHOWN", "SYS_ADMIN"]}}}),
    "securityContext.capabilities.add[1]"
)]
#[case(json!({"securityContext": {"procMount": "Unmasked"}}), "securityContext.procMount")]
#[case(
    json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}),
    "securityContext.windowsOptions.hostProcess"
)]
#[case(json!({"ports": [{"containerPort": 80}, {"hostPort": 80}]}), "ports[1].hostPort")]
fn what_opens_the_node_to_a_container_is_found(#[case] container: Value, #[case] field: &str) {
    let field = format!("spec.containers[1].{field}");
    assert_eq!(container_opening_of(container), Some(field));
}

#[rstest]
#[case(json!({}))]
#[case(json!({"securityContext": {"privileged": false, "procMount": "Default"}}))]
#[case(json!({"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}}))]
#[case(json!({"ports": [{"containerPort": 80, "hostPort": 0}]}))]
fn a_container_that_keeps_to_itself_opens_nothing(#[case] container: Value) {
    assert_eq!(container_opening_of(container), None);
}
