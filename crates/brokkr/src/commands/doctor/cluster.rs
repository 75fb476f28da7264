//! The cluster that the agent works in, and what it may do there.

use std::collections::BTreeSet;
use std::time::Duration;

use brokkr_agent::kube::{Access, Cluster};
use brokkr_agent::policy::ClusterPolicy;
use tokio::time::{Instant, timeout};

use super::report::Report;
use crate::config::{AgentSection, KubernetesSection};
use crate::exit::explain;
use crate::kubernetes::{self, Place};

/// The longest that a cluster counts as reachable without having answered.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Slower than this, watching and stopping work is sluggish.
const SLOW: Duration = Duration::from_secs(2);

const BATCH: &str = "batch";
const CORE: &str = "";
const LEASES: &str = "coordination.k8s.io";
const SHIPWRIGHT: &str = "shipwright.io";

const INSTALL: &str =
    "apply the Role of deploy/kustomize/agent/base, or what brokkr agent install --dry-run prints";

/// Everything that stands between an agent and its cluster.
pub(super) async fn check(report: &mut Report, section: &AgentSection) {
    let policy = match &section.policy_file {
        None => Some(ClusterPolicy::default()),
        Some(file) => match kubernetes::policy(file) {
            Ok(policy) => {
                report.good("policy", file.display().to_string());
                Some(policy)
            }
            Err(error) => {
                report.bad(
                    "policy",
                    explain(&error),
                    "correct it; examples/policy.yaml has every rule",
                );
                None
            }
        },
    };
    if !section.kubernetes.enabled {
        return report.skipped("cluster", "the agent has none (agent.kubernetes.enabled)");
    }
    let impatient = KubernetesSection {
        patience_seconds: 0,
        ..section.kubernetes.clone()
    };
    match Place::find(&impatient).await {
        Ok(place) if reachable(report, &place.cluster).await => {
            rights(report, &place, &policy.unwrap_or_default()).await;
            shipwright(report, &place.cluster).await;
        }
        Ok(_) => {}
        Err(error) => report.bad(
            "cluster",
            explain(&error),
            "set agent.kubernetes.kubeconfig and agent.kubernetes.context",
        ),
    }
}

async fn reachable(report: &mut Report, cluster: &Cluster) -> bool {
    const CHECK: &str = "cluster";
    let begun = Instant::now();
    let version = match timeout(ANSWER_LIMIT, cluster.version()).await {
        Ok(Ok(version)) => version,
        Ok(Err(failure)) => {
            report.bad(
                CHECK,
                failure.chain(),
                "check the kubeconfig's server and credential, the network, and that the API server runs",
            );
            return false;
        }
        Err(_) => {
            report.bad(
                CHECK,
                format!("it has not answered within {} s", ANSWER_LIMIT.as_secs()),
                "check the kubeconfig's server, the network and firewalls between",
            );
            return false;
        }
    };
    let latency = begun.elapsed();
    let found = format!(
        "Kubernetes {version}, answered in {} ms, namespace {}",
        latency.as_millis(),
        cluster.default_namespace()
    );
    if latency < SLOW {
        report.good(CHECK, found);
    } else {
        report.bad(CHECK, found, "find out why the API server answers so slowly");
    }
    true
}

async fn rights(report: &mut Report, place: &Place, policy: &ClusterPolicy) {
    for namespace in namespaces(policy, place.cluster.default_namespace()) {
        let whereabouts = namespace.as_deref().unwrap_or("all namespaces");
        held(
            report,
            "rights",
            &place.cluster,
            whereabouts,
            namespace.as_deref(),
            &work(),
        )
        .await;
    }
    if let Some(namespace) = &place.pod_namespace {
        let lease: Vec<_> = ["create", "get", "update"]
            .map(|verb| access(verb, LEASES, "leases"))
            .to_vec();
        held(
            report,
            "identity",
            &place.cluster,
            namespace,
            Some(namespace),
            &lease,
        )
        .await;
    }
}

