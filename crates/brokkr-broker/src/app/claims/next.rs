use std::collections::HashMap;

use brokkr_core::ids::AgentId;
use brokkr_core::routing::Route;
use brokkr_core::time::Timestamp;

use super::{ClaimError, ClaimRequest, HeldOrder, with_lost_attempts};
use crate::app::App;
use crate::app::coalescer::{Batch, Commit};
use crate::app::waiters::Wanted;
use crate::dal::agents::{self, Claimant, Instance};
use crate::dal::dispatch::{Wish, dispatch};
use crate::dal::{DalError, Tx};

/// Claiming, for many agents in one transaction.
///
/// What waits on the routes of all of them is found and locked by one statement, and handed out here, so that no order goes to
/// two: a statement that took for several agents at once would not skip its own locks.
#[derive(Clone)]
pub(in crate::app) struct Claims(pub(super) App);

/// What one agent wants.
pub(in crate::app) struct Claiming {
    pub(super) agent: AgentId,
    pub(super) request: ClaimRequest,
}

/// What one agent got.
pub(in crate::app) struct Claimed {
    pub(super) orders: Vec<HeldOrder>,
    /// On which the agent listens now.
    pub(super) routes: Vec<Route>,
}

impl Batch for Claims {
    type Request = Claiming;
    type Answer = Result<Claimed, ClaimError>;
    /// Of two processes of an agent one supersedes the other.
    type Key = AgentId;

    const NAME: &'static str = "claim";
    const DONE_FOR_NOBODY: bool = false;

    fn weight(request: &Claiming) -> usize {
        request.request.max.get() as usize
    }

    fn keys(request: &Claiming) -> Vec<AgentId> {
        vec![request.agent]
    }

    async fn run(&self, requests: &[Claiming], commit: &Commit) -> Result<Vec<Self::Answer>, DalError> {
        let Self(app) = self;
        let now = app.now();
        let mut tx = app.db.begin().await?;
        let mut claimants =
            agents::claimants(&mut tx, requests.iter().map(|claiming| claiming.agent)).await?;
        let instances = bring_in(app, &mut tx, requests, &claimants, now).await?;
        let current = |agent: &AgentId| instances.get(agent) == Some(&Instance::Current);
        claimants.retain(|agent, _| current(agent));
        let wishes: Vec<_> = requests
            .iter()
            .filter_map(|claiming| Some(claiming.wish(&claimants.get(&claiming.agent)?.routes)))
            .collect();
        let claimed = dispatch(&mut tx, &wishes, now).await?;
        let mut held: HashMap<AgentId, Vec<HeldOrder>> = HashMap::new();
        let taken = claimed.len() as u64;
        app.tell_claimed(&mut tx, &claimed, now).await?;
        for order in with_lost_attempts(&mut tx, claimed).await? {
            if let Some(claim) = &order.order.head.claim {
                held.entry(claim.agent).or_default().push(order);
            }
        }
        commit.of(tx).await?;
        app.metrics().claimed(taken);
        let answer = |claiming: &Claiming| match instances.get(&claiming.agent) {
            Some(Instance::Current) => Ok(Claimed {
                orders: held.remove(&claiming.agent).unwrap_or_default(),
                routes: claimants
                    .remove(&claiming.agent)
                    .map(|claimant| claimant.routes)
                    .unwrap_or_default(),
            }),
            Some(Instance::Superseded) => Err(ClaimError::Superseded),
            Some(Instance::NoAgent) | None => Err(ClaimError::NoAgent),
        };
        Ok(requests.iter().map(answer).collect())
    }

    async fn undelivered(&self, answer: Self::Answer) {
        if let Ok(Claimed { orders, .. }) = answer {
            let orders: Vec<_> = orders.into_iter().map(|held| held.order).collect();
            self.0.take_back_unheard(&orders).await;
        }
    }
}

/// Whether each process may act for its agent; a new one takes over.
async fn bring_in(
    app: &App,
    tx: &mut Tx,
    requests: &[Claiming],
    claimants: &HashMap<AgentId, Claimant>,
    now: Timestamp,
) -> Result<HashMap<AgentId, Instance>, DalError> {
    let (known, strange): (Vec<_>, Vec<_>) = requests.iter().partition(|claiming| {
        let claimant = claimants.get(&claiming.agent);
        claimant.is_some_and(|claimant| claimant.instance_id.as_deref() == Some(claiming.instance_id()))
    });
    let mut instances: HashMap<_, _> = known
        .iter()
        .map(|claiming| (claiming.agent, Instance::Current))
        .collect();
    if !strange.is_empty() {
        let strange = strange
            .iter()
            .map(|claiming| (claiming.agent, claiming.instance_id()));
        let strange = agents::take_over_many(tx, strange, now).await?;
        app.tell_taken_over(tx, &strange.taken_over, now).await?;
        instances.extend(strange.judged);
    }
    Ok(instances)
}

impl Claiming {
    fn instance_id(&self) -> &str {
        self.request.instance_id.as_str()
    }

    fn wish<'c>(&'c self, routes: &'c [Route]) -> Wish<'c> {
        Wish {
            agent: self.agent,
            routes,
            instance_id: self.request.instance_id.as_str(),
            work_types: &self.request.work_types,
            max: self.request.max,
            lease_seconds: self.request.lease_seconds,
        }
    }
}

impl Wanted {
    pub(super) fn of(agent: AgentId, request: &ClaimRequest, routes: Vec<Route>) -> Self {
        let work_types =
            (!request.work_types.is_empty()).then(|| request.work_types.iter().cloned().collect());
        Self {
            agent,
            routes,
            work_types,
        }
    }
}
