//! How agents keep what they have claimed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::LeaseSeconds;

use super::App;
use super::claims::InstanceId;
use crate::dal::agents::{self, Heartbeat, Instance};
use crate::dal::renewals::{self, Renewal};
use crate::dal::{DalError, Tx, log, work_orders};

pub use crate::dal::renewals::Renewed;

/// What an agent believes to hold, and for how long it wants to go on.
#[derive(Debug, Clone)]
pub struct RenewalRequest {
    /// The agent's process.
    pub instance_id: InstanceId,
    /// How long the claims hold from now on; an order's claim timeout may shorten it.
    pub lease_seconds: LeaseSeconds,
    /// Its claims. None is a heartbeat.
    pub claims: Vec<(WorkOrderId, Attempt)>,
    /// What the process says it is doing.
    pub state: Option<String>,
}

/// What became of each claim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renewals {
    /// These still hold; some of them are to be stopped.
    pub renewed: Vec<Renewed>,
    /// These do not.
    pub lost: Vec<(WorkOrderId, Attempt, Loss)>,
}

/// Why a claim does not hold any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The order was removed, or never was.
    Absent,
    /// The order has ended.
    Ended,
    /// The order is in the queue, but this attempt is not the agent's current one.
    Stale,
}

/// Why nothing was renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// A newer process acts for the agent.
    #[error("a newer process of the agent has taken over")]
    Superseded,
    /// The agent was deleted.
    #[error("there is no such agent")]
    NoAgent,
    /// The database did not do its part.
    #[error("could not renew")]
    Storage(#[from] DalError),
}

impl App {
    /// Renews the leases of everything that an agent holds, tells what it does not hold any more and what it is to stop,
    /// and counts as its heartbeat.
    ///
    /// # Errors
    /// [`RenewError::Superseded`] and [`RenewError::NoAgent`]; nothing was renewed then.
    pub async fn renew(&self, agent: AgentId, request: RenewalRequest) -> Result<Renewals, RenewError> {
        let now = self.now();
        let instance_id = request.instance_id.as_str();
        let mut tx = self.db.begin().await?;
        match agents::take_over(&mut tx, agent, instance_id, now).await? {
            Instance::Current => {}
            Instance::Superseded => return Err(RenewError::Superseded),
            Instance::NoAgent => return Err(RenewError::NoAgent),
        }
        // The agent before its orders, as its removal locks them: so neither waits for the other.
        let (k8s_reachable, k8s_api_latency_ms, state) = (None, None, request.state);
        let heartbeat = Heartbeat {
            agent,
            at: now,
            k8s_reachable,
            k8s_api_latency_ms,
            state,
        };
        agents::heartbeats(&mut tx, &[heartbeat]).await?;
        let renewal = Renewal {
            agent,
            instance_id,
            lease_seconds: request.lease_seconds,
            now,
        };
        let renewed = renewals::renew_many(&mut tx, renewal, &request.claims).await?;
        let lost = lost_among(&mut tx, &request.claims, &renewed).await?;
        debug_assert!(lost.len() + renewed.len() >= distinct(&request.claims));
        tx.commit().await?;
        Ok(Renewals { renewed, lost })
    }
}

fn distinct(claims: &[(WorkOrderId, Attempt)]) -> usize {
    claims.iter().collect::<BTreeSet<_>>().len()
}

/// The claims that were not renewed, each with the reason.
async fn lost_among(
    tx: &mut Tx,
    claims: &[(WorkOrderId, Attempt)],
    renewed: &[Renewed],
) -> Result<Vec<(WorkOrderId, Attempt, Loss)>, DalError> {
    let held: BTreeMap<_, _> = renewed
        .iter()
        .map(|renewed| (renewed.id, renewed.attempt))
        .collect();
    let missing: Vec<_> = claims
        .iter()
        .filter(|(id, attempt)| held.get(id) != Some(attempt))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = missing.iter().map(|(id, _)| *id).collect();
    // The queue first: what ends meanwhile is found in the log then.
    let queued: HashSet<_> = work_orders::heads_of(tx, &ids)
        .await?
        .iter()
        .map(|head| head.id)
        .collect();
    let ended: HashSet<_> = log::endings(tx, &ids).await?.iter().map(|(id, ..)| *id).collect();
    let reason = |id: &WorkOrderId| match (queued.contains(id), ended.contains(id)) {
        (true, _) => Loss::Stale,
        (_, true) => Loss::Ended,
        _ => Loss::Absent,
    };
    Ok(missing
        .into_iter()
        .map(|(id, attempt)| (id, attempt, reason(&id)))
        .collect())
}
