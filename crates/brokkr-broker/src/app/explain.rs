//! Why orders are where they are, and what would become of new ones.

use std::collections::BTreeSet;

use brokkr_core::attempt::Attempt;
use brokkr_core::explain::{
    self, AgentFacts, ClaimFacts, EndedFacts, Failure, Fleet, OrderFacts, Reason, ReasonCode,
};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::names::WorkType;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;

use super::App;
use super::agents::{Agent, AgentStatus};
use super::attempts::AttemptAt;
use super::log::LogEntry;
use super::metrics::Metrics;
use super::work_orders::{CancelRequest, Claim, QueuedOrder, ReadError, WorkOrder, find};
use crate::dal::{DalError, Tx, attempts, fleet, retries};

/// How many matching agents are looked at, so that an explanation costs the same in every fleet.
const AGENTS_MAX: u32 = 200;
/// How many labels, and how many annotations, are looked at for what comes near.
const TERMS_MAX: u32 = 5_000;
/// How many attempts are told.
const ATTEMPTS_MAX: u32 = 100;
/// How many orders that repeat one are told.
const REPEATS_MAX: u32 = 10;

/// Why an order is where it is.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The order.
    pub order: WorkOrder,
    /// When this was looked at.
    pub as_of: Timestamp,
    /// Why it is where it is: at least one reason.
    pub reasons: Vec<Reason>,
    /// Its attempts, the first ones first, and the current one last.
    pub attempts: Vec<AttemptAt>,
    /// The first orders that repeat it.
    pub retried_as: Vec<WorkOrderId>,
}

/// Who could run an order that is not submitted yet.
#[derive(Debug, Clone)]
pub struct Preview {
    /// When this was looked at.
    pub as_of: Timestamp,
    /// How many agents match.
    pub matching: u64,
    /// Which agents could claim it now, and why others could not: at least one reason.
    pub reasons: Vec<Reason>,
}

impl Preview {
    /// How many agents could claim it now, of those that were looked at.
    #[must_use]
    pub fn able(&self) -> u64 {
        let claimable = self
            .reasons
            .iter()
            .find(|reason| reason.code == ReasonCode::Claimable);
        claimable.map_or(0, |reason| reason.agents_total)
    }
}

/// Why an order cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no such order.
    #[error("there is no such work order")]
    Absent,
    /// No reason was found, which is a defect of the broker.
    #[error("no reason was found why work order {id} is {status}")]
    Unexplained {
        /// The order.
        id: WorkOrderId,
        /// Where it is.
        status: &'static str,
    },
    /// The database did not do its part.
    #[error("could not explain the work order")]
    Storage(#[from] DalError),
}

impl From<ReadError> for ExplainError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Absent => Self::Absent,
            ReadError::Storage(error) => Self::Storage(error),
        }
    }
}

impl App {
    /// Why an order is where it is, what would change that, and what was tried.
    ///
    /// # Errors
    /// [`ExplainError::Absent`]; [`ExplainError::Unexplained`], which is counted and never happens.
    pub async fn explain(&self, id: WorkOrderId) -> Result<Explanation, ExplainError> {
        let mut tx = self.db.read().await?;
        // After the connection was waited for, so that it is not earlier than what is read.
        let now = self.now();
        let order = find(&mut tx, id).await?.ok_or(ReadError::Absent)?;
        let (reasons, current) = match &order {
            WorkOrder::Queued(order) => (of_queued(&mut tx, order, now).await?, current(order)),
            WorkOrder::Ended(entry) => (of_ended(&mut tx, entry).await?, None),
        };
        let ended = attempts::list(&mut tx, id, Attempt::NONE, ATTEMPTS_MAX).await?;
        let retried_as = retries::of(&mut tx, id, REPEATS_MAX).await?;
        explained(&self.metrics, id, status(&order), &reasons)?;
        Ok(Explanation {
            order,
            as_of: now,
            reasons,
            attempts: ended.into_iter().map(AttemptAt::Ended).chain(current).collect(),
            retried_as,
        })
    }

    /// Which agents could claim an order of this type for these targets now, and why others could not.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn preview(&self, targeting: &Targeting, work_type: &WorkType) -> Result<Preview, DalError> {
        let mut tx = self.db.read().await?;
        let now = self.now();
        let fleet = fleet_of(&mut tx, targeting).await?;
        Ok(Preview {
            as_of: now,
            matching: fleet.matching_total,
            reasons: explain::preview(targeting, work_type, &fleet, now),
        })
    }
}

/// An order without a reason is a defect that somebody has to look at.
fn explained(
    metrics: &Metrics,
    id: WorkOrderId,
    status: &'static str,
    reasons: &[Reason],
) -> Result<(), ExplainError> {
    if !reasons.is_empty() {
        return Ok(());
    }
    metrics.unexplained();
    Err(ExplainError::Unexplained { id, status })
}

