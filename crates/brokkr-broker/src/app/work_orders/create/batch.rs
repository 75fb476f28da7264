use super::{CreateError, Submission, known, placed, startable, unknown_agents};
use crate::app::App;
use crate::app::caller::Caller;
use crate::app::coalescer::{Batch, Commit};
use crate::app::events::created;
use crate::app::work_orders::work_in;
use crate::dal::work_orders::{self, QueuedOrder};
use crate::dal::{DalError, audit, events};

/// Accepting orders, those of many callers in one transaction.
#[derive(Clone)]
pub(in crate::app) struct Creates(pub(super) App);

/// What one caller submits. The contents have been checked.
pub(in crate::app) struct Accepting {
    pub(super) caller: Caller,
    pub(super) submissions: Vec<Submission>,
}

impl Batch for Creates {
    type Request = Accepting;
    type Answer = Vec<Result<QueuedOrder, CreateError>>;
    type Key = ();

    const NAME: &'static str = "create";
    const DONE_FOR_NOBODY: bool = false;

    fn weight(request: &Accepting) -> usize {
        request.submissions.len()
    }

    fn keys(_: &Accepting) -> Vec<()> {
        Vec::new()
    }

    async fn run(&self, requests: &[Accepting], commit: &Commit) -> Result<Vec<Self::Answer>, DalError> {
        let Self(app) = self;
        let now = app.now();
        let mut tx = app.db.begin().await?;
        let submissions = requests.iter().flat_map(|request| &request.submissions);
        let unknown = unknown_agents(&mut tx, submissions).await?;
        let (mut orders, mut facts, mut events, mut places) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for request in requests {
            let actor = request.caller.actor();
            let mut decide = |submission: &Submission| {
                startable(submission, now)?;
                known(submission, &unknown)?;
                let order = app.new_order(&request.caller, submission.clone(), now);
                facts.push(app.created(&request.caller, &order, now));
                events.push(created(&actor, &order, now));
                orders.push(order);
                Ok(())
            };
            places.push(request.submissions.iter().map(&mut decide).collect());
        }
        work_orders::insert_many(&mut tx, &orders).await?;
        audit::insert(&mut tx, &facts).await?;
        events::insert(&mut tx, &events).await?;
        commit.of(tx).await?;
        let mut orders = orders
            .into_iter()
            .map(QueuedOrder::from)
            .inspect(|order| app.waiters.wake(work_in(order)));
        Ok(places
            .into_iter()
            .map(|places| placed(&mut orders, places))
            .collect())
    }
}
