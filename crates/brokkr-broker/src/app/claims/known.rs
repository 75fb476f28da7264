use std::collections::HashMap;

use brokkr_core::ids::{AgentId, WorkOrderId};

use crate::app::App;
use crate::app::coalescer::{Batch, Commit};
use crate::dal::work_orders::QueuedOrder;
use crate::dal::{DalError, claims};

/// Claiming orders that are known, for many agents in one transaction. Of agents that all try the oldest order, one gets it and
/// the others hear so together.
#[derive(Clone)]
pub(in crate::app) struct KnownClaims(pub(super) App);

impl Batch for KnownClaims {
    type Request = (AgentId, WorkOrderId);
    type Answer = Option<QueuedOrder>;
    type Key = ();

    const NAME: &'static str = "claim by id";
    const DONE_FOR_NOBODY: bool = false;

    fn weight(_: &Self::Request) -> usize {
        1
    }

    fn keys(_: &Self::Request) -> Vec<()> {
        Vec::new()
    }

    async fn run(&self, requests: &[Self::Request], commit: &Commit) -> Result<Vec<Self::Answer>, DalError> {
        let Self(app) = self;
        let now = app.now();
        let mut tx = app.db.begin().await?;
        let claimed = claims::claim_by_id_many(&mut tx, requests, now).await?;
        app.tell_claimed(&mut tx, &claimed, now).await?;
        commit.of(tx).await?;
        app.metrics().claimed(claimed.len() as u64);
        let mut claimed: HashMap<_, _> = claimed.into_iter().map(|order| (order.id(), order)).collect();
        let mut answer = |(agent, id): &Self::Request| {
            let holder = claimed.get(id)?.head.claim.as_ref()?.agent;
            (holder == *agent).then(|| claimed.remove(id)).flatten()
        };
        Ok(requests.iter().map(&mut answer).collect())
    }

    async fn undelivered(&self, answer: Self::Answer) {
        if let Some(order) = answer {
            self.0.take_back_unheard(&[order]).await;
        }
    }
}
