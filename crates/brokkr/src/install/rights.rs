//! The rights that an agent needs for its policy, and no others.

use std::collections::BTreeSet;

use brokkr_agent::kube::Kind;
use brokkr_agent::policy::{ClusterPolicy, NamedKind};
use kube::api::ApiResource;
use serde_json::{Value, json};

/// What applying, watching and removing an object takes.
const WORK: [&str; 6] = ["create", "delete", "get", "list", "patch", "watch"];

/// The kinds that an agent may apply when its policy says nothing else. Secrets are not among them: an order's text is kept
/// by the broker, so it is no place for one.
const KINDS: [(&str, &str, &str); 13] = [
    ("", "configmaps", "ConfigMap"),
    ("", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("", "pods", "Pod"),
    ("", "services", "Service"),
    ("apps", "daemonsets", "DaemonSet"),
    ("apps", "deployments", "Deployment"),
    ("apps", "statefulsets", "StatefulSet"),
    (
        "autoscaling",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
    ),
    ("batch", "cronjobs", "CronJob"),
    ("batch", "jobs", "Job"),
    ("networking.k8s.io", "ingresses", "Ingress"),
    ("networking.k8s.io", "networkpolicies", "NetworkPolicy"),
    ("policy", "poddisruptionbudgets", "PodDisruptionBudget"),
];

/// The groups of kinds that policies name without one.
const GROUPS: [(&str, &str); 7] = [
    ("ClusterRole", RBAC),
    ("ClusterRoleBinding", RBAC),
    ("CustomResourceDefinition", "apiextensions.k8s.io"),
    ("PriorityClass", "scheduling.k8s.io"),
    ("Role", RBAC),
    ("RoleBinding", RBAC),
    ("StorageClass", "storage.k8s.io"),
];

/// Kinds of [`RBAC`] that live in namespaces.
const ROLES: [&str; 2] = ["Role", "RoleBinding"];

const RBAC: &str = "rbac.authorization.k8s.io";

/// One rule of a Role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    group: String,
    resource: String,
    verbs: Vec<&'static str>,
}

/// Where the rights hold.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    /// In these namespaces.
    Namespaces(BTreeSet<String>),
    /// In all of them, since the policy allows them by a pattern.
    Everywhere,
}

/// All rights of one agent.
#[derive(Debug)]
pub(crate) struct Rights {
    reach: Reach,
    rules: Vec<Rule>,
    cluster_scoped: Vec<Rule>,
}

impl Rights {
    /// The rights for a policy of an agent that lives in `own_namespace`.
    pub(crate) fn of(policy: &ClusterPolicy, own_namespace: &str) -> Self {
        let mut rules = watching();
        let mut cluster_scoped = Vec::new();
        if policy.permits("custom").is_ok() {
            let allowed = KINDS
                .iter()
                .filter(|(group, resource, kind)| policy.permits_kind(&namespaced(group, resource, kind)));
            rules.extend(allowed.map(|(group, resource, _)| rule(group, resource, &WORK)));
            for named in policy.named_kinds() {
                let list = if ROLES.contains(&named.kind) {
                    &mut rules
                } else {
                    &mut cluster_scoped
                };
                list.push(rule(group_of(&named), &plural(named.kind), &WORK));
            }
        }
        if policy.permits("build").is_ok() {
            rules.extend(["builds", "buildruns"].map(|resource| rule("shipwright.io", resource, &WORK)));
        }
        Self {
            reach: reach(policy, own_namespace),
            rules: merged(rules),
            cluster_scoped: merged(cluster_scoped),
        }
    }

    /// The Roles or the ClusterRole with these rights, and what binds them to the service account.
    pub(crate) fn objects(&self, name: &str, own_namespace: &str) -> Vec<Value> {
        let mut objects = Vec::new();
        let identity = format!("{name}-identity");
        objects.extend(role(
            &identity,
            own_namespace,
            &[identity_rule()],
            name,
            own_namespace,
        ));
        let everywhere = match &self.reach {
            Reach::Namespaces(namespaces) => {
                for namespace in namespaces {
                    objects.extend(role(name, namespace, &self.rules, name, own_namespace));
                }
                self.cluster_scoped.clone()
            }
            Reach::Everywhere => [self.rules.clone(), self.cluster_scoped.clone()].concat(),
        };
        if !everywhere.is_empty() {
            objects.extend(cluster_role(name, &everywhere, own_namespace));
        }
        objects
    }
}

/// What every work needs: its pods, what they print, and what is said about them.
fn watching() -> Vec<Rule> {
    vec![
        rule("", "events", &["get", "list", "watch"]),
        rule("", "pods", &["delete", "get", "list", "watch"]),
        rule("", "pods/log", &["get"]),
    ]
}

/// The Lease that keeps a second process of the same agent waiting.
fn identity_rule() -> Rule {
    rule(
        "coordination.k8s.io",
        "leases",
        &["create", "delete", "get", "patch", "update"],
    )
}

fn reach(policy: &ClusterPolicy, own_namespace: &str) -> Reach {
    let Some(patterns) = policy.namespace_patterns() else {
        return Reach::Namespaces(BTreeSet::from([own_namespace.to_owned()]));
    };
    if patterns.iter().any(|pattern| pattern.contains('*')) {
        return Reach::Everywhere;
    }
    Reach::Namespaces(patterns.into_iter().map(str::to_owned).collect())
}

fn namespaced(group: &str, resource: &str, kind: &str) -> Kind {
    Kind {
        resource: ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version: format!("{group}/v1"),
            kind: kind.to_owned(),
            plural: resource.to_owned(),
        },
        namespaced: true,
    }
}

