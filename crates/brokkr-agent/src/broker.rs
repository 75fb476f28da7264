//! What the agent says to the broker, and what it makes of the answers.

use std::collections::HashSet;
use std::time::Duration;

use brokkr_api::{
    AgentReport, AppendOutput, ClaimRequest, ClaimedWorkOrder, EndingItem, EndingsRequest, Heartbeat,
    HeldClaim, OutputChunk, Problem, Release, Renewals, RenewalsRequest,
};
use brokkr_client::{Client, ClientError};
use uuid::Uuid;

use crate::attempt::{AttemptId, Claim};

/// Why a call was not answered as hoped.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CallError(#[from] ClientError);

/// What became of one item of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done.
    Accepted,
    /// It will never be done.
    Refused {
        /// Why, as the code of a problem.
        code: String,
    },
    /// It has to be sent again.
    Later,
}

/// Which process of the agent holds a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The one that asks: it knows whether it has begun the work.
    ThisProcess,
    /// An earlier one, or one elsewhere: what that has begun cannot be known here.
    Another,
}

/// The broker as one agent sees it.
#[derive(Clone)]
pub(crate) struct Broker {
    client: Client,
    agent: Uuid,
    instance_id: String,
}

impl Broker {
    /// Which agent the client's PAK belongs to, if to any.
    pub(crate) async fn identify(client: &Client) -> Result<Option<Uuid>, CallError> {
        Ok(client.whoami().await?.agent)
    }

    pub(crate) fn new(client: Client, agent: Uuid, instance_id: String) -> Self {
        Self {
            client,
            agent,
            instance_id,
        }
    }

    /// The agent that it speaks for.
    pub(crate) fn agent(&self) -> Uuid {
        self.agent
    }

    /// Claims at most `max` orders, waiting for the first one.
    pub(crate) async fn claim(
        &self,
        max: usize,
        work_types: Vec<String>,
        lease_seconds: i64,
        wait_seconds: i64,
    ) -> Result<Vec<Claim>, CallError> {
        let request = ClaimRequest {
            max: Some(max.min(CLAIMS_MAX) as i64),
            work_types: Some(work_types),
            lease_seconds: Some(lease_seconds),
            wait_seconds: Some(wait_seconds),
            instance_id: self.instance_id.clone(),
        };
        let claimed = self.client.claim(self.agent, &request).await?;
        Ok(claimed
            .into_iter()
            .map(|claimed| claim(self.agent, claimed))
            .collect())
    }

    /// What the agent holds, as far as the broker knows, and which process of it.
    pub(crate) async fn held_claims(&self) -> Result<Vec<(Claim, Holder)>, CallError> {
        let held = self.client.held_claims(self.agent).await?;
        let told = |held: ClaimedWorkOrder| {
            let own = held.instance_id.as_deref() == Some(&self.instance_id);
            let holder = if own { Holder::ThisProcess } else { Holder::Another };
            (claim(self.agent, held), holder)
        };
        Ok(held.into_iter().map(told).collect())
    }

    /// Renews leases; without any it is a heartbeat.
    pub(crate) async fn renew(
        &self,
        claims: Vec<HeldClaim>,
        lease_seconds: i64,
        state: Option<&str>,
        report: Option<AgentReport>,
    ) -> Result<Renewals, CallError> {
        let request = RenewalsRequest {
            instance_id: self.instance_id.clone(),
            lease_seconds: Some(lease_seconds),
            claims,
            state: state.map(str::to_owned),
            report,
        };
        Ok(self.client.renew(self.agent, &request).await?)
    }

    /// Tells whether the agent reaches its cluster, and how quickly that answered.
    pub(crate) async fn report_cluster(&self, latency: Option<Duration>) -> Result<(), CallError> {
        let milliseconds = |latency: Duration| i64::try_from(latency.as_millis()).unwrap_or(i64::MAX);
        let heartbeat = Heartbeat {
            k8s_reachable: Some(latency.is_some()),
            k8s_api_latency_ms: latency.map(milliseconds),
        };
        Ok(self.client.heartbeat(self.agent, &heartbeat).await?)
    }

