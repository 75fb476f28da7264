use rstest::rstest;
use serde_json::json;

use super::*;
use crate::execute::manifests::document::read::YAML_BYTES_MAX;
use crate::execute::manifests::options::Wait;

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";

fn document(yaml: &str) -> Document {
    Order::parse(yaml).unwrap().documents.remove(0)
}

fn refusal(yaml: &str) -> String {
    Order::parse(yaml).unwrap_err().to_string()
}

#[test]
fn an_object_is_taken_as_it_was_submitted() {
    let document = document(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\n  namespace: shop\nspec:\n  template: {}\n",
    );
    assert_eq!(
        (document.api_version.as_str(), document.kind.as_str()),
        ("batch/v1", "Job")
    );
    assert_eq!(document.name, Name::Given("migrate".to_owned()));
    assert_eq!(document.namespace.as_deref(), Some("shop"));
    assert_eq!(
        document.object,
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "migrate", "namespace": "shop"},
            "spec": {"template": {}},
        })
    );
}

#[test]
fn documents_are_counted_and_know_their_lines() {
    let order = Order::parse(&format!(
        "# first\n{CONFIG}---\n\n{CONFIG}--- # nothing\n---\n{CONFIG}"
    ))
    .unwrap();
    let places: Vec<_> = order
        .documents
        .iter()
        .map(|document| (document.place.number, document.place.line))
        .collect();
    assert_eq!(places, [(1, 2), (2, 7), (3, 12)]);
}

#[test]
fn a_beginning_serves_as_a_name_unless_there_is_one() {
    let prefix = document("apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-}\n");
    assert_eq!(prefix.name, Name::Prefix("migrate-".to_owned()));
    let both = document("apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-, name: one}\n");
    assert_eq!(both.name, Name::Given("one".to_owned()));
}

#[test]
fn the_options_are_the_first_document_and_no_object() {
    let order = Order::parse(&format!(
        "apiVersion: brokkr.io/v1\nkind: Manifests\nspec: {{wait: ready}}\n---\n{CONFIG}"
    ))
    .unwrap();
    assert_eq!(order.options.wait, Wait::Ready);
    assert_eq!(order.options_place.unwrap().number, 1);
    assert_eq!(order.documents.len(), 1);
    assert_eq!(order.documents[0].place.number, 2);
}

#[test]
fn options_that_come_late_or_twice_are_refused() {
    let options = "apiVersion: brokkr.io/v1\nkind: Manifests\n";
    let late = refusal(&format!("{CONFIG}---\n{options}"));
    assert_eq!(
        late,
        "document 2, line 6: kind Manifests holds for the whole order, so it has to be its first document"
    );
    let twice = refusal(&format!("{options}---\n{options}---\n{CONFIG}"));
    assert!(twice.starts_with("document 2, line 5: "), "{twice}");
    let in_list = refusal("kind: List\nitems:\n- {apiVersion: brokkr.io/v1, kind: Manifests}\n");
    assert!(in_list.starts_with("document 1, items[0], line 3: "), "{in_list}");
}

#[test]
fn options_that_make_no_sense_are_refused_with_their_line() {
    let yaml =
        format!("apiVersion: brokkr.io/v1\nkind: Manifests\nspec:\n  wait: ready\n  force: 1\n---\n{CONFIG}");
    assert_eq!(
        refusal(&yaml),
        "document 1, line 5: spec.force is neither true nor false"
    );
}

#[test]
fn a_list_is_its_items() {
    let order = Order::parse(&format!(
        "{CONFIG}---\napiVersion: v1\nkind: List\nmetadata: {{}}\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: one}}\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: two}}\n---\n{CONFIG}"
    ))
    .unwrap();
    let places: Vec<_> = order
        .documents
        .iter()
        .map(|document| document.place.to_string())
        .collect();
    assert_eq!(
        places,
        [
            "document 1",
            "document 2, items[0]",
            "document 2, items[1]",
            "document 3"
        ]
    );
    assert_eq!(order.documents[2].place.line, 12);
    assert_eq!(order.documents[2].name, Name::Given("two".to_owned()));
}

