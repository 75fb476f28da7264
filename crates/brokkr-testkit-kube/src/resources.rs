//! Which resources are served.

use serde_json::Value;

use crate::status::Status;

/// One resource, in the one version it is served in.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// Empty for the core group.
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) namespaced: bool,
    /// Whether the status is written by its own requests only.
    pub(crate) status: bool,
    /// Whether it is of no group of Kubernetes itself.
    pub(crate) custom: bool,
}

impl Resource {
    pub(crate) fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// The plural and the group, as messages name a resource.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            return self.plural.clone();
        }
        format!("{}.{}", self.plural, self.group)
    }

    pub(crate) fn not_found(&self, name: &str) -> Status {
        let message = format!("{} {name:?} not found", self.qualified());
        Status::of_code(404, message).about(&self.group, &self.plural, name)
    }

    pub(crate) fn already_exists(&self, name: &str) -> Status {
        Status::of_code(409, format!("{} {name:?} already exists", self.qualified()))
            .because("AlreadyExists")
            .about(&self.group, &self.plural, name)
    }

    pub(crate) fn conflict(&self, name: &str, why: &str) -> Status {
        let resource = self.qualified();
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Status::of_code(409, message).about(&self.group, &self.plural, name)
    }

    pub(crate) fn forbidden(&self, name: &str, why: &str) -> Status {
        let message = format!("{} {name:?} is forbidden: {why}", self.qualified());
        Status::of_code(403, message).about(&self.group, &self.plural, name)
    }
}

pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        return version.to_owned();
    }
    format!("{group}/{version}")
}

/// group, version, kind, plural, short name, namespaced, status
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    bool,
    bool,
);

#[rustfmt::skip]
const BUILT_IN: &[Row] = &[
    ("", "v1", "Namespace", "namespaces", "ns", false, true),
    ("", "v1", "Node", "nodes", "no", false, true),
    ("", "v1", "ConfigMap", "configmaps", "cm", true, false),
    ("", "v1", "Secret", "secrets", "", true, false),
    ("", "v1", "Service", "services", "svc", true, true),
    ("", "v1", "ServiceAccount", "serviceaccounts", "sa", true, false),
    ("", "v1", "Pod", "pods", "po", true, true),
    ("", "v1", "Event", "events", "ev", true, false),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", true, true),
    ("", "v1", "LimitRange", "limitranges", "limits", true, false),
    ("", "v1", "ResourceQuota", "resourcequotas", "quota", true, true),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd", false, true),
    ("apps", "v1", "DaemonSet", "daemonsets", "ds", true, true),
    ("apps", "v1", "Deployment", "deployments", "deploy", true, true),
    ("apps", "v1", "ReplicaSet", "replicasets", "rs", true, true),
    ("apps", "v1", "StatefulSet", "statefulsets", "sts", true, true),
    ("batch", "v1", "CronJob", "cronjobs", "cj", true, true),
    ("batch", "v1", "Job", "jobs", "", true, true),
    ("coordination.k8s.io", "v1", "Lease", "leases", "", true, false),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", "ing", true, true),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol", true, false),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", true, true),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "", false, false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", "", false, false),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", "", true, false),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "", true, false),
];

#[rustfmt::skip]
const SHIPWRIGHT: &[Row] = &[
    ("shipwright.io", "v1beta1", "Build", "builds", "", true, true),
    ("shipwright.io", "v1beta1", "BuildRun", "buildruns", "", true, true),
    ("shipwright.io", "v1beta1", "BuildStrategy", "buildstrategies", "", true, false),
    ("shipwright.io", "v1beta1", "ClusterBuildStrategy", "clusterbuildstrategies", "", false, false),
];

/// The resources that are served from the start.
pub(crate) fn built_in(shipwright: bool) -> Vec<Resource> {
    let more = if shipwright { SHIPWRIGHT } else { &[] };
    BUILT_IN.iter().chain(more).map(from_row).collect()
}

fn from_row((group, version, kind, plural, short_name, namespaced, status): &Row) -> Resource {
    let text = |text: &&str| (*text).to_owned();
    Resource {
        group: text(group),
        version: text(version),
        kind: text(kind),
        plural: text(plural),
        singular: kind.to_lowercase(),
        short_names: Some(text(short_name))
            .filter(|name| !name.is_empty())
            .into_iter()
            .collect(),
        namespaced: *namespaced,
        status: *status,
        custom: group == &"shipwright.io",
    }
}

/// The resource that a CustomResourceDefinition makes, once it is established. Of several versions only the stored one
/// is served.
pub(crate) fn of_definition(definition: &Value) -> Option<Resource> {
    let established = definition["status"]["conditions"]
        .as_array()?
        .iter()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    if !established {
        return None;
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let spec = &definition["spec"];
    let names = &spec["names"];
    let version = spec["versions"]
        .as_array()?
        .iter()
        .find(|version| version["storage"] == true)?;
    let kind = text(&names["kind"])?;
    let singular = text(&names["singular"]).unwrap_or_else(|| kind.to_lowercase());
    Some(Resource {
        group: text(&spec["group"])?,
        version: text(&version["name"])?,
        kind,
        plural: text(&names["plural"])?,
        singular,
        short_names: names["shortNames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(text)
            .collect(),
        namespaced: spec["scope"] == "Namespaced",
        status: version["subresources"]["status"].is_object(),
        custom: true,
    })
}
