//! One attempt from its claim to the broker's answer to its ending.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use brokkr_api::FailureClass;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};
use uuid::Uuid;

use crate::attempt::Claim;
use crate::broker::Broker;
use crate::execute::{Context, Executor, Executors, LookupError, Outcome, class_of};
use crate::lease::{Held, Hold};
use crate::output::OutputQueue;
use crate::policy::AgentPolicy;
use crate::report::{self, Answer, NoEnding, Reporter};
use crate::shutdown::Shutdown;
use crate::stop::StopSignal;

/// How long the broker may take to accept the last output before the ending is reported without it.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);
/// How long an agent that is told to stop still waits for the answer to an ending, which it has on disk.
const LAST_ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Where the work of an attempt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It is new, unless work of a lost attempt turns up here.
    New,
    /// It is here already, begun by this attempt.
    Adopt(i64),
}

/// What all attempts share.
pub(crate) struct Workshop {
    pub(crate) broker: Arc<Broker>,
    pub(crate) held: Arc<Held>,
    pub(crate) executors: Executors,
    pub(crate) policy: AgentPolicy,
    pub(crate) outputs: OutputQueue,
    pub(crate) reporter: Reporter,
    pub(crate) lease_seconds: i64,
    pub(crate) shutdown: Shutdown,
    /// Ends every attempt's task, and nothing of its work, as the death of the process would.
    pub(crate) abandoned: CancellationToken,
}

impl Workshop {
    /// The types that the agent has an executor for and may do.
    pub(crate) fn work_types(&self) -> Vec<String> {
        let permitted = self
            .executors
            .work_types()
            .filter(|work_type| self.policy.permits(work_type).is_ok());
        permitted.map(str::to_owned).collect()
    }

    /// Begins a claim whose lease has run since `since`. What is held already is left as it is.
    pub(crate) fn begin(self: &Arc<Self>, claim: Claim, start: Start, since: Instant) {
        let Some((hold, stop)) = self.held.hold(&claim, since, self.lease_seconds) else {
            return;
        };
        self.held.supersede(claim.id);
        info!(work_order.id = %claim.id.order, attempt = claim.id.attempt, adopted = start != Start::New, "work begins");
        let span = info_span!("agent.attempt", work_order.id = %claim.id.order, attempt = claim.id.attempt);
        let workshop = Arc::clone(self);
        let attempt = async move {
            let abandoned = workshop.abandoned.clone();
            abandoned
                .run_until_cancelled_owned(workshop.attempt(claim, start, hold, stop))
                .await;
        };
        tokio::spawn(attempt.instrument(span));
    }

    async fn attempt(&self, claim: Claim, start: Start, hold: Hold, stop: StopSignal) {
        let outcome = self.work(&claim, start, stop).await;
        match report::ending(claim.id, outcome) {
            Ok(ending) => {
                info!(work_order.id = %claim.id.order, attempt = claim.id.attempt, ending = report::word(&ending), "work ended");
                let answer = tokio::select! {
                    answer = self.reporter.report(ending) => answer,
                    () = self.last_answer_limit() => None,
                };
                if let (Some(answer), Some(executor)) = (answer, self.executors.get(&claim.work_type)) {
                    executor.settled(&claim, answer == Answer::Accepted).await;
                }
            }
            Err(NoEnding::Left(reason)) => info!(
                work_order.id = %claim.id.order, attempt = claim.id.attempt, reason,
                "the work goes on without this process: no ending is reported"
            ),
            Err(NoEnding::Unknown(reason)) => error!(
                work_order.id = %claim.id.order, attempt = claim.id.attempt, reason,
                "the outcome is unknown: no ending is reported, and the broker will find the attempt lost"
            ),
        }
        drop(hold);
    }

    async fn work(&self, claim: &Claim, start: Start, stop: StopSignal) -> Outcome {
        let Some(executor) = self.executors.get(&claim.work_type) else {
            return Outcome::failure(
                FailureClass::Refused,
                format!("this agent cannot do work of type {}", claim.work_type),
            );
        };
        if start == Start::New {
            tokio::select! {
                biased;
                () = self.held.only(claim.id) => {}
                reason = stop.requested() => {
                    return Outcome::failure(class_of(reason), format!("not started, because {reason}"));
                }
            }
        }
        let output = self.outputs.sink(claim.id);
        let context = Context {
            output: output.clone(),
            stop,
        };
        let outcome = match start {
            Start::Adopt(attempt) => adopt(executor.as_ref(), claim, attempt, context).await,
            Start::New => match lost_work(executor.as_ref(), claim).await {
                Ok(Some(attempt)) => adopt(executor.as_ref(), claim, attempt, context).await,
                Ok(None) => executor.execute(claim, context).await,
                // Executing anyway might do the work a second time beside the first.
                Err(error) => Outcome::failure(
                    FailureClass::Infrastructure,
                    format!("{error}, so nothing was started"),
                ),
            },
        };
        if timeout(FLUSH_LIMIT, output.flushed()).await.is_err() {
            warn!("the broker has not accepted all output in time, the ending is reported nevertheless");
        }
        outcome
    }

    async fn last_answer_limit(&self) {
        self.shutdown.stopping().await;
        sleep(LAST_ANSWER_LIMIT).await;
    }

    /// The attempt under which work for this claim is here, its own or a lost one.
    pub(crate) async fn work_of(&self, claim: &Claim) -> Result<Option<i64>, LookupError> {
        let Some(executor) = self.executors.get(&claim.work_type) else {
            return Ok(None);
        };
        if executor.holds(claim, claim.id.attempt).await? {
            return Ok(Some(claim.id.attempt));
        }
        lost_work(executor.as_ref(), claim).await
    }

    /// Lets every executor clean up behind orders that are not held.
    pub(crate) async fn tidy(&self) {
        let held: BTreeSet<Uuid> = self.held.orders();
        for executor in self.executors.iter() {
            executor.tidy(self.broker.agent(), &held).await;
        }
    }
}

/// The newest lost attempt whose work is here.
async fn lost_work(executor: &dyn Executor, claim: &Claim) -> Result<Option<i64>, LookupError> {
    let mut lost = claim.lost_attempts.clone();
    lost.sort_unstable_by(|a, b| b.cmp(a));
    for attempt in lost {
        if executor.holds(claim, attempt).await? {
            return Ok(Some(attempt));
        }
    }
    Ok(None)
}

async fn adopt(executor: &dyn Executor, claim: &Claim, attempt: i64, context: Context) -> Outcome {
    let outcome = executor.adopt(claim, attempt, context).await;
    if attempt == claim.id.attempt {
        return outcome;
    }
    outcome.with_remark(&format!(
        "this is the outcome of attempt {attempt}, which was lost and was found here"
    ))
}
