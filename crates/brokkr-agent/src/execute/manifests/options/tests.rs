use rstest::rstest;
use serde_json::json;

use super::*;

fn read(spec: Value) -> Result<Options, FieldError> {
    Options::read(&json!({"apiVersion": "brokkr.io/v1", "kind": "Manifests", "spec": spec}))
}

#[test]
fn without_any_field_nothing_is_asked_for() {
    for spec in [json!({}), Value::Null, json!({"wait": null, "conditions": []})] {
        assert_eq!(read(spec), Ok(Options::default()));
    }
    let without_spec =
        json!({"apiVersion": "brokkr.io/v1", "kind": "Manifests", "metadata": {"name": "all"}});
    assert_eq!(Options::read(&without_spec), Ok(Options::default()));
}

#[test]
fn every_field_is_taken() {
    let options = read(json!({
        "wait": "ready",
        "conditions": [
            {"kind": "Till", "condition": "Open"},
            {"kind": "Till", "apiVersion": "shop.example.com/v1", "name": "one", "condition": "Broken", "status": "False"},
        ],
        "force": true,
        "cleanup": "delete-on-success",
    }))
    .unwrap();
    assert_eq!(options.wait, Wait::Ready);
    assert!(options.force);
    assert_eq!(options.cleanup, Some(Cleanup::DeleteOnSuccess));
    let [open, broken] = options.conditions.as_slice() else {
        panic!("{options:?}")
    };
    assert_eq!((open.condition.as_str(), open.status.as_str()), ("Open", "True"));
    assert_eq!((&open.api_version, &open.name), (&None, &None));
    assert_eq!(
        (broken.condition.as_str(), broken.status.as_str()),
        ("Broken", "False")
    );
    assert_eq!(broken.api_version.as_deref(), Some("shop.example.com/v1"));
    assert_eq!(broken.name.as_deref(), Some("one"));
}

#[rstest]
#[case("keep", Cleanup::Keep)]
#[case("delete-on-success", Cleanup::DeleteOnSuccess)]
#[case("delete", Cleanup::Delete)]
fn each_cleanup_has_its_word(#[case] word: &str, #[case] cleanup: Cleanup) {
    assert_eq!(read(json!({"cleanup": word})).unwrap().cleanup, Some(cleanup));
}

#[test]
fn a_status_without_quotation_marks_is_the_same() {
    for (written, status) in [
        (json!(true), "True"),
        (json!(false), "False"),
        (json!("Unknown"), "Unknown"),
    ] {
        let condition = json!({"kind": "Till", "condition": "Open", "status": written});
        let options = read(json!({"conditions": [condition]})).unwrap();
        assert_eq!(options.conditions[0].status, status);
    }
}

#[rstest]
#[case(json!({"wait": "Ready"}), "spec.wait", "neither none nor ready")]
#[case(json!({"wait": true}), "spec.wait", "not a text")]
#[case(json!({"waits": "ready"}), "spec.waits", "not a field that there is")]
#[case(json!({"force": "yes"}), "spec.force", "neither true nor false")]
#[case(json!({"cleanup": "remove"}), "spec.cleanup", "none of keep, delete-on-success, delete")]
#[case(json!({"conditions": {}}), "spec.conditions", "not a list")]
#[case(json!({"conditions": ["Ready"]}), "spec.conditions[0]", "not a mapping")]
#[case(json!({"conditions": [{"kind": "Till"}]}), "spec.conditions[0].condition", "missing")]
#[case(json!({"conditions": [{"condition": "Open"}]}), "spec.conditions[0].kind", "missing")]
#[case(json!({"conditions": [{"kind": "", "condition": "Open"}]}), "spec.conditions[0].kind", "empty")]
#[case(json!({"conditions": [{"kind": "Till", "condition": "Open", "status": "yes"}]}), "spec.conditions[0].status", "none of True")]
#[case(json!({"conditions": [{"kind": "Till", "condition": "Open", "for": "1m"}]}), "spec.conditions[0].for", "not a field")]
#[case(json!("ready"), "spec", "not a mapping")]
fn what_makes_no_sense_is_named(#[case] spec: Value, #[case] field: &str, #[case] problem: &str) {
    let error = read(spec).unwrap_err();
    assert_eq!(error.field, field);
    assert!(error.problem.contains(problem), "{error:?}");
}

#[test]
fn nothing_stands_beside_the_spec() {
    let error = Options::read(&json!({"apiVersion": "brokkr.io/v1", "kind": "Manifests", "wait": "ready"}))
        .unwrap_err();
    assert_eq!(error.field, "wait");
    let error = Options::read(&json!({"kind": "Manifests", "metadata": {"labels": {}}})).unwrap_err();
    assert_eq!(error.field, "metadata.labels");
}
