use ::kube::api::ApiResource;
use rstest::rstest;
use serde_json::json;

use super::*;

fn kind(group: &str, kind: &str, namespaced: bool) -> Kind {
    Kind {
        resource: ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version: String::new(),
            kind: kind.to_owned(),
            plural: kind.to_lowercase(),
        },
        namespaced,
    }
}

fn job(pod: Value) -> Value {
    json!({"metadata": {"name": "a"}, "spec": {"template": {"spec": pod}}})
}

fn check_job(policy: &ClusterPolicy, namespace: &str, pod: Value) -> Result<(), String> {
    policy
        .check(&kind("batch", "Job", true), Some(namespace), &job(pod), "agents")
        .map_err(|error| error.to_string())
}

fn policy(yaml: &str) -> ClusterPolicy {
    ClusterPolicy::parse(yaml).unwrap()
}

#[test]
fn by_default_work_keeps_to_the_agents_namespace() {
    let policy = ClusterPolicy::default();
    assert_eq!(
        check_job(&policy, "agents", json!({"containers": [{"image": "any"}]})),
        Ok(())
    );
    assert_eq!(
        check_job(&policy, "shop", json!({"containers": []})),
        Err("this agent's policy does not allow the namespace shop (namespaces.allow: only agents, the agent's own)".to_owned())
    );
    let error = check_job(&policy, "agents", json!({"containers": [], "hostNetwork": true})).unwrap_err();
    assert_eq!(
        error,
        "this agent's policy does not allow spec.template.spec.hostNetwork, which opens the node to the container (privileged)"
    );
}

#[rstest]
#[case("shop", true)]
#[case("team-a", true)]
#[case("team", false)]
#[case("agents", false)]
fn a_list_of_namespaces_takes_the_place_of_the_default(#[case] namespace: &str, #[case] allowed: bool) {
    let policy = policy("namespaces: {allow: [shop, team-*]}\n");
    assert_eq!(
        check_job(&policy, namespace, json!({"containers": []})).is_ok(),
        allowed
    );
}

#[test]
fn an_empty_list_allows_nothing() {
    let policy = policy("namespaces: {allow: []}\nimages: {allow: []}\n");
    assert!(policy.check_namespace("agents", "agents").is_err());
}

#[test]
fn a_namespace_is_judged_by_its_own_name() {
    let policy = policy("namespaces: {allow: [shop]}\nkinds: {allowClusterScoped: [Namespace]}\n");
    let namespace = kind("", "Namespace", false);
    let check = |name: &str| policy.check(&namespace, None, &json!({"metadata": {"name": name}}), "agents");
    assert_eq!(check("shop"), Ok(()));
    assert!(matches!(
        check("kube-system"),
        Err(PolicyError::NamespaceNotAllowed { .. })
    ));
}

#[test]
fn images_are_checked_in_every_container() {
    let policy = policy("images: {allow: [busybox, registry.example.com/*]}\n");
    let good = json!({"containers": [{"image": "busybox:1"}], "initContainers": [{"image": "registry.example.com/a/b"}]});
    assert_eq!(check_job(&policy, "agents", good), Ok(()));
    let odd = json!({"containers": [{"image": "busybox"}], "initContainers": [{"image": "evil.io/a"}]});
    assert_eq!(
        check_job(&policy, "agents", odd),
        Err("this agent's policy does not allow the image evil.io/a in spec.template.spec.initContainers[0].image (images.allow)".to_owned())
    );
    assert!(check_job(&policy, "agents", json!({"containers": [{"name": "none"}]})).is_err());
}

#[test]
fn service_accounts_can_be_limited() {
    let policy = policy("serviceAccounts: {allow: [runner], default: {agents: runner}}\n");
    let with = |account: &str| json!({"containers": [], "serviceAccountName": account});
    assert_eq!(check_job(&policy, "agents", with("runner")), Ok(()));
    assert_eq!(check_job(&policy, "agents", json!({"containers": []})), Ok(()));
    assert_eq!(
        check_job(&policy, "agents", with("admin")),
        Err("this agent's policy does not allow the service account admin in spec.template.spec.serviceAccountName (serviceAccounts.allow)".to_owned())
    );
    assert_eq!(policy.default_service_account("agents"), Some("runner"));
    assert_eq!(policy.default_service_account("shop"), None);
}

#[test]
fn what_opens_the_node_is_allowed_when_the_policy_says_so() {
    let policy = policy("privileged: true\n");
    assert_eq!(
        check_job(&policy, "agents", json!({"containers": [], "hostNetwork": true})),
        Ok(())
    );
}

#[test]
fn every_refusal_about_an_object_names_its_field() {
    let policy = policy("kinds: {deny: [Secret]}\nimages: {allow: [a]}\n");
    let refused = |kind: &Kind, namespace: Option<&str>, object: &Value| {
        let error = policy.check(kind, namespace, object, "agents").unwrap_err();
        error.field().map(str::to_owned)
    };
    let job_kind = kind("batch", "Job", true);
    let field = |field: &str| Some(field.to_owned());
    assert_eq!(
        refused(&kind("", "Secret", true), Some("agents"), &json!({})),
        field("kind")
    );
    assert_eq!(refused(&kind("", "Node", false), None, &json!({})), field("kind"));
    assert_eq!(
        refused(&job_kind, Some("shop"), &json!({})),
        field("metadata.namespace")
    );
    assert_eq!(
        refused(
            &job_kind,
            Some("agents"),
            &job(json!({"containers": [{"image": "b"}]}))
        ),
        field("spec.template.spec.containers[0].image")
    );
}

#[test]
fn work_types_and_slots_are_those_of_the_policy() {
    let policy = policy("workTypes: [custom]\nslots: {custom: 2}\n");
    assert_eq!(policy.permits("custom"), Ok(()));
    assert!(matches!(
        policy.permits("build"),
        Err(PolicyError::WorkTypeNotAllowed { .. })
    ));
    assert_eq!(policy.slots("custom"), Some(2));
    assert_eq!(policy.slots("build"), None);
    assert_eq!(ClusterPolicy::default().permits("build"), Ok(()));
}

#[test]
fn windows_say_when_work_may_begin() {
    let policy = policy("windows: [{start: '0 22 * * *', duration: 6h, zone: Europe/Berlin}]\n");
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    assert_eq!(
        policy.window(now),
        Window::Closed {
            until: "2026-11-22T21:00:00Z".parse().unwrap()
        }
    );
    assert_eq!(ClusterPolicy::default().window(now), Window::Open { until: None });
}
