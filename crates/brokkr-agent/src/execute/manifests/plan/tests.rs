use ::kube::api::ApiResource;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::kube::labels;

const ORDER: &str = "01934f5e-7a3b-7c21-9f00-a1b2c3d4e5f6";

fn kind(api_version: &str, kind: &str, namespaced: bool) -> Kind {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Kind {
        resource: ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
        },
        namespaced,
    }
}

/// What a cluster without any definitions knows.
fn known(document: &Document) -> Option<Kind> {
    let cluster_scoped = ["Namespace", "CustomResourceDefinition", "ClusterRole"];
    let namespaced = !cluster_scoped.contains(&document.kind.as_str());
    let custom = document.api_version.contains("example.com");
    (!custom).then(|| kind(&document.api_version, &document.kind, namespaced))
}

fn policy() -> ClusterPolicy {
    ClusterPolicy::parse(
        "namespaces: {allow: [shop, new]}\nkinds: {allowClusterScoped: [Namespace, CustomResourceDefinition]}\n",
    )
    .unwrap()
}

fn plan_under(policy: &ClusterPolicy, yaml: &str) -> Result<Plan, ManifestError> {
    let order = Order::parse(yaml)?;
    let kinds: Vec<_> = order.documents.iter().map(known).collect();
    let setting = Setting {
        policy,
        default_namespace: "shop",
        id: AttemptId {
            order: ORDER.parse().unwrap(),
            attempt: 2,
        },
        agent: Uuid::max(),
        deadline_seconds: Some(600),
    };
    Plan::of(order, &kinds, &setting)
}

fn plan(yaml: &str) -> Plan {
    plan_under(&policy(), yaml).unwrap()
}

fn refusal(yaml: &str) -> String {
    plan_under(&policy(), yaml).unwrap_err().to_string()
}

fn sent(step: &Step) -> Value {
    serde_json::to_value(&step.object).unwrap()
}

fn object(kind: &str, name: &str) -> String {
    format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
}

fn job(name: &str) -> String {
    format!(
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{{name}}}\nspec: {{template: {{spec: {{containers: []}}}}}}\n"
    )
}

const DEFINITION: &str = "---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tills.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Till, plural: tills}
  versions: [{name: v1, served: true}, {name: v1beta1, served: false}]
";

#[test]
fn a_job_is_created_under_the_name_of_its_attempt() {
    let plan = plan(&job("name: migrate"));
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(step.act, Act::Create);
    assert_eq!(step.watch, Watch::Job);
    assert_eq!(step.at.name, "migrate-a1b2c3d4e5f6-2");
    assert_eq!(step.at.namespace.as_deref(), Some("shop"));
    assert_eq!(
        step.object.metadata.name.as_deref(),
        Some("migrate-a1b2c3d4e5f6-2")
    );
    assert_eq!(step.object.metadata.namespace.as_deref(), Some("shop"));
    let labels = step.object.metadata.labels.as_ref().unwrap();
    assert_eq!(labels[labels::ATTEMPT], "2");
    assert_eq!(labels[labels::DOCUMENT], "1");
    assert_eq!(sent(step)["spec"]["activeDeadlineSeconds"], 600);
}

#[test]
fn generated_names_differ_by_document_and_item() {
    let list = "---\nkind: List\nitems:\n".to_owned()
        + &"- {apiVersion: batch/v1, kind: Job, metadata: {generateName: run-}, spec: {template: {}}}\n"
            .repeat(2);
    let plan = plan(&(job("generateName: run-") + &job("generateName: run-") + &list));
    let names: Vec<_> = plan.steps.iter().map(|step| step.at.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "run-1-a1b2c3d4e5f6-2",
            "run-2-a1b2c3d4e5f6-2",
            "run-3-1-a1b2c3d4e5f6-2",
            "run-3-2-a1b2c3d4e5f6-2"
        ]
    );
    assert_eq!(sent(&plan.steps[0])["metadata"].get("generateName"), None);
}