fn status(order: &WorkOrder) -> &'static str {
    match order {
        WorkOrder::Queued(order) => order.life().state.name(),
        WorkOrder::Ended(entry) => entry.ending.as_str(),
    }
}

fn current(order: &QueuedOrder) -> Option<AttemptAt> {
    let claim = order.head.claim.clone()?;
    Some(AttemptAt::Current(order.head.attempt(), claim))
}

async fn of_queued(tx: &mut Tx, order: &QueuedOrder, now: Timestamp) -> Result<Vec<Reason>, DalError> {
    let facts = OrderFacts {
        id: order.id(),
        life: order.life(),
        work_type: order.head.work_type.clone(),
        created_at: order.head.created_at,
        updated_at: order.head.updated_at,
        last_error: order.head.last_error.clone().map(|last| (last.message, last.at)),
    };
    let Some(claim) = &order.head.claim else {
        let fleet = fleet_of(tx, &order.targeting).await?;
        return Ok(explain::waiting(&facts, &order.targeting, &fleet, now));
    };
    let holder = fleet::of_ids(tx, [claim.agent]).await?.pop();
    let claim = claim_facts(claim, holder, order.head.deadline());
    Ok(explain::claimed(&facts, &claim, now))
}

fn claim_facts(claim: &Claim, holder: Option<Agent>, deadline: Option<Timestamp>) -> ClaimFacts {
    ClaimFacts {
        agent: holder.filter(|agent| agent.deleted_at.is_none()).map(agent_facts),
        claimed_at: claim.claimed_at,
        lease_expires_at: claim.lease_expires_at,
        deadline,
        cancel: claim.cancel.clone().map(cancel),
    }
}

fn cancel(request: CancelRequest) -> (Timestamp, Option<String>) {
    (request.requested_at, request.reason)
}

async fn of_ended(tx: &mut Tx, entry: &LogEntry) -> Result<Vec<Reason>, DalError> {
    let agent = fleet::of_ids(tx, entry.claimed_by).await?.pop();
    Ok(explain::ended(&EndedFacts {
        id: entry.id,
        ending: entry.ending,
        ended_at: entry.completed_at,
        attempt: entry.attempt,
        agent: agent.map(|agent| (agent.id, full_name(&agent))),
        failure: Failure {
            class: entry.report.class,
            exit_code: entry.report.exit_code,
            message: entry.report.message.clone(),
        },
        policy: entry.policy,
        retry_on: entry.retry_on.clone(),
        retries: entry.retries_attempted.saturating_add(entry.lost_count),
        infrastructure_retries: entry.infrastructure_retries_attempted,
        cancel: entry.cancel.clone().map(cancel),
    }))
}

/// The agents as far as they matter to an order with these targets.
async fn fleet_of(tx: &mut Tx, targeting: &Targeting) -> Result<Fleet, DalError> {
    let agents_total = fleet::count(tx).await?;
    let (matching, matching_total) = fleet::matching(tx, targeting, AGENTS_MAX).await?;
    let mut held = fleet::held(tx, matching.iter().map(|agent| agent.id)).await?;
    let present: BTreeSet<AgentId> = matching.iter().map(|agent| agent.id).collect();
    let missing = targeting.agents().iter().copied();
    // Those that were not looked at are not missing, and are not among those that were deleted either.
    let missing: Vec<_> = missing.filter(|id| !present.contains(id)).collect();
    let deleted = fleet::of_ids(tx, missing).await?;
    let terms = if matching_total == 0 {
        fleet::terms(tx, TERMS_MAX).await?
    } else {
        Vec::new()
    };
    let mut facts: Vec<_> = matching.into_iter().map(agent_facts).collect();
    for agent in &mut facts {
        agent.held = held.remove(&agent.id).unwrap_or_default();
    }
    Ok(Fleet {
        agents_total,
        matching_total,
        matching: facts,
        deleted: deleted
            .iter()
            .filter_map(|agent| Some((agent.id, full_name(agent), agent.deleted_at?)))
            .collect(),
        terms,
    })
}

fn full_name(agent: &Agent) -> String {
    format!("{}/{}", agent.name, agent.cluster_name)
}

fn agent_facts(agent: Agent) -> AgentFacts {
    AgentFacts {
        id: agent.id,
        name: agent.name,
        cluster_name: agent.cluster_name,
        created_at: agent.created_at,
        updated_at: agent.updated_at,
        active: agent.status == AgentStatus::Active,
        last_heartbeat: agent.last_heartbeat,
        report: agent.report,
        held: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_order_without_a_reason_is_counted_and_an_error() {
        let metrics = Metrics::new();
        let id = WorkOrderId::new(Uuid::nil());
        let found = explained(&metrics, id, "PENDING", &[]);
        assert!(matches!(found, Err(ExplainError::Unexplained { .. })));
        let page = metrics.render();
        assert!(page.contains("brokkr_explain_without_reason_total 1"), "{page}");
    }
}
