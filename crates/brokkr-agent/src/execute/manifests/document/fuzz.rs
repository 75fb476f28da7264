//! The fuzz target for manifests and builds.

use brokkr_testkit_fuzz::{Fuzz, SECRET};
use serde_json::json;

use super::*;
use crate::document::fuzz::{escaped, is_too_long};
use crate::execute::build::document::{BuildOrder, Source};

const WORDS: &[&str] = &[
    "apiVersion: v1\n",
    "apiVersion: batch/v1\n",
    "apiVersion: brokkr.io/v1\n",
    "apiVersion: shipwright.io/v1beta1\n",
    "kind: Job\n",
    "kind: Secret\n",
    "kind: List\n",
    "kind: Manifests\n",
    "kind: Build\n",
    "metadata: {name: a}\n",
    "metadata: {generateName: a-, namespace: b}\n",
    "labels: {brokkr.io/x: y}",
    "items:\n",
    "spec: {wait: ready}\n",
    "---\n",
    "- ",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!binary ",
    "\"",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "\n",
    "  ",
    "0644",
    SECRET,
];

#[test]
fn manifests() {
    Fuzz::new("manifests", WORDS).run_texts(|yaml| match Order::parse(yaml) {
        Ok(order) => {
            assert!(!order.documents.is_empty());
            for document in &order.documents {
                stands_in_the_text(document.place, yaml);
                is_the_same_again(document);
            }
            format!("{} documents, build: {}", order.documents.len(), build(&order))
        }
        Err(error) => {
            if let Some(place) = error.place {
                stands_in_the_text(place, yaml);
            }
            let told = error.to_string();
            assert!(
                !told.contains(SECRET) || names_a_key(&error),
                "the error quotes a value: {told}"
            );
            match error.problem {
                Problem::Field(field) => field.problem.to_owned(),
                Problem::Yaml(reason) => reason
                    .chars()
                    .filter(char::is_ascii_alphabetic)
                    .take(40)
                    .collect(),
                other => other.to_string().chars().take(20).collect(),
            }
        }
    });
}

fn stands_in_the_text(place: Place, yaml: &str) {
    let lines = yaml.split(['\n', '\r']).count() + 1;
    assert!(
        (1..=lines).contains(&place.line),
        "line {} of {lines}",
        place.line
    );
    assert!(place.number >= 1);
}

/// What was understood, written as JSON, is understood in the same way.
fn is_the_same_again(document: &Document) {
    assert_eq!(document.object["apiVersion"], document.api_version);
    assert_eq!(document.object["kind"], document.kind);
    let name = match &document.name {
        Name::Given(name) | Name::Prefix(name) => name,
    };
    assert!(!name.is_empty() && !name.contains(['/', '%']) && !name.contains(char::is_whitespace));
    if has_long_key(&document.object) {
        return;
    }
    let written = escaped(&document.object.to_string());
    let again = Order::parse(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    let [read] = again.documents.as_slice() else {
        panic!("{} documents of one", again.documents.len())
    };
    assert_eq!(read.object, document.object);
    assert_eq!(
        (&read.name, &read.namespace),
        (&document.name, &document.namespace)
    );
}

fn has_long_key(value: &Value) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .any(|(key, inner)| is_too_long(key) || has_long_key(inner)),
        Value::Array(list) => list.iter().any(has_long_key),
        _ => false,
    }
}

/// What a build makes of the same documents.
fn build(order: &Order) -> &'static str {
    let sources = order.documents.iter().map(|document| Source {
        number: document.place.number,
        line: document.place.line,
        object: document.object.clone(),
    });
    match BuildOrder::of(sources.collect()) {
        Ok(build) => {
            assert!(!build.name.is_empty());
            "understood"
        }
        Err(error) => {
            assert!(error.to_string().starts_with("document "), "{error}");
            "refused"
        }
    }
}

/// Names of fields and kinds are told, since the error would be of no use without them.
fn names_a_key(error: &ManifestError) -> bool {
    match &error.problem {
        Problem::Yaml(reason) => ["unknown field", "duplicate"]
            .iter()
            .any(|of_key| reason.contains(of_key)),
        _ => true,
    }
}

#[test]
fn a_document_that_was_understood_is_understood_again() {
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"\u{7f}": "\u{1f600}\n"}});
    is_the_same_again(&Order::parse(&escaped(&object.to_string())).unwrap().documents[0]);
}