#[test]
fn everything_else_is_applied_as_it_is() {
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {b: c}, uid: x, resourceVersion: '5', creationTimestamp: null, managedFields: []}\ndata: {e: f}\n";
    let plan = plan(yaml);
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(step.act, Act::Apply);
    assert_eq!(step.watch, Watch::Nothing);
    assert_eq!(
        sent(step),
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": "shop", "labels": {"b": "c"}},
            "data": {"e": "f"},
        })
    );
}

#[test]
fn namespaces_and_definitions_come_first_and_are_waited_for() {
    let yaml = job("name: a")
        + &object("Secret", "b")
        + &object("Namespace", "new")
        + DEFINITION
        + &object("Secret", "c");
    let plan = plan(&yaml);
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| (step.place.number, step.gate, step.watch.clone()))
        .collect();
    assert_eq!(
        steps,
        [
            (3, true, Watch::Ready),
            (4, true, Watch::Ready),
            (1, false, Watch::Job),
            (2, false, Watch::Nothing),
            (5, false, Watch::Nothing)
        ]
    );
}

#[test]
fn a_kind_may_come_with_the_order() {
    let till = "---\napiVersion: example.com/v1\nkind: Till\nmetadata: {name: one}\n";
    for yaml in [DEFINITION.to_owned() + till, till.to_owned() + DEFINITION] {
        let plan = plan(&yaml);
        let till = &plan.steps[1];
        assert_eq!(till.at.kind.resource.plural, "tills");
        assert_eq!(till.at.namespace.as_deref(), Some("shop"));
        assert!(till.depends_on_earlier);
        assert!(!plan.steps[0].depends_on_earlier);
    }
}

#[test]
fn what_goes_into_a_namespace_of_the_same_order_depends_on_it() {
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: new}\n";
    let plan = plan(&(object("Namespace", "new") + secret + &object("Secret", "a")));
    let depends: Vec<_> = plan.steps.iter().map(|step| step.depends_on_earlier).collect();
    assert_eq!(depends, [false, true, false]);
}

#[rstest]
#[case::unknown_kind(
    "apiVersion: example.com/v1\nkind: Till\nmetadata: {name: a}\n",
    "document 1, line 2: kind Till does not exist in example.com/v1 of this cluster"
)]
#[case::version_that_is_not_served(
    &(DEFINITION.to_owned() + "---\napiVersion: example.com/v1beta1\nkind: Till\nmetadata: {name: a}\n"),
    "kind Till does not exist in example.com/v1beta1"
)]
#[case::another_namespace(
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: kube-system\n",
    "document 1, line 5: this agent's policy does not allow the namespace kube-system (namespaces.allow: shop, new)"
)]
#[case::another_namespace_itself(
    &object("Namespace", "kube-system"),
    "does not allow the namespace kube-system"
)]
#[case::denied_kind(
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n",
    "document 1, line 2: this agent's policy does not allow ClusterRole.rbac.authorization.k8s.io"
)]
#[case::namespace_of_a_cluster_scoped_kind(
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: new, namespace: shop}\n",
    "document 1, line 3: metadata.namespace is set"
)]
#[case::twice(
    &(object("Secret", "a") + &object("ConfigMap", "a") + &object("Secret", "a")),
    "document 3, line 12: Secret shop/a is already document 1"
)]
#[case::job_twice(&(job("name: a") + &job("name: a")), "Job shop/a-a1b2c3d4e5f6-2 is already document 1")]
#[case::suspended(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec:\n  suspend: true\n",
    "document 1, line 5: spec.suspend is true"
)]
#[case::wrong_metadata(
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a, finalizers: 5}\n",
    "document 1, line 3: metadata has a field of another type"
)]
fn what_cannot_or_may_not_be_done_is_refused(#[case] yaml: &str, #[case] why: &str) {
    let message = refusal(yaml);
    assert!(message.contains(why), "{message:?} does not say {why:?}");
}

