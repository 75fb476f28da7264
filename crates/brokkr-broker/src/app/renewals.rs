//! How agents keep what they have claimed.

use std::collections::{BTreeSet, HashMap, HashSet};

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::LeaseSeconds;
use brokkr_core::report::AgentReport;
use brokkr_core::time::Timestamp;

use super::App;
use super::claims::InstanceId;
use super::coalescer::{Batch, Commit};
use crate::dal::agents::{self, Heartbeat, Instance, Instances};
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
    /// What the process says of itself.
    pub report: Option<AgentReport>,
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
        let request = Renewing { agent, request };
        self.coalescers
            .renewals
            .submit(&Leases(self.clone()), request)
            .await?
    }
}

/// Renewing leases, those of many agents in one transaction.
#[derive(Clone)]
pub(super) struct Leases(App);

/// What one agent believes to hold.
pub(super) struct Renewing {
    agent: AgentId,
    request: RenewalRequest,
}

impl Batch for Leases {
    type Request = Renewing;
    type Answer = Result<Renewals, RenewError>;
    /// Of two processes of an agent one supersedes the other.
    type Key = AgentId;

    const NAME: &'static str = "renew";
    const DONE_FOR_NOBODY: bool = true;

    fn weight(request: &Renewing) -> usize {
        1 + request.request.claims.len()
    }

    fn keys(request: &Renewing) -> Vec<AgentId> {
        vec![request.agent]
    }

    async fn run(&self, requests: &[Renewing], commit: &Commit) -> Result<Vec<Self::Answer>, DalError> {
        let Self(app) = self;
        let now = app.now();
        let mut tx = app.db.begin().await?;
        let processes = requests
            .iter()
            .map(|renewing| (renewing.agent, renewing.request.instance_id.as_str()));
        let Instances { judged, taken_over } = agents::take_over_many(&mut tx, processes, now).await?;
        app.tell_taken_over(&mut tx, &taken_over, now).await?;
        let current: Vec<_> = requests
            .iter()
            .filter(|renewing| judged.get(&renewing.agent) == Some(&Instance::Current))
            .collect();
        // The agents before their orders, as the removal of one locks them: so neither waits for the other.
        let heartbeats: Vec<_> = current.iter().map(|renewing| renewing.heartbeat(now)).collect();
        agents::heartbeats(&mut tx, &heartbeats).await?;
        let renewed = renewals::renew_many(
            &mut tx,
            current.iter().flat_map(|renewing| renewing.renewals()),
            now,
        )
        .await?;
        let mut held: HashMap<AgentId, Vec<Renewed>> = HashMap::new();
        for (agent, renewed) in renewed {
            held.entry(agent).or_default().push(renewed);
        }
        let mut missing = Missing::of(&mut tx, &current, &held).await?;
        commit.of(tx).await?;
        let answer = |renewing: &Renewing| match judged.get(&renewing.agent) {
            Some(Instance::Current) => {
                let renewed = held.remove(&renewing.agent).unwrap_or_default();
                let lost = missing.of_agent(renewing.agent);
                debug_assert!(lost.len() + renewed.len() >= distinct(&renewing.request.claims));
                Ok(Renewals { renewed, lost })
            }
            Some(Instance::Superseded) => Err(RenewError::Superseded),
            Some(Instance::NoAgent) | None => Err(RenewError::NoAgent),
        };
        Ok(requests.iter().map(answer).collect())
    }
}

impl Renewing {
    fn heartbeat(&self, at: Timestamp) -> Heartbeat {
        Heartbeat {
            agent: self.agent,
            at,
            k8s_reachable: None,
            k8s_api_latency_ms: None,
            state: self.request.state.clone(),
            report: self.request.report.clone(),
        }
    }

    fn renewals(&self) -> impl Iterator<Item = Renewal<'_>> {
        self.request.claims.iter().map(|(id, attempt)| Renewal {
            id: *id,
            attempt: *attempt,
            agent: self.agent,
            instance_id: self.request.instance_id.as_str(),
            lease_seconds: self.request.lease_seconds,
        })
    }
}

fn distinct(claims: &[(WorkOrderId, Attempt)]) -> usize {
    claims.iter().collect::<BTreeSet<_>>().len()
}

/// The claims that were not renewed, each with the reason.
#[derive(Default)]
struct Missing(HashMap<AgentId, Vec<(WorkOrderId, Attempt, Loss)>>);

impl Missing {
    async fn of(
        tx: &mut Tx,
        requests: &[&Renewing],
        renewed: &HashMap<AgentId, Vec<Renewed>>,
    ) -> Result<Self, DalError> {
        let of_agent = |(agent, renewed): (&AgentId, &Vec<Renewed>)| {
            let agent = *agent;
            renewed
                .iter()
                .map(move |renewed| (agent, (renewed.id, renewed.attempt)))
                .collect::<Vec<_>>()
        };
        let held: HashSet<_> = renewed.iter().flat_map(of_agent).collect();
        let of_agents = requests.iter().flat_map(|renewing| {
            renewing
                .request
                .claims
                .iter()
                .map(|claim| (renewing.agent, *claim))
        });
        let missing: Vec<_> = of_agents.filter(|claim| !held.contains(claim)).collect();
        if missing.is_empty() {
            return Ok(Self::default());
        }
        let ids: Vec<_> = missing.iter().map(|(_, (id, _))| *id).collect();
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
        let mut lost: HashMap<AgentId, Vec<_>> = HashMap::new();
        for (agent, (id, attempt)) in missing {
            lost.entry(agent).or_default().push((id, attempt, reason(&id)));
        }
        Ok(Self(lost))
    }

    fn of_agent(&mut self, agent: AgentId) -> Vec<(WorkOrderId, Attempt, Loss)> {
        self.0.remove(&agent).unwrap_or_default()
    }
}