#[test]
fn lists_of_one_kind_are_lists_and_objects_with_items_are_not() {
    let list = Order::parse(
        "apiVersion: batch/v1\nkind: JobList\nitems:\n- {apiVersion: batch/v1, kind: Job, metadata: {name: a}}\n",
    );
    assert_eq!(list.unwrap().documents[0].kind, "Job");
    let object =
        document("apiVersion: shop.example.com/v1\nkind: Basket\nmetadata: {name: a}\nitems: [{}]\n");
    assert_eq!(object.kind, "Basket");
}

#[rstest]
#[case::nothing("", "there is no object in the order")]
#[case::only_a_comment("# nothing\n---\n", "there is no object in the order")]
#[case::only_options(
    "apiVersion: brokkr.io/v1\nkind: Manifests\n",
    "there is no object in the order"
)]
#[case::empty_list("apiVersion: v1\nkind: List\nitems: []\n", "there is no object in the order")]
#[case::a_text("hello\n", "document 1, line 1: the document is not a mapping")]
#[case::no_version(
    "kind: Job\nmetadata: {name: a}\n",
    "document 1, line 1: apiVersion is missing"
)]
#[case::no_kind(
    "\napiVersion: v1\nmetadata: {name: a}\n",
    "document 1, line 2: kind is missing"
)]
#[case::empty_kind("apiVersion: v1\nkind: ''\n", "document 1, line 2: kind is empty")]
#[case::number_as_kind("apiVersion: v1\nkind: 5\n", "document 1, line 2: kind is not a text")]
#[case::no_metadata(
    "apiVersion: v1\nkind: Secret\n",
    "document 1, line 1: metadata.name is missing, and so is metadata.generateName"
)]
#[case::no_name(
    "apiVersion: v1\nkind: Secret\nmetadata:\n  labels: {}\n",
    "document 1, line 4: metadata.name is missing"
)]
#[case::number_as_name(
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: 5\n",
    "document 1, line 4: metadata.name is not a text"
)]
#[case::path_as_name(
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a/b\n",
    "line 4: metadata.name is not a name"
)]
#[case::path_as_namespace(
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: ..\n",
    "line 5: metadata.namespace is not a name"
)]
#[case::in_a_list(
    "kind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: 5\n",
    "document 1, items[0], line 6: metadata.name is not a text"
)]
#[case::list_in_a_list(
    "kind: List\nitems:\n- {kind: List, items: []}\n",
    "items[0], line 3: kind is a List, which another List"
)]
#[case::unknown_in_a_list(
    "kind: List\nitems: []\nspec: {}\n",
    "document 1, line 3: spec is not a field of a List"
)]
#[case::number_as_label(
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  labels:\n    tier: 1\n",
    "line 6: metadata.labels.tier is not a text"
)]
#[case::duplicate_key(
    "apiVersion: v1\nkind: Secret\nkind: Job\n",
    "document 1, line 3: this cannot be read"
)]
#[case::no_yaml("apiVersion: v1\nkind: [\n", "document 1, line")]
fn a_senseless_order_is_refused_with_document_line_and_field(#[case] yaml: &str, #[case] why: &str) {
    let message = refusal(yaml);
    assert!(message.contains(why), "{message:?} does not say {why:?}");
}

#[test]
fn a_mistake_in_a_later_document_is_found_there() {
    let broken = refusal(&format!("{CONFIG}---\n{CONFIG}---\na: [\n"));
    assert!(broken.starts_with("document 3, line "), "{broken}");
    let wrong = refusal(&format!("{CONFIG}---\nkind: Job\n"));
    assert_eq!(wrong, "document 2, line 5: apiVersion is missing");
}

#[rstest]
#[case(
    "metadata:\n  name: a\n  labels: {brokkr.io/attempt: '1'}\n",
    "metadata.labels.brokkr.io/attempt"
)]
#[case(
    "metadata:\n  name: a\n  annotations: {brokkr.io/x: '1'}\n",
    "metadata.annotations.brokkr.io/x"
)]
#[case(
    "metadata: {name: a}\nspec:\n  jobTemplate:\n    metadata: {labels: {brokkr.io/agent: a}}\n",
    "spec.jobTemplate.metadata.labels.brokkr.io/agent"
)]
#[case(
    "metadata: {name: a}\nspec:\n  templates:\n  - metadata: {labels: {brokkr.io/agent: a}}\n",
    "spec.templates[0].metadata.labels.brokkr.io/agent"
)]
fn nobody_else_sets_the_agents_labels(#[case] rest: &str, #[case] field: &str) {
    let message = refusal(&format!("apiVersion: v1\nkind: Any\n{rest}"));
    assert!(
        message.contains(&format!("{field} begins with brokkr.io/")),
        "{message}"
    );
}