#[test]
fn a_generated_namespace_is_judged_by_the_name_it_gets() {
    let message = refusal("apiVersion: v1\nkind: Namespace\nmetadata: {generateName: shop-}\n");
    assert!(
        message.contains("does not allow the namespace shop-1-a1b2c3d4e5f6-2"),
        "{message}"
    );
}

#[test]
fn the_same_name_in_other_kinds_and_namespaces_is_no_duplicate() {
    let elsewhere = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: new}\n";
    assert_eq!(
        plan(&(object("Secret", "a") + &object("ConfigMap", "a") + elsewhere))
            .steps
            .len(),
        3
    );
}

fn with_options(spec: &str, rest: &str) -> String {
    format!("apiVersion: brokkr.io/v1\nkind: Manifests\nspec:\n  {spec}\n{rest}")
}

#[test]
fn everything_is_waited_for_when_the_order_asks() {
    let plan = plan(&with_options(
        "wait: ready",
        &(object("Secret", "a") + &job("name: b")),
    ));
    let watches: Vec<_> = plan.steps.iter().map(|step| step.watch.clone()).collect();
    assert_eq!(watches, [Watch::Ready, Watch::Job]);
    assert_eq!(plan.options.wait, Wait::Ready);
}

#[rstest]
#[case("{kind: Pod, condition: Initialized}", [true, true, false])]
#[case("{kind: Pod, name: b, condition: Initialized}", [false, true, false])]
#[case("{kind: Pod, apiVersion: v1, condition: Initialized}", [true, true, false])]
fn a_condition_is_waited_for_where_it_is_named(#[case] condition: &str, #[case] meant: [bool; 3]) {
    let objects = object("Pod", "a") + &object("Pod", "b") + &object("Secret", "b");
    let plan = plan(&with_options(&format!("conditions: [{condition}]"), &objects));
    let condition = Watch::Condition {
        condition: "Initialized".to_owned(),
        status: "True".to_owned(),
    };
    let named: Vec<_> = plan.steps.iter().map(|step| step.watch == condition).collect();
    assert_eq!(named, meant);
}

#[rstest]
#[case(
    "{kind: Pod, name: c, condition: Ready}",
    "spec.conditions[0] names no object of the order"
)]
#[case(
    "{kind: Pod, apiVersion: v2, condition: Ready}",
    "spec.conditions[0] names no object of the order"
)]
#[case("{kind: Job, condition: Ready}", "spec.conditions[0] names a Job")]
#[case(
    "{kind: Pod, condition: Ready}, {kind: Pod, condition: Initialized}",
    "spec.conditions[1] names an object that an earlier condition names as well"
)]
fn a_condition_that_would_not_be_waited_for_is_refused(#[case] conditions: &str, #[case] why: &str) {
    let objects = object("Pod", "a") + &job("name: b");
    let message = refusal(&with_options(&format!("conditions: [{conditions}]"), &objects));
    assert!(
        message.starts_with("document 1, line ") && message.contains(why),
        "{message}"
    );
}

#[test]
fn pods_get_the_default_service_account_of_their_namespace() {
    let policy = ClusterPolicy::parse("serviceAccounts: {default: {shop: runner}}\n").unwrap();
    let plan = plan_under(&policy, &job("name: a")).unwrap();
    let pod = &sent(&plan.steps[0])["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "runner");
}

#[test]
fn an_image_that_is_not_allowed_is_found_by_its_line() {
    let policy = ClusterPolicy::parse("images: {allow: [busybox]}\n").unwrap();
    let yaml = "apiVersion: batch/v1
kind: Job
metadata: {name: a}
spec:
  template:
    spec:
      containers:
      - image: busybox
      - name: odd
        image: evil.io/miner:1
";
    let message = plan_under(&policy, yaml).unwrap_err().to_string();
    assert_eq!(
        message,
        "document 1, line 10: this agent's policy does not allow the image evil.io/miner:1 in spec.template.spec.containers[1].image (images.allow)"
    );
}
