//! Finding the cluster.

use std::path::PathBuf;
use std::time::Duration;

use ::kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::kube::{Cluster, ClusterTiming};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Where the address and the credential of the cluster come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterSource {
    /// The service account of the pod that the agent runs in.
    InCluster,
    /// A kubeconfig: the given file, or what `KUBECONFIG` and `~/.kube/config` say.
    Kubeconfig {
        /// The file; without it the usual places.
        path: Option<PathBuf>,
        /// The context; without it the current one.
        context: Option<String>,
    },
    /// The pod's service account where there is one, else the kubeconfig.
    Infer,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration cannot be read.
    #[error("could not read the cluster's configuration")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No client can be made of it.
    #[error("could not set the connection to the cluster up")]
    Client(#[source] ::kube::Error),
}

impl Cluster {
    /// Prepares the connection. Nothing is asked of the cluster yet. Objects without a namespace go to `namespace`, or
    /// where the configuration says, or to `default`.
    ///
    /// # Errors
    /// When the configuration cannot be read or makes no sense.
    pub async fn connect(
        source: &ClusterSource,
        namespace: Option<&str>,
        timing: ClusterTiming,
    ) -> Result<Self, ConnectError> {
        let mut config = configuration(source).await?;
        config.connect_timeout = Some(CONNECT_LIMIT.min(timing.request_limit));
        // Each request has its own limit. Watches and logs are quiet for as long as nothing happens.
        config.read_timeout = None;
        // What is tried again, and for how long, is decided here alone.
        config.default_retry = false;
        let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
        let client = ::kube::Client::try_from(config).map_err(ConnectError::Client)?;
        Ok(Self::from_client(client, &namespace, timing))
    }
}

async fn configuration(source: &ClusterSource) -> Result<Config, ConnectError> {
    match source {
        ClusterSource::InCluster => Config::incluster().map_err(|error| ConnectError::Config(error.into())),
        ClusterSource::Kubeconfig { path, context } => kubeconfig(path.clone(), context.clone()).await,
        ClusterSource::Infer => match Config::incluster() {
            Ok(config) => Ok(config),
            Err(_) => kubeconfig(None, None).await,
        },
    }
}

async fn kubeconfig(path: Option<PathBuf>, context: Option<String>) -> Result<Config, ConnectError> {
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    let read = async {
        match path {
            Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await,
            None => Config::from_kubeconfig(&options).await,
        }
    };
    read.await
        .map_err(|error: KubeconfigError| ConnectError::Config(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: first
clusters:
- {name: one, cluster: {server: 'http://127.0.0.1:1'}}
users:
- {name: me, user: {}}
contexts:
- {name: first, context: {cluster: one, user: me, namespace: shop}}
- {name: second, context: {cluster: one, user: me}}
";

    async fn connect(context: Option<&str>, namespace: Option<&str>) -> Result<Cluster, ConnectError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        std::fs::write(&path, KUBECONFIG).unwrap();
        let source = ClusterSource::Kubeconfig {
            path: Some(path),
            context: context.map(str::to_owned),
        };
        Cluster::connect(&source, namespace, ClusterTiming::default()).await
    }

    #[tokio::test]
    async fn the_namespace_is_the_given_one_or_that_of_the_context() {
        let namespace = async |context, namespace| {
            let cluster = connect(context, namespace).await.unwrap();
            cluster.default_namespace().to_owned()
        };
        assert_eq!(namespace(None, None).await, "shop");
        assert_eq!(namespace(None, Some("till")).await, "till");
        assert_eq!(namespace(Some("second"), None).await, "default");
    }

    #[tokio::test]
    async fn a_context_that_is_not_there_is_an_error_of_the_configuration() {
        let error = connect(Some("third"), None).await.unwrap_err();
        assert!(matches!(error, ConnectError::Config(_)), "{error:?}");
    }
}
