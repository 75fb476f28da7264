//! What an order of type `build` asks for: a Shipwright `Build` to apply, or the name of one that is there.

use serde_json::Value;

/// The version of Shipwright's API that is spoken.
pub(crate) const SHIPWRIGHT: &str = "shipwright.io/v1beta1";
/// The document that names a build, as clients of the reference system write it.
const REFERENCE_API: &str = "brokkr.io/v1alpha1";

/// One document and where it stands in the order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    /// Counted from 1.
    pub(crate) number: usize,
    /// Of its beginning, counted from 1.
    pub(crate) line: usize,
    /// The document.
    pub(crate) object: Value,
}

/// What is to be built.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BuildOrder {
    /// The `Build` to apply first.
    pub(crate) build: Option<Source>,
    /// The name of the `Build` to run.
    pub(crate) name: String,
    /// Its namespace, if the order says so.
    pub(crate) namespace: Option<String>,
    /// Runs the build under this account instead of that of the namespace.
    pub(crate) service_account: Option<String>,
    /// What was understood and has no effect, for people.
    pub(crate) notes: Vec<String>,
}

/// Why a build cannot be run. Written for the person who submitted it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {number} (line {line}): {problem}")]
pub(crate) struct BuildDocumentError {
    number: usize,
    line: usize,
    problem: String,
}

impl Source {
    fn wrong(&self, problem: impl Into<String>) -> BuildDocumentError {
        BuildDocumentError {
            number: self.number,
            line: self.line,
            problem: problem.into(),
        }
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.object.pointer(path).and_then(Value::as_str)
    }
}

impl BuildOrder {
    /// Reads the documents of an order.
    ///
    /// # Errors
    /// When there is another kind of document, more than one of a kind, or nothing that names a build.
    pub(crate) fn of(documents: Vec<Source>) -> Result<Self, BuildDocumentError> {
        let (mut build, mut order) = (None, None);
        for document in documents {
            let place = match (document.text("/apiVersion"), document.text("/kind")) {
                (Some(SHIPWRIGHT), Some("Build")) => &mut build,
                (Some(REFERENCE_API), Some("WorkOrder")) => &mut order,
                (api_version, kind) => {
                    let (kind, api_version) = (kind.unwrap_or_default(), api_version.unwrap_or_default());
                    return Err(document.wrong(format!(
                        "{kind} of {api_version} has no place in a build; it takes one Build of {SHIPWRIGHT}, one WorkOrder of {REFERENCE_API}, or both"
                    )));
                }
            };
            if place.is_some() {
                return Err(document.wrong("an order runs one build; submit one order for each"));
            }
            *place = Some(document);
        }
        match (build, order) {
            (build, Some(order)) => Self::with_order(build, &order),
            (Some(build), None) => Self::with_build(build),
            (None, None) => Err(BuildDocumentError {
                number: 1,
                line: 1,
                problem: "there is no document that names a build".to_owned(),
            }),
        }
    }

    fn with_build(build: Source) -> Result<Self, BuildDocumentError> {
        let name = name_of(&build)?;
        Ok(Self {
            name,
            namespace: build.text("/metadata/namespace").map(str::to_owned),
            service_account: None,
            notes: Vec::new(),
            build: Some(build),
        })
    }

