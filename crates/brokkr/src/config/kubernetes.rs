//! The cluster that an agent works in.

use std::path::PathBuf;
use std::time::Duration;

use brokkr_agent::kube::{ClusterSource, ClusterTiming};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The cluster that the agent works in. In a pod of that cluster only `enabled` is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KubernetesSection {
    /// Whether orders of type `custom` and `build` are done on a cluster.
    pub(crate) enabled: bool,
    /// The file that says how to reach the cluster. Without it the service account of the pod that the agent runs in, else
    /// what `KUBECONFIG` and `~/.kube/config` say.
    #[schema(value_type = Option<String>)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of that file; without it the current one.
    pub(crate) context: Option<String>,
    /// The namespace of documents that name none, and the only one that is allowed unless the policy allows others.
    /// Without it the pod's or the context's.
    pub(crate) namespace: Option<String>,
    /// How long a pod may be unable to start (its image cannot be pulled, no node fits it) before its order fails, in seconds.
    pub(crate) stuck_seconds: u64,
    /// How long requests are tried again while the cluster's API does not answer or is overloaded, in seconds.
    pub(crate) patience_seconds: u64,
}

impl Default for KubernetesSection {
    fn default() -> KubernetesSection {
        let timing = ClusterTiming::default();
        KubernetesSection {
            enabled: false,
            kubeconfig: None,
            context: None,
            namespace: None,
            stuck_seconds: timing.stuck_limit.as_secs(),
            patience_seconds: timing.patience.as_secs(),
        }
    }
}

impl KubernetesSection {
    /// Where the address and the credential come from.
    pub(crate) fn source(&self) -> ClusterSource {
        if self.kubeconfig.is_none() && self.context.is_none() {
            return ClusterSource::Infer;
        }
        ClusterSource::Kubeconfig {
            path: self.kubeconfig.clone(),
            context: self.context.clone(),
        }
    }

    /// How long the cluster is waited for.
    pub(crate) fn timing(&self) -> ClusterTiming {
        ClusterTiming {
            stuck_limit: Duration::from_secs(self.stuck_seconds),
            patience: Duration::from_secs(self.patience_seconds),
            ..ClusterTiming::default()
        }
    }
}

/// Flags for the cluster.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub(crate) struct KubernetesArgs {
    /// Do orders of type custom and build on a cluster; the flags below say so too
    #[arg(long)]
    kube: bool,

    /// How to reach the cluster; without it as the pod that this runs in, else by $KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig; without it the current one
    #[arg(long, value_name = "NAME")]
    kube_context: Option<String>,

    /// The namespace of documents that name none; without it the pod's or the context's
    #[arg(long, value_name = "NAMESPACE")]
    kube_namespace: Option<String>,
}

impl KubernetesArgs {
    /// The keys of the section that were given, if any were.
    pub(crate) fn given(self) -> Option<serde_json::Map<String, serde_json::Value>> {
        let kubeconfig = self.kubeconfig.map(|path| path.display().to_string());
        let texts = [
            ("kubeconfig", kubeconfig),
            ("context", self.kube_context),
            ("namespace", self.kube_namespace),
        ];
        let mut given: serde_json::Map<_, _> = texts
            .into_iter()
            .filter_map(|(key, text)| Some((key.to_owned(), text?.into())))
            .collect();
        if !self.kube && given.is_empty() {
            return None;
        }
        given.insert("enabled".to_owned(), true.into());
        Some(given)
    }

    /// The section that only flags decide about.
    pub(crate) fn section(self) -> KubernetesSection {
        let given = self.given().unwrap_or_default();
        // The keys are the section's own.
        serde_json::from_value(given.into()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        kubernetes: KubernetesArgs,
    }

    fn section(args: &[&str]) -> KubernetesSection {
        let line = [&["brokkr"], args].concat();
        Line::parse_from(line).kubernetes.section()
    }

    #[test]
    fn without_flags_there_is_no_cluster_and_each_flag_asks_for_one() {
        assert_eq!(section(&[]), KubernetesSection::default());
        assert!(section(&["--kube"]).enabled);
        let named = section(&["--kube-context", "prod"]);
        assert!(named.enabled);
        assert_eq!(
            named.source(),
            ClusterSource::Kubeconfig {
                path: None,
                context: Some("prod".to_owned())
            }
        );
        assert_eq!(
            section(&["--kube-namespace", "shop"]).source(),
            ClusterSource::Infer
        );
    }
}
