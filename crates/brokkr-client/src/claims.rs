//! What agents do with work orders: claim, keep, give back, end.

use std::time::Duration;

use brokkr_api::{
    ClaimById, ClaimRequest, ClaimedWorkOrder, Complete, EndingsAnswer, EndingsRequest, ListPending, Release,
    Renewals, RenewalsRequest, WorkOrder, WorkOrderLog, paths,
};
use http::{Method, StatusCode};
use uuid::Uuid;

use crate::transport::read;
use crate::{Client, ClientError, Page};

/// What a reported outcome led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompleteOutcome {
    /// The work order ended.
    Ended(Box<WorkOrderLog>),
    /// The failure was recorded, and it will be tried again.
    RetryScheduled,
}

impl Client {
    /// What the agent could claim now, oldest first.
    ///
    /// # Errors
    /// `agent_pak_mismatch`.
    pub async fn pending_work_orders(
        &self,
        agent: Uuid,
        query: &ListPending,
    ) -> Result<Page<WorkOrder>, ClientError> {
        self.page(&paths::with_id(paths::AGENT_PENDING, agent), query)
            .await
    }

    /// Claims one known work order.
    ///
    /// # Errors
    /// `work_order_not_claimable`, `agent_pak_mismatch`.
    pub async fn claim_work_order(&self, id: Uuid, agent: Uuid) -> Result<WorkOrder, ClientError> {
        self.post(
            &paths::with_id(paths::WORK_ORDER_CLAIM, id),
            &ClaimById { agent_id: agent },
        )
        .await
    }

    /// Claims the next work orders; none when none came within `wait_seconds`. The answer may take that much longer
    /// than the request timeout.
    ///
    /// # Errors
    /// `superseded_instance`, `agent_pak_mismatch`.
    pub async fn claim(
        &self,
        agent: Uuid,
        claim: &ClaimRequest,
    ) -> Result<Vec<ClaimedWorkOrder>, ClientError> {
        let wait = Duration::from_secs(u64::try_from(claim.wait_seconds.unwrap_or(0)).unwrap_or(0));
        let request = self
            .request(Method::POST, &paths::with_id(paths::AGENT_CLAIMS, agent))
            .timeout(self.config().request_timeout.saturating_add(wait))
            .json(claim);
        read(self.send(request).await?).await
    }

    /// What the agent holds now.
    ///
    /// # Errors
    /// `agent_pak_mismatch`.
    pub async fn held_claims(&self, agent: Uuid) -> Result<Vec<ClaimedWorkOrder>, ClientError> {
        self.get(&paths::with_id(paths::AGENT_CLAIMS, agent)).await
    }

    /// Renews leases, and hears of losses and cancellations.
    ///
    /// # Errors
    /// `superseded_instance`, `agent_pak_mismatch`.
    pub async fn renew(&self, agent: Uuid, renewals: &RenewalsRequest) -> Result<Renewals, ClientError> {
        self.post(&paths::with_id(paths::AGENT_RENEWALS, agent), renewals)
            .await
    }

    /// Gives a work order back.
    ///
    /// # Errors
    /// `stale_attempt`, `work_order_not_found`, `work_order_not_claimed_by_agent`.
    pub async fn release(&self, id: Uuid, release: &Release) -> Result<WorkOrder, ClientError> {
        self.post(&paths::with_id(paths::WORK_ORDER_RELEASE, id), release)
            .await
    }

    /// Reports the outcome of one work order. With an attempt number it is safe to send again.
    ///
    /// # Errors
    /// `work_order_not_found`, `work_order_not_claimed_by_agent`, `stale_attempt`.
    pub async fn complete(&self, id: Uuid, complete: &Complete) -> Result<CompleteOutcome, ClientError> {
        let path = paths::with_id(paths::WORK_ORDER_COMPLETE, id);
        let answer = self
            .send(self.request(Method::POST, &path).json(complete))
            .await?;
        match answer.status() {
            StatusCode::ACCEPTED => Ok(CompleteOutcome::RetryScheduled),
            _ => Ok(CompleteOutcome::Ended(read(answer).await?)),
        }
    }

    /// Reports many outcomes. The answer tells of each what became of it.
    ///
    /// # Errors
    /// Only when all were refused together.
    pub async fn end(&self, agent: Uuid, endings: &EndingsRequest) -> Result<EndingsAnswer, ClientError> {
        self.post(&paths::with_id(paths::AGENT_ENDINGS, agent), endings)
            .await
    }
}
