//! One process for each agent: what the place where it runs can do to see to it.

use async_trait::async_trait;
use uuid::Uuid;

use crate::kube::identity::ClusterLease;

/// Why an agent may not be served by this process.
#[derive(Debug, thiserror::Error)]
#[error("could not take the right to serve this agent")]
pub struct GuardError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The right to serve an agent, which one process at a time has.
#[async_trait]
pub trait IdentityGuard: Send + Sync {
    /// Waits until no other process serves `agent`, then takes the right to.
    ///
    /// # Errors
    /// When it can never be taken.
    async fn acquire(&self, agent: Uuid) -> Result<(), GuardError>;

    /// Completes when another process has taken the right, and names it. Otherwise never.
    async fn lost(&self) -> String;

    /// Gives the right back.
    async fn release(&self);
}

#[async_trait]
impl IdentityGuard for ClusterLease {
    async fn acquire(&self, agent: Uuid) -> Result<(), GuardError> {
        Self::acquire(self, agent)
            .await
            .map_err(|failure| GuardError(failure.into()))
    }

    async fn lost(&self) -> String {
        Self::lost(self).await
    }

    async fn release(&self) {
        Self::release(self).await;
    }
}
