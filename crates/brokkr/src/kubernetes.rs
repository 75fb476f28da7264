//! What makes an agent one that works in a cluster.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use brokkr_agent::execute::KubeExecutorSettings;
use brokkr_agent::execute::build::BuildExecutor;
use brokkr_agent::execute::manifests::ManifestsExecutor;
use brokkr_agent::kube::identity::ClusterLease;
use brokkr_agent::kube::{Cluster, ClusterSource};
use brokkr_agent::policy::ClusterPolicy;
use brokkr_agent::{Agent, AgentConfig};

use crate::config::{AgentSection, KubernetesSection};
use crate::exit::usage;

/// The agent of a configuration, with its policy and, where it has one, its cluster.
///
/// # Errors
/// A usage error when the policy or the way to the cluster cannot be read.
pub(crate) async fn agent(section: &AgentSection, config: AgentConfig) -> anyhow::Result<Agent> {
    let policy = match &section.policy_file {
        Some(file) => Some(Arc::new(policy(file)?)),
        None => None,
    };
    let agent = match &policy {
        Some(policy) => Agent::new(config.clone())?.with_openings(Arc::clone(policy) as Arc<_>),
        None => Agent::new(config.clone())?,
    };
    if !section.kubernetes.enabled {
        return Ok(agent);
    }
    let place = Place::find(&section.kubernetes).await?;
    place.equip(agent, &config, policy.unwrap_or_default())
}

/// Reads a policy.
///
/// # Errors
/// A usage error that names the file, and the line where there is one.
pub(crate) fn policy(file: &Path) -> anyhow::Result<ClusterPolicy> {
    let told = |problem: String| usage(format!("{}: {problem}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| told(error.to_string()))?;
    ClusterPolicy::parse(&text).map_err(|error| told(error.to_string()))
}

/// A cluster, and whether this process is in it.
pub(crate) struct Place {
    pub(crate) cluster: Cluster,
    /// The namespace of the pod that this process runs in, when that is one of the cluster.
    pub(crate) pod_namespace: Option<String>,
}

impl Place {
    /// Nothing is asked of the cluster.
    pub(crate) async fn find(section: &KubernetesSection) -> anyhow::Result<Place> {
        let connect = async |source: &ClusterSource, namespace| {
            let connected = Cluster::connect(source, namespace, section.timing()).await;
            connected.context("there is no way to the cluster; see agent.kubernetes, or --kubeconfig")
        };
        let namespace = section.namespace.as_deref();
        let pod = match section.source() {
            ClusterSource::Infer => connect(&ClusterSource::InCluster, None).await.ok(),
            _ => None,
        };
        let source = match &pod {
            Some(_) => ClusterSource::InCluster,
            None => section.source(),
        };
        Ok(Place {
            cluster: connect(&source, namespace).await?,
            pod_namespace: pod.map(|pod| pod.default_namespace().to_owned()),
        })
    }

    fn equip(self, agent: Agent, config: &AgentConfig, policy: Arc<ClusterPolicy>) -> anyhow::Result<Agent> {
        let settings = KubeExecutorSettings {
            grace: config.grace,
            output_bytes_max: config.output_bytes_max,
            retention: config.retention,
        };
        let failed = || format!("could not use the state directory {}", config.state_dir.display());
        let manifests = ManifestsExecutor::new(
            self.cluster.clone(),
            config.policy.clone(),
            Arc::clone(&policy),
            &config.state_dir,
            settings.clone(),
            Arc::clone(&config.clock),
        )
        .with_context(failed)?;
        let builds = BuildExecutor::new(
            self.cluster.clone(),
            config.policy.clone(),
            policy,
            &config.state_dir,
            settings,
            Arc::clone(&config.clock),
        )
        .with_context(failed)?;
        let agent = agent
            .with_executor(manifests)
            .with_executor(builds)
            .with_cluster(self.cluster.clone());
        Ok(match self.pod_namespace {
            Some(namespace) => agent.with_guard(ClusterLease::new(
                self.cluster,
                &namespace,
                &config.instance_id,
                Arc::clone(&config.clock),
            )),
            None => agent,
        })
    }
}
