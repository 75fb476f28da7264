//! What an order brings along that other objects of it need.

use std::collections::BTreeSet;

use ::kube::api::ApiResource;
use serde_json::Value;

use crate::execute::manifests::document::{Document, Name};
use crate::kube::Kind;

/// Where definitions of kinds are defined.
const DEFINITIONS_GROUP: &str = "apiextensions.k8s.io";

/// Namespaces, and definitions of kinds.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    namespaces: BTreeSet<String>,
    kinds: Vec<Kind>,
}

impl Definitions {
    /// What these documents bring, wherever among them it stands.
    pub(super) fn of(documents: &[Document]) -> Self {
        let mut brought = Self::default();
        for document in documents {
            if is_namespace(&document.api_version, &document.kind) {
                if let Name::Given(name) = &document.name {
                    brought.namespaces.insert(name.clone());
                }
            } else if is_definition(&document.api_version, &document.kind) {
                brought.kinds.extend(defined_by(&document.object["spec"]));
            }
        }
        brought
    }

    pub(super) fn has_namespace(&self, name: &str) -> bool {
        self.namespaces.contains(name)
    }

    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.kinds
            .iter()
            .find(|defined| defined.resource.api_version == api_version && defined.resource.kind == kind)
    }
}

/// Whether others need the object, so that it comes before them.
pub(super) fn comes_first(kind: &Kind) -> bool {
    let resource = &kind.resource;
    is_namespace(&resource.api_version, &resource.kind)
        || is_definition(&resource.api_version, &resource.kind)
}

fn is_namespace(api_version: &str, kind: &str) -> bool {
    api_version == "v1" && kind == "Namespace"
}

fn is_definition(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map(|(group, _)| group);
    group == Some(DEFINITIONS_GROUP) && kind == "CustomResourceDefinition"
}

/// The kinds of the versions that are served. What is left out makes the definition wrong, which the API says.
fn defined_by(spec: &Value) -> Vec<Kind> {
    let names = &spec["names"];
    let (Some(group), Some(kind), Some(plural)) = (
        spec["group"].as_str(),
        names["kind"].as_str(),
        names["plural"].as_str(),
    ) else {
        return Vec::new();
    };
    let namespaced = spec["scope"] == "Namespaced";
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .filter(|version| version["served"] == true)
        .filter_map(|version| version["name"].as_str())
        .map(|version| Kind {
            resource: ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: format!("{group}/{version}"),
                kind: kind.to_owned(),
                plural: plural.to_owned(),
            },
            namespaced,
        })
        .collect()
}