fn group_of<'policy>(named: &NamedKind<'policy>) -> &'policy str {
    let known = || GROUPS.iter().find(|(kind, _)| *kind == named.kind);
    named
        .group
        .unwrap_or_else(|| known().map_or("", |(_, group)| *group))
}

fn rule(group: &str, resource: &str, verbs: &[&'static str]) -> Rule {
    Rule {
        group: group.to_owned(),
        resource: resource.to_owned(),
        verbs: verbs.to_vec(),
    }
}

/// Of two rules for one resource the wider one is enough.
fn merged(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort_by(|a, b| (&a.group, &a.resource, b.verbs.len()).cmp(&(&b.group, &b.resource, a.verbs.len())));
    rules.dedup_by(|later, earlier| later.group == earlier.group && later.resource == earlier.resource);
    rules
}

/// The resource of a kind, guessed as the API machinery does it (`UnsafeGuessKindToResource`).
fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match lower.as_bytes().last() {
        Some(b's') => format!("{lower}es"),
        Some(b'y') => format!("{}ies", &lower[..lower.len() - 1]),
        _ => format!("{lower}s"),
    }
}

fn rules_value(rules: &[Rule]) -> Value {
    rules
        .iter()
        .map(|rule| json!({ "apiGroups": [rule.group], "resources": [rule.resource], "verbs": rule.verbs }))
        .collect()
}

fn role(name: &str, namespace: &str, rules: &[Rule], account: &str, account_namespace: &str) -> [Value; 2] {
    let api_version = "rbac.authorization.k8s.io/v1";
    [
        json!({
            "apiVersion": api_version, "kind": "Role",
            "metadata": { "name": name, "namespace": namespace },
            "rules": rules_value(rules),
        }),
        json!({
            "apiVersion": api_version, "kind": "RoleBinding",
            "metadata": { "name": name, "namespace": namespace },
            "roleRef": { "apiGroup": RBAC, "kind": "Role", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": account_namespace }],
        }),
    ]
}

fn cluster_role(name: &str, rules: &[Rule], account_namespace: &str) -> [Value; 2] {
    let api_version = "rbac.authorization.k8s.io/v1";
    // Two agents in one cluster must not share it.
    let name_everywhere = format!("{account_namespace}-{name}");
    [
        json!({
            "apiVersion": api_version, "kind": "ClusterRole",
            "metadata": { "name": name_everywhere },
            "rules": rules_value(rules),
        }),
        json!({
            "apiVersion": api_version, "kind": "ClusterRoleBinding",
            "metadata": { "name": name_everywhere },
            "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": name_everywhere },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": account_namespace }],
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(policy: &str) -> Vec<Value> {
        let policy = ClusterPolicy::parse(policy).unwrap();
        Rights::of(&policy, "agents").objects("brokkr-agent", "agents")
    }

    fn named<'objects>(objects: &'objects [Value], kind: &str) -> Vec<&'objects Value> {
        objects
            .iter()
            .filter(|object| object["kind"] == kind && object["metadata"]["name"] != "brokkr-agent-identity")
            .collect()
    }

    fn resources(role: &Value) -> Vec<&str> {
        let rules = role["rules"].as_array().unwrap().iter();
        rules.filter_map(|rule| rule["resources"][0].as_str()).collect()
    }

    #[test]
    fn without_rules_the_rights_end_at_the_agents_own_namespace() {
        let objects = rights("{}");
        assert_eq!(named(&objects, "ClusterRole").len(), 0);
        let roles = named(&objects, "Role");
        assert_eq!(roles.len(), 1);
        assert_eq!(roles[0]["metadata"]["namespace"], "agents");
        let resources = resources(roles[0]);
        assert!(
            resources.contains(&"jobs") && resources.contains(&"pods/log"),
            "{resources:?}"
        );
        assert!(
            !resources.contains(&"secrets") && !resources.contains(&"roles"),
            "{resources:?}"
        );
    }

    #[test]
    fn each_namespace_that_is_named_has_its_role_and_a_pattern_needs_a_cluster_role() {
        let objects = rights("namespaces:\n  allow: [one, two]\n");
        let namespaces: Vec<_> = named(&objects, "Role")
            .iter()
            .map(|role| role["metadata"]["namespace"].as_str().unwrap())
            .collect();
        assert_eq!(namespaces, ["one", "two"]);
        let everywhere = rights("namespaces:\n  allow: ['team-*']\n");
        assert_eq!(named(&everywhere, "Role").len(), 0);
        assert_eq!(named(&everywhere, "ClusterRole").len(), 1);
    }

    #[test]
    fn denied_kinds_and_work_types_take_their_rights_away() {
        let objects = rights("workTypes: [custom]\nkinds:\n  deny: [Pod, '*.apps']\n");
        let role = named(&objects, "Role")[0];
        let resources = resources(role);
        assert!(
            !resources.contains(&"deployments") && !resources.contains(&"builds"),
            "{resources:?}"
        );
        let pods = role["rules"]
            .as_array()
            .unwrap()
            .iter()
            .find(|rule| rule["resources"][0] == "pods");
        assert_eq!(pods.unwrap()["verbs"], json!(["delete", "get", "list", "watch"]));
    }

    #[test]
    fn kinds_of_the_whole_cluster_that_are_named_get_a_cluster_role() {
        let objects = rights("kinds:\n  allowClusterScoped: [Namespace, CustomResourceDefinition]\n");
        let cluster_role = named(&objects, "ClusterRole")[0];
        assert_eq!(
            resources(cluster_role),
            ["namespaces", "customresourcedefinitions"]
        );
        assert_eq!(cluster_role["rules"][1]["apiGroups"][0], "apiextensions.k8s.io");
    }
}