    fn with_order(build: Option<Source>, order: &Source) -> Result<Self, BuildDocumentError> {
        check_fields(order)?;
        let referenced = order
            .text("/spec/buildRef/name")
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        let applied = build.as_ref().map(name_of).transpose()?;
        let name = match (referenced, applied) {
            (Some(referenced), Some(applied)) if referenced != applied => {
                return Err(order.wrong(format!(
                    "spec.buildRef.name is {referenced:?}, but the order's Build is {applied:?}"
                )));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => return Err(order.wrong("spec.buildRef.name is missing")),
        };
        let namespace = ["/spec/buildRef/namespace", "/metadata/namespace"]
            .into_iter()
            .find_map(|path| order.text(path))
            .or_else(|| build.as_ref().and_then(|build| build.text("/metadata/namespace")));
        let retry_note = order.object.pointer("/spec/retryPolicy").map(|_| {
            "spec.retryPolicy has no effect: the order's own max_retries and backoff_seconds decide"
                .to_owned()
        });
        Ok(Self {
            name,
            namespace: namespace.map(str::to_owned),
            service_account: order.text("/spec/serviceAccount").map(str::to_owned),
            notes: retry_note.into_iter().collect(),
            build,
        })
    }
}

fn name_of(build: &Source) -> Result<String, BuildDocumentError> {
    match build.text("/metadata/name") {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(build.wrong("metadata.name is missing; a Build needs a name that its runs refer to")),
    }
}

fn check_fields(order: &Source) -> Result<(), BuildDocumentError> {
    let Some(spec) = order.object.get("spec").and_then(Value::as_object) else {
        return Err(order.wrong("spec is missing"));
    };
    match spec
        .keys()
        .find(|field| !matches!(field.as_str(), "buildRef" | "retryPolicy" | "serviceAccount"))
    {
        Some(field) => Err(order.wrong(format!(
            "spec.{field} is unknown; there are buildRef, retryPolicy and serviceAccount"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sources(objects: &[Value]) -> Vec<Source> {
        objects
            .iter()
            .enumerate()
            .map(|(index, object)| Source {
                number: index + 1,
                line: 10 * index + 1,
                object: object.clone(),
            })
            .collect()
    }

    fn build(name: &str) -> Value {
        json!({ "apiVersion": SHIPWRIGHT, "kind": "Build", "metadata": { "name": name, "namespace": "team" }, "spec": {} })
    }

    fn order(spec: Value) -> Value {
        json!({ "apiVersion": REFERENCE_API, "kind": "WorkOrder", "metadata": { "name": "nightly" }, "spec": spec })
    }

    #[test]
    fn a_build_alone_is_applied_and_run() {
        let read = BuildOrder::of(sources(&[build("app")])).unwrap();
        assert_eq!(
            (read.name.as_str(), read.namespace.as_deref()),
            ("app", Some("team"))
        );
        assert!(read.build.is_some());
    }

    #[test]
    fn a_work_order_names_a_build_that_is_there() {
        let spec = json!({ "buildRef": { "name": "app", "namespace": "team" }, "serviceAccount": "builder" });
        let read = BuildOrder::of(sources(&[order(spec)])).unwrap();
        assert_eq!(read.build, None);
        assert_eq!(read.name, "app");
        assert_eq!(read.namespace.as_deref(), Some("team"));
        assert_eq!(read.service_account.as_deref(), Some("builder"));
    }

    #[test]
    fn both_together_are_one_build_in_either_order_and_a_retry_policy_is_remarked_on() {
        let spec = json!({ "buildRef": { "name": "app" }, "retryPolicy": { "maxRetries": 3 } });
        for documents in [
            [build("app"), order(spec.clone())],
            [order(spec.clone()), build("app")],
        ] {
            let read = BuildOrder::of(sources(&documents)).unwrap();
            assert!(read.build.is_some());
            assert_eq!(read.namespace.as_deref(), Some("team"));
            assert_eq!(read.notes.len(), 1);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        let refused = |documents: &[Value]| BuildOrder::of(sources(documents)).unwrap_err().to_string();
        let two = refused(&[build("app"), build("other")]);
        assert!(two.starts_with("document 2 (line 11): "), "{two}");
        let other = refused(&[json!({ "apiVersion": "v1", "kind": "Secret" })]);
        assert!(other.contains("Secret of v1"), "{other}");
        let mismatch = refused(&[build("app"), order(json!({ "buildRef": { "name": "x" } }))]);
        assert!(mismatch.contains("buildRef.name"), "{mismatch}");
        let unknown = refused(&[order(json!({ "buildRef": { "name": "x" }, "image": "y" }))]);
        assert!(unknown.contains("spec.image"), "{unknown}");
        let nameless = refused(&[order(json!({}))]);
        assert!(nameless.contains("spec.buildRef.name is missing"), "{nameless}");
    }
}
