//! Those who call a broker in a test.

use std::time::Duration;

use brokkr_api::{
    ClaimRequest, ClaimedWorkOrder, Complete, FailureClass, HeldClaim, PakText, Release, Renewals,
    RenewalsRequest, WorkOrder, WorkOrderLog,
};
use brokkr_client::{Client, ClientError, CompleteOutcome};
use uuid::Uuid;

/// The lease that a [`TestAgent`] asks for when it claims whatever is next.
pub const LEASE: Duration = Duration::from_secs(30);

/// An agent, as one process of it.
#[derive(Debug, Clone)]
pub struct TestAgent {
    /// Who it is.
    pub id: Uuid,
    /// Calls as the agent.
    pub client: Client,
    /// The agent's key.
    pub pak: PakText,
    /// Names the process.
    pub instance_id: String,
}

/// A generator.
#[derive(Debug, Clone)]
pub struct TestGenerator {
    /// Who it is.
    pub id: Uuid,
    /// Calls as the generator.
    pub client: Client,
    /// The generator's key.
    pub pak: PakText,
}

/// Somebody who may read everything and change nothing.
#[derive(Debug, Clone)]
pub struct TestViewer {
    /// Calls as the viewer.
    pub client: Client,
    /// The viewer's key.
    pub pak: PakText,
}

impl TestAgent {
    pub(super) fn new(id: Uuid, client: Client, pak: PakText) -> Self {
        Self {
            id,
            client,
            pak,
            instance_id: "process-1".to_owned(),
        }
    }

    /// The same agent as a newer process.
    #[must_use]
    pub fn restarted(&self, instance_id: &str) -> Self {
        Self {
            instance_id: instance_id.to_owned(),
            ..self.clone()
        }
    }

    /// Claims this work order, for as long as its `claim_timeout_seconds`.
    ///
    /// # Errors
    /// The broker's refusal.
    pub async fn claim(&self, order: &WorkOrder) -> Result<WorkOrder, ClientError> {
        self.client.claim_work_order(order.id, self.id).await
    }

    /// Claims up to `max` of whatever is next, with a lease of [`LEASE`], and does not wait.
    ///
    /// # Errors
    /// The broker's refusal.
    pub async fn claim_next(&self, max: i64) -> Result<Vec<ClaimedWorkOrder>, ClientError> {
        self.client
            .claim(
                self.id,
                &ClaimRequest {
                    max: Some(max),
                    ..self.claim_request()
                },
            )
            .await
    }

    /// Claims whatever is next, with a lease of [`LEASE`], and does not wait.
    ///
    /// # Panics
    /// When there is nothing, or the broker refuses.
    pub async fn claim_one(&self) -> WorkOrder {
        let claimed = self.claim_next(1).await.expect("the agent may claim");
        let claim = claimed.into_iter().next().expect("an order waits for the agent");
        claim.work_order
    }

    /// A claim by this process with a lease of [`LEASE`], to be changed as needed.
    #[must_use]
    pub fn claim_request(&self) -> ClaimRequest {
        ClaimRequest {
            lease_seconds: Some(lease_seconds()),
            instance_id: self.instance_id.clone(),
            ..ClaimRequest::default()
        }
    }

    /// Renews these claims for [`LEASE`].
    ///
    /// # Errors
    /// The broker's refusal.
    pub async fn renew(&self, claims: &[&WorkOrder]) -> Result<Renewals, ClientError> {
        let claims = claims
            .iter()
            .map(|claim| HeldClaim {
                id: claim.id,
                attempt: claim.attempt,
            })
            .collect();
        let request = RenewalsRequest {
            instance_id: self.instance_id.clone(),
            lease_seconds: Some(lease_seconds()),
            claims,
            ..RenewalsRequest::default()
        };
        self.client.renew(self.id, &request).await
    }

    /// Gives a claim back.
    ///
    /// # Errors
    /// The broker's refusal.
    pub async fn release(&self, claim: &WorkOrder) -> Result<WorkOrder, ClientError> {
        let release = Release {
            agent_id: self.id,
            attempt: claim.attempt,
            reason: None,
        };
        self.client.release(claim.id, &release).await
    }

    /// Reports that the claim's work was done.
    ///
    /// # Errors
    /// The broker's refusal.
    ///
    /// # Panics
    /// When the broker takes a success for a reason to try again.
    pub async fn succeed(&self, claim: &WorkOrder) -> Result<WorkOrderLog, ClientError> {
        match self
            .complete(
                claim,
                Complete {
                    success: true,
                    ..Complete::default()
                },
            )
            .await?
        {
            CompleteOutcome::Ended(entry) => Ok(*entry),
            CompleteOutcome::RetryScheduled => panic!("a success was scheduled for a retry"),
        }
    }

    /// Reports that the claim's work failed, and why.
    ///
    /// # Errors
    /// The broker's refusal.
    pub async fn fail(&self, claim: &WorkOrder, class: FailureClass) -> Result<CompleteOutcome, ClientError> {
        let message = Some(format!("failed: {class}"));
        self.complete(
            claim,
            Complete {
                message,
                class: Some(class),
                ..Complete::default()
            },
        )
        .await
    }

    /// Reports an ending of the claim's attempt.
    ///
    /// # Errors
    /// The broker's refusal.
    pub async fn complete(
        &self,
        claim: &WorkOrder,
        report: Complete,
    ) -> Result<CompleteOutcome, ClientError> {
        let report = Complete {
            attempt: Some(claim.attempt),
            ..report
        };
        self.client.complete(claim.id, &report).await
    }
}

fn lease_seconds() -> i64 {
    LEASE.as_secs().cast_signed()
}
