//! What a policy lets the agent touch, for those who give it its rights.

use super::ClusterPolicy;
use super::kinds::KindPattern;
use crate::kube::Kind;

/// A kind that a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKind<'policy> {
    /// The kind.
    pub kind: &'policy str,
    /// Its group, where the policy says which: empty for the core group.
    pub group: Option<&'policy str>,
}

impl ClusterPolicy {
    /// The patterns of the namespaces it allows; nothing when it leaves the agent to its own.
    pub fn namespace_patterns(&self) -> Option<Vec<&str>> {
        let patterns = self.namespaces.as_ref()?;
        Some(patterns.iter().map(|pattern| pattern.text()).collect())
    }

    /// Whether it lets objects of this kind be created or changed, wherever they are.
    pub fn permits_kind(&self, kind: &Kind) -> bool {
        self.kinds.check(kind).is_ok()
    }

    /// The kinds that it allows by their whole name although they give rights or belong to the whole cluster.
    pub fn named_kinds(&self) -> Vec<NamedKind<'_>> {
        let named = self.kinds.allow.iter().chain(&self.kinds.allow_cluster_scoped);
        named.filter_map(KindPattern::whole_name).collect()
    }
}

impl KindPattern {
    fn whole_name(&self) -> Option<NamedKind<'_>> {
        let (kind, group) = self.texts();
        let whole = !kind.contains('*') && !group.is_some_and(|group| group.contains('*'));
        whole.then_some(NamedKind { kind, group })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_allowed_by_name_are_told_and_patterns_are_not() {
        let policy =
            ClusterPolicy::parse("kinds:\n  allow: [Role.rbac.authorization.k8s.io, '*.shop.test']\n  allowClusterScoped: [Namespace]\n")
                .unwrap();
        let named = policy.named_kinds();
        assert_eq!(
            named,
            [
                NamedKind {
                    kind: "Role",
                    group: Some("rbac.authorization.k8s.io")
                },
                NamedKind {
                    kind: "Namespace",
                    group: None
                },
            ]
        );
    }

    #[test]
    fn namespaces_are_told_as_they_are_written() {
        assert_eq!(ClusterPolicy::default().namespace_patterns(), None);
        let policy = ClusterPolicy::parse("namespaces:\n  allow: [team-*, jobs]\n").unwrap();
        assert_eq!(policy.namespace_patterns(), Some(vec!["team-*", "jobs"]));
    }
}