    /// Renews claims that have not begun, and says which still hold.
    pub(crate) async fn confirm(
        &self,
        claims: &[Claim],
        lease_seconds: i64,
    ) -> Result<HashSet<AttemptId>, CallError> {
        let claims = claims
            .iter()
            .map(|claim| HeldClaim {
                id: claim.id.order,
                attempt: claim.id.attempt,
            })
            .collect();
        let answer = self.renew(claims, lease_seconds, None, None).await?;
        Ok(answer
            .renewed
            .iter()
            .map(|renewed| AttemptId {
                order: renewed.id,
                attempt: renewed.attempt,
            })
            .collect())
    }

    /// Gives a claim back whose work has not begun.
    pub(crate) async fn release(&self, id: AttemptId, reason: &str) -> Result<(), CallError> {
        let request = Release {
            agent_id: self.agent,
            attempt: id.attempt,
            reason: Some(reason.to_owned()),
        };
        self.client.release(id.order, &request).await?;
        Ok(())
    }

    /// Reports endings; one verdict for each, in their order.
    pub(crate) async fn end(&self, endings: Vec<EndingItem>) -> Result<Vec<Verdict>, CallError> {
        let answer = self.client.end(self.agent, &EndingsRequest { endings }).await?;
        Ok(answer
            .items
            .into_iter()
            .map(|item| verdict(item.status, item.error))
            .collect())
    }

    /// Appends output; one verdict for each chunk, in their order.
    pub(crate) async fn append_output(&self, chunks: Vec<OutputChunk>) -> Result<Vec<Verdict>, CallError> {
        let answer = self
            .client
            .append_output(self.agent, &AppendOutput { chunks })
            .await?;
        Ok(answer
            .items
            .into_iter()
            .map(|item| verdict(item.status, item.error))
            .collect())
    }
}

/// The most that one claim may ask for.
const CLAIMS_MAX: usize = 100;

fn claim(agent: Uuid, claimed: ClaimedWorkOrder) -> Claim {
    let order = claimed.work_order;
    Claim {
        id: AttemptId {
            order: order.id,
            attempt: order.attempt,
        },
        agent,
        work_type: order.work_type,
        document: order.yaml_content,
        deadline_seconds: order
            .deadline_seconds
            .and_then(|seconds| u64::try_from(seconds).ok()),
        lease_seconds_max: order.claim_timeout_seconds,
        lost_attempts: claimed.lost_attempts,
        traceparent: claimed.traceparent,
    }
}

fn verdict(status: u16, error: Option<Problem>) -> Verdict {
    match status {
        200..300 => Verdict::Accepted,
        _ if is_final(status) => Verdict::Refused {
            code: error.map_or_else(String::new, |error| error.code),
        },
        _ => Verdict::Later,
    }
}

/// Whether sending the same again can never succeed. A credential that is refused may be accepted again.
fn is_final(status: u16) -> bool {
    matches!(status, 400..500) && !matches!(status, 401 | 408 | 425 | 429)
}

impl CallError {
    /// Whether sending the same again can never succeed.
    pub(crate) fn is_final(&self) -> bool {
        self.0.status().is_some_and(is_final)
    }

    /// Whether the broker does not let the credential in.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.0.status(), Some(401 | 403))
    }

    /// Whether a newer process of the same agent has taken over.
    pub(crate) fn is_superseded(&self) -> bool {
        self.code() == "superseded_instance"
    }

    /// Whether the broker may have done what was asked, although it did not say so.
    pub(crate) fn may_have_been_done(&self) -> bool {
        match self.0.status() {
            Some(status) => status >= 500,
            None => !self.0.never_sent(),
        }
    }

    /// The code of the problem, where the broker named one.
    pub(crate) fn code(&self) -> &str {
        self.0.code().unwrap_or_default()
    }

    /// How long the broker asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }
}
