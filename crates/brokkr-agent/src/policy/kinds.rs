//! Which kinds of objects the agent creates.

use super::PolicyError;
use super::pattern::Pattern;
use crate::kube::Kind;

/// Groups whose objects decide who may do what, or stand between everybody and the API. Kubernetes itself treats the right to
/// write them as a way to more rights ("RBAC Good Practices", privilege escalation risks).
const POWERFUL_GROUPS: [&str; 4] = [
    "rbac.authorization.k8s.io",
    "admissionregistration.k8s.io",
    "apiregistration.k8s.io",
    "certificates.k8s.io",
];

/// A kind, or several of them: `Kind` in any group, or `Kind.group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KindPattern {
    kind: Pattern,
    group: Option<Pattern>,
}

impl KindPattern {
    pub(super) fn new(text: &str) -> Self {
        match text.split_once('.') {
            Some((kind, group)) => Self {
                kind: Pattern::new(kind),
                group: Some(Pattern::new(group)),
            },
            None => Self {
                kind: Pattern::new(text),
                group: None,
            },
        }
    }

    /// The kind and the group as they were written.
    pub(super) fn texts(&self) -> (&str, Option<&str>) {
        (self.kind.text(), self.group.as_ref().map(Pattern::text))
    }

    fn matches(&self, kind: &Kind) -> bool {
        self.kind.matches(&kind.resource.kind)
            && self
                .group
                .as_ref()
                .is_none_or(|group| group.matches(&kind.resource.group))
    }
}

/// The rules about kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KindRules {
    pub(super) deny: Vec<KindPattern>,
    pub(super) allow: Vec<KindPattern>,
    pub(super) allow_cluster_scoped: Vec<KindPattern>,
}

impl KindRules {
    pub(super) fn check(&self, kind: &Kind) -> Result<(), PolicyError> {
        let among = |patterns: &[KindPattern]| patterns.iter().any(|pattern| pattern.matches(kind));
        if among(&self.deny) {
            return Err(PolicyError::KindDenied {
                kind: full_name(kind),
            });
        }
        if among(&self.allow) {
            return Ok(());
        }
        if POWERFUL_GROUPS.contains(&kind.resource.group.as_str()) {
            return Err(PolicyError::Powerful {
                kind: full_name(kind),
            });
        }
        if !kind.namespaced && !among(&self.allow_cluster_scoped) {
            return Err(PolicyError::ClusterScoped {
                kind: full_name(kind),
            });
        }
        Ok(())
    }
}

/// The kind as the lists name it.
fn full_name(kind: &Kind) -> String {
    match kind.resource.group.as_str() {
        "" => kind.resource.kind.clone(),
        group => format!("{}.{group}", kind.resource.kind),
    }
}

#[cfg(test)]
mod tests {
    use ::kube::api::ApiResource;
    use rstest::rstest;

    use super::*;

    fn kind(group: &str, kind: &str, namespaced: bool) -> Kind {
        Kind {
            resource: ApiResource {
                group: group.to_owned(),
                version: "v1".to_owned(),
                api_version: String::new(),
                kind: kind.to_owned(),
                plural: kind.to_lowercase(),
            },
            namespaced,
        }
    }

    fn rules(deny: &[&str], allow: &[&str], allow_cluster_scoped: &[&str]) -> KindRules {
        let patterns = |texts: &[&str]| texts.iter().map(|text| KindPattern::new(text)).collect();
        KindRules {
            deny: patterns(deny),
            allow: patterns(allow),
            allow_cluster_scoped: patterns(allow_cluster_scoped),
        }
    }

    #[rstest]
    #[case::namespaced(kind("batch", "Job", true), None)]
    #[case::core(kind("", "Secret", true), None)]
    #[case::custom(kind("shop.example.com", "Till", true), None)]
    #[case::cluster_scoped(kind("", "Namespace", false), Some("kinds.allowClusterScoped"))]
    #[case::role(kind("rbac.authorization.k8s.io", "RoleBinding", true), Some("kinds.allow)"))]
    #[case::cluster_role(kind("rbac.authorization.k8s.io", "ClusterRole", false), Some("kinds.allow)"))]
    #[case::webhook(
        kind("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", false),
        Some("kinds.allow)")
    )]
    #[case::api(kind("apiregistration.k8s.io", "APIService", false), Some("kinds.allow)"))]
    fn without_rules_only_harmless_kinds_in_namespaces_are_allowed(
        #[case] kind: Kind,
        #[case] refused: Option<&str>,
    ) {
        let result = KindRules::default()
            .check(&kind)
            .map_err(|error| error.to_string());
        match refused {
            None => assert_eq!(result, Ok(())),
            Some(rule) => assert!(result.as_ref().unwrap_err().contains(rule), "{result:?}"),
        }
    }

    #[test]
    fn a_denied_kind_is_refused_with_and_without_its_group() {
        let job = kind("batch", "Job", true);
        for denied in ["Job", "Job.batch", "*.batch", "J*"] {
            let error = rules(&[denied], &["Job"], &[]).check(&job).unwrap_err();
            assert!(
                error.to_string().contains("denies Job.batch (kinds.deny)"),
                "{error}"
            );
        }
        for other in ["Job.apps", "CronJob", "job"] {
            assert_eq!(rules(&[other], &[], &[]).check(&job), Ok(()), "{other}");
        }
    }

    #[test]
    fn a_listed_cluster_scoped_kind_is_allowed() {
        let namespace = kind("", "Namespace", false);
        assert_eq!(rules(&[], &[], &["Namespace"]).check(&namespace), Ok(()));
        assert_eq!(rules(&[], &["Namespace"], &[]).check(&namespace), Ok(()));
        let node = rules(&[], &[], &["Namespace"]).check(&kind("", "Node", false));
        assert!(matches!(node, Err(PolicyError::ClusterScoped { .. })), "{node:?}");
    }

    #[test]
    fn a_kind_that_gives_rights_needs_to_be_named_where_such_kinds_are() {
        let role = kind("rbac.authorization.k8s.io", "ClusterRole", false);
        let error = rules(&[], &[], &["*"]).check(&role).unwrap_err();
        assert!(matches!(error, PolicyError::Powerful { .. }), "{error}");
        assert_eq!(rules(&[], &["ClusterRole"], &[]).check(&role), Ok(()));
    }
}