/// The namespaces that the policy allows by name; nothing in the place of those that it allows by a pattern.
fn namespaces(policy: &ClusterPolicy, own: &str) -> BTreeSet<Option<String>> {
    let Some(patterns) = policy.namespace_patterns() else {
        return BTreeSet::from([Some(own.to_owned())]);
    };
    let named = |pattern: &str| (!pattern.contains('*')).then(|| pattern.to_owned());
    patterns.into_iter().map(named).collect()
}

/// What running a Job and telling its outcome takes.
fn work() -> Vec<Access<'static>> {
    let of = |group, resource, verbs: &[&'static str]| {
        verbs
            .iter()
            .map(|verb| access(verb, group, resource))
            .collect::<Vec<_>>()
    };
    let log = Access {
        subresource: Some("log"),
        ..access("get", CORE, "pods")
    };
    [
        of(
            BATCH,
            "jobs",
            &["create", "get", "list", "watch", "patch", "delete"],
        ),
        of(CORE, "pods", &["get", "list", "watch", "delete"]),
        vec![log],
        of(CORE, "events", &["list"]),
    ]
    .concat()
}

fn access(verb: &'static str, group: &'static str, resource: &'static str) -> Access<'static> {
    Access {
        verb,
        group,
        resource,
        subresource: None,
    }
}

/// Tells which of these rights are missing.
async fn held(
    report: &mut Report,
    check: &'static str,
    cluster: &Cluster,
    whereabouts: &str,
    namespace: Option<&str>,
    needed: &[Access<'_>],
) {
    let mut missing = Vec::new();
    for access in needed {
        match cluster.may(*access, namespace).await {
            Ok(true) => {}
            Ok(false) => missing.push(access.to_string()),
            Err(failure) => {
                return report.bad(
                    check,
                    failure.chain(),
                    "ask the cluster's administrator; the agent may work nevertheless",
                );
            }
        }
    }
    if missing.is_empty() {
        report.good(check, format!("all that are needed in {whereabouts}"));
    } else {
        report.bad(
            check,
            format!("in {whereabouts} the agent may not: {}", missing.join(", ")),
            INSTALL,
        );
    }
}

async fn shipwright(report: &mut Report, cluster: &Cluster) {
    const CHECK: &str = "Shipwright";
    match cluster.kind("shipwright.io/v1beta1", "BuildRun").await {
        Ok(Some(_)) => {
            let namespace = cluster.default_namespace().to_owned();
            let needed: Vec<_> = ["create", "get", "list", "watch", "patch", "delete"]
                .into_iter()
                .flat_map(|verb| ["builds", "buildruns"].map(|resource| access(verb, SHIPWRIGHT, resource)))
                .collect();
            held(report, CHECK, cluster, &namespace, Some(&namespace), &needed).await;
        }
        Ok(None) => report.skipped(
            CHECK,
            "it is not in this cluster, so orders of type build are not claimed (shipwright.io tells how to install it)",
        ),
        Err(failure) => report.bad(CHECK, failure.chain(), "look at the cluster's API server"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(policy: &str) -> Vec<Option<String>> {
        let policy = ClusterPolicy::parse(policy).unwrap();
        namespaces(&policy, "agents").into_iter().collect()
    }

    #[test]
    fn rights_are_asked_for_where_the_policy_lets_work_go() {
        assert_eq!(of("{}"), [Some("agents".to_owned())]);
        assert_eq!(
            of("namespaces: {allow: [shop, till]}"),
            [Some("shop".to_owned()), Some("till".to_owned())]
        );
        assert_eq!(
            of("namespaces: {allow: [shop, team-*]}"),
            [None, Some("shop".to_owned())]
        );
    }

    #[test]
    fn rights_are_told_as_rbac_names_them() {
        let told: Vec<String> = work().iter().map(Access::to_string).collect();
        assert!(told.contains(&"create jobs.batch".to_owned()), "{told:?}");
        assert!(told.contains(&"get pods/log".to_owned()), "{told:?}");
    }
}
