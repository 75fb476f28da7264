//! One attempt at an order of manifests, from its plan to its outcome.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use brokkr_api::FailureClass;
use tracing::warn;

use super::document::Order;
use super::ending;
use super::kind::JOB;
use super::plan::{Act, Plan};
use super::prepare::{plan_again, plan_new};
use super::send::{Sender, Unsent, recorded};
use super::watching::{State, Watched, Watching};
use crate::attempt::{AttemptId, Claim};
use crate::execute::run::{Begun, Limits, Runs, Stopped, namespaces_with, not_begun};
use crate::execute::{Context, Outcome};
use crate::kube::labels::of_attempt;
use crate::kube::observe::{Evidence, Observer, PodSelection, Trouble};
use crate::output::OutputSink;
use crate::stop::StopReason;

/// What a lost lease leaves is a third of it, of which the shortest there can be is less than two seconds.
const GRACE_WITHOUT_LEASE_MAX: Duration = Duration::from_secs(1);

/// Whether something of the attempt may be in the cluster already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    New,
    Again,
}

/// Does the work of the attempt `id`, which is the claim's own or one that it takes over.
pub(super) async fn carry_out(
    runs: &Runs,
    claim: &Claim,
    id: AttemptId,
    start: Start,
    context: Context,
) -> Outcome {
    let _working = runs.working_on(claim.id.order);
    let limits = Limits::new(context.stop, runs.time_left(id, claim.deadline_seconds));
    let planned = match start {
        Start::New => limits.within(plan_new(runs, claim, id)).await,
        Start::Again => limits.within(plan_again(runs, claim, id)).await,
    };
    let plan = match planned {
        Ok(Ok(plan)) => plan,
        Ok(Err(outcome)) if start == Start::New => return outcome,
        Err(reason) if start == Start::New => return not_begun(reason),
        Ok(Err(outcome)) => return stop_without_plan(runs, claim, id, outcome).await,
        Err(reason) => return stop_without_plan(runs, claim, id, not_begun(reason)).await,
    };
    let begun = match runs
        .begin(id, claim.agent, recorded(&plan), plan.options.cleanup)
        .await
    {
        Ok(begun) => begun,
        Err(error) => {
            let message = format!("the agent could not record what it was about to do: {error}");
            return match start {
                Start::New => Outcome::failure(FailureClass::Infrastructure, message),
                Start::Again => Outcome::Unknown { message },
            };
        }
    };
    let observer = Observer::start(
        &runs.cluster,
        selections(&plan, id),
        context.output.clone(),
        Some(runs.output_of(claim.id)),
        runs.settings.output_bytes_max,
        Arc::clone(&runs.clock),
    );
    let attempt = Attempt {
        runs,
        claim,
        plan: &plan,
        limits: &limits,
        output: context.output,
    };
    attempt.to_its_end(begun, observer).await
}

/// The namespaces that the Jobs of a document go to. What cannot be read has none.
pub(super) fn run_namespaces(document: &str, default: &str) -> BTreeSet<String> {
    let Ok(order) = Order::parse(document) else {
        return BTreeSet::new();
    };
    let jobs = order
        .documents
        .iter()
        .filter(|document| document.kind == JOB && document.api_version.starts_with("batch/"));
    namespaces_with(jobs.map(|job| job.namespace.as_deref()), default)
}

/// What an earlier process began is stopped, because the attempt cannot go on.
async fn stop_without_plan(runs: &Runs, claim: &Claim, id: AttemptId, outcome: Outcome) -> Outcome {
    if let Outcome::Left { .. } = outcome {
        return outcome;
    }
    let namespaces = run_namespaces(&claim.document, runs.cluster.default_namespace());
    match runs.stop_patiently(id, &namespaces).await {
        Ok(stopped) => ending::with_stopped(outcome, &stopped),
        Err(error) => ending::not_stopped("the attempt cannot go on", &error),
    }
}

/// One selection for each namespace that has pods of the attempt.
fn selections(plan: &Plan, id: AttemptId) -> Vec<PodSelection> {
    let each = plan.run_namespaces().into_iter().map(|namespace| PodSelection {
        namespace,
        labels: of_attempt(id),
    });
    each.collect()
}

impl Plan {
    /// The namespaces that its Jobs go to.
    pub(super) fn run_namespaces(&self) -> BTreeSet<String> {
        let jobs = self.steps.iter().filter(|step| step.act == Act::Create);
        jobs.filter_map(|job| job.at.namespace.clone()).collect()
    }
}

/// An attempt of which something may be in the cluster.
struct Attempt<'a> {
    runs: &'a Runs,
    claim: &'a Claim,
    plan: &'a Plan,
    limits: &'a Limits,
    output: OutputSink,
}

/// What made the attempt end.
enum Cut {
    Stopped(StopReason),
    Stuck(Trouble),
    Failed(Outcome),
}

