use brokkr_core::ids::WorkOrderId;

use super::{EndError, Ended, EndingReport, Seen, answers};
use crate::app::App;
use crate::app::caller::Caller;
use crate::app::coalescer::{Batch, Commit};
use crate::app::steps::{Actor, Steps};
use crate::dal::DalError;

/// Recording endings, those of many callers in one transaction.
#[derive(Clone)]
pub(in crate::app) struct Endings(pub(super) App);

/// What one caller reports.
pub(in crate::app) struct Reported {
    pub(super) caller: Caller,
    pub(super) reports: Vec<EndingReport>,
}

impl Batch for Endings {
    type Request = Reported;
    type Answer = Vec<Result<Ended, EndError>>;
    /// Who may end an order, and whether it has ended already, is judged by one report at a time.
    type Key = WorkOrderId;

    const NAME: &'static str = "end";
    /// What was done was done, whether or not its agent hears the answer.
    const DONE_FOR_NOBODY: bool = true;

    fn weight(request: &Reported) -> usize {
        request.reports.len()
    }

    fn keys(request: &Reported) -> Vec<WorkOrderId> {
        request.reports.iter().map(|report| report.id).collect()
    }

    async fn run(&self, requests: &[Reported], commit: &Commit) -> Result<Vec<Self::Answer>, DalError> {
        let Self(app) = self;
        let now = app.now();
        let mut tx = app.db.begin().await?;
        let seen = Seen::of(&mut tx, requests.iter().flat_map(|request| &request.reports)).await?;
        let mut steps = Steps::new(app, Actor::Broker, now);
        let verdicts: Vec<_> = requests
            .iter()
            .map(|request| seen.judge_all(request, &mut steps, now))
            .collect();
        let settled = steps.write(&mut tx).await?;
        commit.of(tx).await?;
        let answers = requests
            .iter()
            .zip(verdicts)
            .map(|(request, verdicts)| answers(&request.reports, verdicts, &settled.entries))
            .collect();
        app.settled(settled);
        Ok(answers)
    }
}