#[test]
fn a_field_that_is_wrong_is_found_by_its_line() {
    let document = document(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec:\n  suspend: true\n  containers:\n  - image: a\n  - image: b\n",
    );
    let line = |field: &str| document.field_error(field, "").place.unwrap().line;
    assert_eq!(line("spec.suspend"), 5);
    assert_eq!(line("spec.containers[1].image"), 8);
    assert_eq!(line("spec.containers[1].name"), 8);
    assert_eq!(line("spec.missing.field"), 5);
    assert_eq!(line("status"), 1);
}

#[test]
fn messages_never_quote_what_may_be_secret() {
    let metadata = "metadata: {name: a}";
    for yaml in [
        format!("apiVersion: v1\nkind: Secret\n{metadata}\nstringData: {{a: sesame, a: sesame}}\n"),
        format!("apiVersion: v1\nkind: Secret\n{metadata}\nstringData: *sesame\n"),
        format!("apiVersion: v1\nkind: Secret\n{metadata}\nstringData: \"sesame\n"),
        format!("apiVersion: v1\nkind: Secret\n{metadata}\nstringData: !!int sesame\n"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: sesame/, labels: sesame}\n".to_owned(),
        "apiVersion: v1\nkind: Secret\nmetadata: sesame\n".to_owned(),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, annotations: {a: [sesame]}}\n".to_owned(),
        "sesame\n".to_owned(),
    ] {
        let message = refusal(&yaml);
        assert!(!message.contains("sesame"), "{message}");
    }
}

#[rstest]
#[case("0644", json!(420))]
#[case("0o644", json!(420))]
#[case("'0644'", json!("0644"))]
#[case("644", json!(644))]
#[case("0.5", json!(0.5))]
#[case("true", json!(true))]
#[case("yes", json!(true))]
#[case("off", json!(false))]
#[case("'yes'", json!("yes"))]
#[case("2026-11-22", json!("2026-11-22"))]
#[case("1e3", json!(1000.0))]
#[case("12:30", json!("12:30"))]
#[case("1_000", json!(1000))]
#[case("~", json!(null))]
#[case("18446744073709551615", json!(u64::MAX))]
#[case("-1", json!(-1))]
#[case("\"a\\tb\"", json!("a\tb"))]
#[case("|\n    a\n    b\n", json!("a\nb\n"))]
#[case("{<<: {a: 1}, b: 2}", json!({"a": 1, "b": 2}))]
fn values_are_read_as_kubectl_reads_them(#[case] written: &str, #[case] value: Value) {
    let document = document(&format!("{CONFIG}spec:\n  value: {written}\n"));
    assert_eq!(document.object["spec"]["value"], value);
}

#[test]
fn yaml_beyond_the_limits_is_refused() {
    let deep = format!("{CONFIG}spec: {}{}\n", "[".repeat(200), "]".repeat(200));
    assert!(refusal(&deep).contains("cannot be read"));
    let large = format!("{CONFIG}data: {{a: '{}'}}\n", "x".repeat(YAML_BYTES_MAX));
    assert_eq!(refusal(&large), "the order is larger than 1048576 bytes");
    let mut bomb = format!("{CONFIG}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(refusal(&bomb).contains("cannot be read"));
}

#[test]
fn yaml_as_deep_as_the_limit_is_read_on_a_small_stack() {
    let deep = format!("{CONFIG}spec: {}{}\n", "[".repeat(60), "]".repeat(60));
    let worker = std::thread::Builder::new().stack_size(512 * 1024);
    let parsed = worker.spawn(move || Order::parse(&deep).is_ok()).unwrap();
    assert!(parsed.join().unwrap());
}