impl Attempt<'_> {
    async fn to_its_end(&self, mut begun: Begun, observer: Observer) -> Outcome {
        let sender = Sender {
            runs: self.runs,
            plan: self.plan,
            agent: self.claim.agent,
            limits: self.limits,
        };
        let sent = sender.send(&mut begun).await;
        let mut watching = sent.is_ok().then(|| Watching::new(&self.runs.cluster, self.plan));
        let cut = match (sent, &mut watching) {
            (Err(Unsent::Stopped(reason)), _) => Some(Cut::Stopped(reason)),
            (Err(Unsent::Failed(outcome)), _) => Some(Cut::Failed(outcome)),
            (Ok(()), None) => None,
            (Ok(()), Some(watching)) => {
                match watching.until_the_end(self.plan, &observer, self.limits).await {
                    Watched::Ended => None,
                    Watched::Stopped(reason) => Some(Cut::Stopped(reason)),
                    Watched::Stuck(trouble) => Some(Cut::Stuck(trouble)),
                }
            }
        };
        match cut {
            None => self.conclude(begun, observer, watching, None).await,
            Some(Cut::Stopped(reason @ (StopReason::Shutdown | StopReason::Superseded))) => Outcome::Left {
                message: format!("the work goes on in the cluster, because {reason}"),
            },
            Some(Cut::Stopped(StopReason::LeaseLost)) => {
                let states = watching.map(Watching::into_states).unwrap_or_default();
                self.give_up(begun, observer, &states).await
            }
            Some(cut) => self.cut_short(begun, observer, watching, cut).await,
        }
    }

    /// Stops what still runs. What turns out to have ended before that has its true outcome.
    async fn cut_short(
        &self,
        begun: Begun,
        observer: Observer,
        watching: Option<Watching>,
        cut: Cut,
    ) -> Outcome {
        match self
            .runs
            .stop_patiently(begun.id(), &self.plan.run_namespaces())
            .await
        {
            Ok(stopped) => {
                self.conclude(begun, observer, watching, Some((cut, stopped)))
                    .await
            }
            Err(error) => ending::not_stopped(&cut.words(), &error),
        }
    }

    /// Stops what still runs in the time that is left of the lease. What has ended stays, so that a later attempt can tell its
    /// outcome; what was stopped leaves nothing to be taken over.
    async fn give_up(&self, mut begun: Begun, observer: Observer, states: &[State]) -> Outcome {
        let (id, namespaces) = (begun.id(), self.plan.run_namespaces());
        let has_ended = |index: &usize| states.get(*index).is_some_and(|state| *state != State::Waiting);
        let jobs = self
            .plan
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.act == Act::Create);
        let (ended, unfinished): (Vec<_>, Vec<_>) = jobs.map(|(index, _)| index).partition(has_ended);
        for index in unfinished {
            begun.sent(index, None).await;
        }
        if ended.is_empty() {
            begun.forget().await;
        }
        let grace = self.runs.settings.grace.min(GRACE_WITHOUT_LEASE_MAX);
        let stopped = self.runs.stop(id, &namespaces, grace).await.unwrap_or_else(|error| {
            warn!(work_order.id = %id.order, attempt = id.attempt, %error, "could not stop an attempt whose lease was lost, a sweep will");
            Stopped::default()
        });
        let evidence = observer.finish(GRACE_WITHOUT_LEASE_MAX).await;
        ending::of_stop(StopReason::LeaseLost, &stopped, self.plan, states, &evidence)
    }

    /// Gathers what is left to see, and says how the attempt ended.
    async fn conclude(
        &self,
        mut begun: Begun,
        observer: Observer,
        watching: Option<Watching>,
        cut: Option<(Cut, Stopped)>,
    ) -> Outcome {
        let evidence = observer.finish(self.runs.cluster.timing().drain_limit).await;
        let outcome = self.outcome(watching, cut, &evidence);
        match &outcome {
            Outcome::Success { .. } => begun.ended(true).await,
            Outcome::Failure(_) => {
                self.runs.tell(&evidence, &self.output).await;
                begun.ended(false).await;
            }
            Outcome::Left { .. } | Outcome::Unknown { .. } => begun.forget().await,
        }
        outcome
    }

    fn outcome(
        &self,
        watching: Option<Watching>,
        cut: Option<(Cut, Stopped)>,
        evidence: &Evidence,
    ) -> Outcome {
        let sent = watching.is_some();
        let states = self.states(watching, cut.as_ref().map(|(_, stopped)| stopped));
        match cut {
            Some((Cut::Failed(outcome), stopped)) => ending::with_stopped(outcome, &stopped),
            Some((cut, stopped)) if !sent || states.contains(&State::Waiting) => match cut {
                Cut::Stopped(reason) => ending::of_stop(reason, &stopped, self.plan, &states, evidence),
                Cut::Stuck(trouble) => ending::of_trouble(&trouble, &stopped, self.plan, &states, evidence),
                Cut::Failed(outcome) => outcome,
            },
            _ => ending::of_states(self.plan, &states, evidence),
        }
    }

    /// How far everything is, with what was found to have ended when the rest was stopped.
    fn states(&self, watching: Option<Watching>, stopped: Option<&Stopped>) -> Vec<State> {
        let Some(mut watching) = watching else {
            return Vec::new();
        };
        for run in stopped.iter().flat_map(|stopped| &stopped.ended) {
            let (namespace, name) = (&run.metadata.namespace, &run.metadata.name);
            let index = self.plan.steps.iter().position(|step| {
                step.act == Act::Create
                    && step.at.namespace == *namespace
                    && Some(&step.at.name) == name.as_ref()
            });
            if let Some(index) = index {
                watching.note(self.plan, index, Some(run));
            }
        }
        watching.into_states()
    }
}

impl Cut {
    fn words(&self) -> String {
        match self {
            Self::Stopped(reason) => reason.to_string(),
            Self::Stuck(trouble) => format!("pod {} cannot run ({})", trouble.pod, trouble.reason),
            Self::Failed(_) => "a part of the order could not be sent".to_owned(),
        }
    }
}
