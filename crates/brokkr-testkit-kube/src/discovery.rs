//! What the server says it serves: plain discovery, and aggregated discovery (`apidiscovery.k8s.io/v2`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::resources::{Resource, group_version};

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "33",
        "gitVersion": "v1.33.0",
        "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean",
        "buildDate": "2025-04-23T00:00:00Z",
        "goVersion": "go1.24.2",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub(crate) fn groups(resources: &[Resource]) -> Value {
    let groups: Vec<_> = by_group(resources)
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(name, versions)| group(name, &versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`, when anything is served there.
pub(crate) fn one_group(resources: &[Resource], name: &str) -> Option<Value> {
    let versions = by_group(resources).remove(name)?;
    let mut body = group(name, &versions);
    body["kind"] = json!("APIGroup");
    body["apiVersion"] = json!("v1");
    Some(body)
}

fn group(name: &str, versions: &Versions<'_>) -> Value {
    let mut served = versions
        .keys()
        .map(|version| json!({"groupVersion": group_version(name, version), "version": version}));
    let preferred = served.clone().next();
    json!({"name": name, "versions": served.by_ref().collect::<Vec<_>>(), "preferredVersion": preferred})
}

/// `/api/v1` and `/apis/<group>/<version>`, when anything is served there.
pub(crate) fn resource_list(resources: &[Resource], group: &str, version: &str) -> Option<Value> {
    let mut groups = by_group(resources);
    let mut entries = Vec::new();
    for resource in groups.get_mut(group)?.remove(version)? {
        entries.push(entry(resource, &resource.plural, &VERBS));
        for (subresource, verbs) in subresources(resource) {
            entries.push(entry(
                resource,
                &format!("{}/{subresource}", resource.plural),
                verbs,
            ));
        }
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version(group, version),
        "resources": entries,
    }))
}

fn entry(resource: &Resource, name: &str, verbs: &[&str]) -> Value {
    let mut entry = json!({
        "name": name,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs,
    });
    if !resource.short_names.is_empty() && !name.contains('/') {
        entry["shortNames"] = json!(resource.short_names);
    }
    entry
}

fn subresources(resource: &Resource) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let status: Option<(_, &[_])> = resource.status.then_some(("status", &["get", "patch", "update"]));
    let log: Option<(_, &[_])> = (resource.plural == "pods").then_some(("log", &["get"]));
    status.into_iter().chain(log)
}

/// The answer to aggregated discovery at `/api` (the core group) or `/apis` (all others).
pub(crate) fn aggregated(resources: &[Resource], core: bool) -> Value {
    let items: Vec<_> = by_group(resources)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions = versions
                .into_iter()
                .map(|(version, resources)| aggregated_version(version, &resources));
            json!({"metadata": {"name": group}, "versions": versions.collect::<Vec<_>>()})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn aggregated_version(version: &str, resources: &[&Resource]) -> Value {
    let resources: Vec<_> = resources
        .iter()
        .map(|resource| aggregated_resource(resource))
        .collect();
    json!({"version": version, "freshness": "Current", "resources": resources})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let subresources: Vec<_> = subresources(resource)
        .map(|(name, verbs)| json!({"subresource": name, "responseKind": kind, "verbs": verbs}))
        .collect();
    json!({
        "resource": resource.plural,
        "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": VERBS,
        "shortNames": resource.short_names,
        "subresources": subresources,
    })
}

type Versions<'a> = BTreeMap<&'a str, Vec<&'a Resource>>;

fn by_group(resources: &[Resource]) -> BTreeMap<&str, Versions<'_>> {
    let mut groups: BTreeMap<&str, Versions<'_>> = BTreeMap::new();
    for resource in resources {
        let versions = groups.entry(&resource.group).or_default();
        versions.entry(&resource.version).or_default().push(resource);
    }
    groups
}
