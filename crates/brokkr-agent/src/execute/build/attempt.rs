//! One attempt at a build, from its plan to its outcome.

use std::sync::Arc;
use std::time::Duration;

use ::kube::api::DynamicObject;
use brokkr_api::FailureClass;
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::attempt::{AttemptId, Claim};
use crate::execute::build::buildrun::{build_run, pods_of};
use crate::execute::build::ending::{self, BuildEnd};
use crate::execute::build::kind::whole;
use crate::execute::build::prepare::{BuildPlan, made, namespaces, plan};
use crate::execute::run::{Begun, Limits, Runs, not_alone, not_begun, of_api, refused};
use crate::execute::{Context, Outcome, class_of};
use crate::kube::observe::{Evidence, Observer, PodSelection};
use crate::kube::{ApplyError, CreateError, ObjectRef, RecordedObject};
use crate::output::OutputSink;
use crate::stop::StopReason;

/// How long Shipwright may take to look at a `Build` that was applied before it is run nevertheless.
const REGISTRATION_LIMIT: Duration = Duration::from_secs(15);
/// How long to wait before something is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// What a lost lease leaves is a third of it, of which the shortest there can be is less than two seconds.
const GRACE_WITHOUT_LEASE_MAX: Duration = Duration::from_secs(1);
/// In the record the run stands behind the `Build`.
const RUN: usize = 1;

/// Whether the run of the attempt may be in the cluster already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    New,
    Again,
}

/// How an attempt came to its end.
enum Came {
    /// The run has ended.
    Ended(Box<DynamicObject>, BuildEnd),
    /// The attempt has to stop.
    Stopped(StopReason),
    /// This is its outcome, and nothing of it runs.
    Settled(Outcome),
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
    let plan = match limits.within(prepared(runs, claim, id, start)).await {
        Ok(Ok(plan)) => plan,
        Ok(Err(outcome)) if start == Start::New => return outcome,
        Ok(Err(outcome)) => return stop_without_plan(runs, claim, id, outcome).await,
        Err(reason) if start == Start::New => return not_begun(reason),
        Err(reason) => return stop_without_plan(runs, claim, id, not_begun(reason)).await,
    };
    let begun = match runs.begin(id, claim.agent, recorded(&plan), None).await {
        Ok(begun) => begun,
        Err(error) => {
            let message = format!("the agent could not record what it was about to do: {error}");
            return match start {
                Start::New => Outcome::failure(FailureClass::Infrastructure, message),
                Start::Again => Outcome::Unknown { message },
            };
        }
    };
    let selection = PodSelection {
        namespace: plan.run_at.namespace.clone().unwrap_or_default(),
        labels: pods_of(&plan.run_at.name),
    };
    let observer = Observer::start(
        &runs.cluster,
        vec![selection],
        context.output.clone(),
        Some(runs.output_of(claim.id)),
        runs.settings.output_bytes_max,
        Arc::clone(&runs.clock),
    );
    let attempt = Attempt {
        runs,
        claim,
        plan,
        limits,
        output: context.output,
    };
    attempt.to_its_end(begun, observer).await
}

/// The plan, once no other attempt at the order is in its way and the cluster would take what it brings.
async fn prepared(runs: &Runs, claim: &Claim, id: AttemptId, start: Start) -> Result<BuildPlan, Outcome> {
    let plan = plan(runs, claim, id).await?;
    if start == Start::New {
        runs.until_alone(id, &namespaces(runs, &claim.document))
            .await
            .map_err(|error| not_alone(&error))?;
        if let Some(build) = &plan.build {
            let tried = runs.cluster.check_apply(&plan.build_at, build, false).await;
            tried.map_err(|error| not_applied(&error))?;
        }
    }
    Ok(plan)
}

fn recorded(plan: &BuildPlan) -> Vec<RecordedObject> {
    let record = |at: &ObjectRef, created: bool| RecordedObject {
        api_version: at.kind.resource.api_version.clone(),
        kind: at.kind.resource.kind.clone(),
        namespace: at.namespace.clone(),
        name: at.name.clone(),
        uid: None,
        document: plan.owner.document,
        created,
    };
    vec![record(&plan.build_at, false), record(&plan.run_at, true)]
}

fn not_applied(error: &ApplyError) -> Outcome {
    match error {
        ApplyError::Api(failure) => of_api(failure),
        ApplyError::Conflicts { .. } => refused(error),
    }
}

/// What an earlier process began is stopped, because the attempt cannot go on.
async fn stop_without_plan(runs: &Runs, claim: &Claim, id: AttemptId, outcome: Outcome) -> Outcome {
    if let Outcome::Left { .. } = outcome {
        return outcome;
    }
    match runs.stop_patiently(id, &namespaces(runs, &claim.document)).await {
        Ok(_) => outcome,
        Err(error) => Outcome::Unknown {
            message: format!("the attempt cannot go on, but its build could not be stopped: {error}"),
        },
    }
}

struct Attempt<'a> {
    runs: &'a Runs,
    claim: &'a Claim,
    plan: BuildPlan,
    limits: Limits,
    output: OutputSink,
}

impl Attempt<'_> {
    async fn to_its_end(&self, mut begun: Begun, observer: Observer) -> Outcome {
        let came = match self.limits.within(self.follow(&mut begun, &observer)).await {
            Ok(came) => came,
            Err(reason) => Came::Stopped(reason),
        };
        match came {
            Came::Ended(run, end) => self.conclude(begun, observer, &run, &end).await,
            Came::Stopped(reason @ (StopReason::Shutdown | StopReason::Superseded)) => Outcome::Left {
                message: format!("the build goes on in the cluster, because {reason}"),
            },
            Came::Stopped(reason) => self.stop(begun, observer, reason).await,
            Came::Settled(outcome) => {
                begun.forget().await;
                outcome
            }
        }
    }

    /// Brings the run about and watches it to its end.
    async fn follow(&self, begun: &mut Begun, observer: &Observer) -> Came {
        if begun.uid(RUN).is_none()
            && let Err(outcome) = self.start(begun).await
        {
            return Came::Settled(outcome);
        }
        let mut changes = std::pin::pin!(self.runs.cluster.watch(&self.plan.run_at));
        let trouble = observer.trouble();
        tokio::pin!(trouble);
        loop {
            let run = tokio::select! {
                Some(run) = changes.next() => run,
                // Shipwright has bounds of its own for steps that do not start; it is told sooner here.
                trouble = &mut trouble => return self.stuck(&trouble.reason, trouble.class).await,
            };
            let Some(run) = run else {
                let at = &self.plan.run_at;
                return Came::Settled(Outcome::Unknown {
                    message: format!("{at} was deleted, so nobody can tell how the build ended"),
                });
            };
            if let Some(end) = ending::end(&whole(&run)) {
                return Came::Ended(Box::new(run), end);
            }
        }
    }

    /// Applies the `Build` and creates the run. Once it may have been created, it is not given up while the attempt holds.
    async fn start(&self, begun: &mut Begun) -> Result<(), Outcome> {
        let timeout_of_build = self.registered().await?;
        let run = made(build_run(
            &self.plan.order,
            &self.plan.run_at.name,
            &self.plan.owner,
            self.claim.deadline_seconds,
            timeout_of_build.as_deref(),
        ));
        loop {
            match self
                .runs
                .cluster
                .create(&self.plan.run_at, &run, &self.plan.owner)
                .await
            {
                Ok(created) => {
                    begun.sent(RUN, created.into_object().metadata.uid).await;
                    return Ok(());
                }
                Err(CreateError::Api(failure)) if failure.class() == FailureClass::Infrastructure => {
                    warn!(
                        error = failure.chain(),
                        "it is not known whether {} was created, trying again", self.plan.run_at
                    );
                    sleep(AGAIN).await;
                }
                Err(CreateError::Api(failure)) => return Err(of_api(&failure)),
                Err(error @ CreateError::Taken { .. }) => return Err(refused(error)),
            }
        }
    }

    /// Applies the `Build`, or finds it, and waits until Shipwright has looked at it. Answers its own bound on its runs.
    async fn registered(&self) -> Result<Option<String>, Outcome> {
        let cluster = &self.runs.cluster;
        if let Some(build) = &self.plan.build {
            let applied = cluster.apply(&self.plan.build_at, build, false).await;
            applied.map_err(|error| not_applied(&error))?;
        }
        let mut latest = None;
        let mut changes = std::pin::pin!(cluster.watch(&self.plan.build_at));
        let looked_at = timeout(REGISTRATION_LIMIT, async {
            while let Some(build) = changes.next().await {
                let done = build.is_none() || registered(build.as_ref()) == Some(true);
                latest = build;
                if done {
                    return;
                }
            }
        });
        let _ = looked_at.await;
        let Some(build) = latest else {
            return Err(refused(format!("{} does not exist", self.plan.build_at)));
        };
        if registered(Some(&build)) == Some(false) {
            let text = |path: &str| {
                build
                    .data
                    .pointer(path)
                    .and_then(|text| text.as_str())
                    .unwrap_or_default()
            };
            let why = format!("{}: {}", text("/status/reason"), text("/status/message"));
            return Err(refused(format!(
                "Shipwright does not accept {}: {why}",
                self.plan.build_at
            )));
        }
        let own = build.data.pointer("/spec/timeout").and_then(|own| own.as_str());
        Ok(own.map(str::to_owned))
    }

    async fn stuck(&self, reason: &str, class: FailureClass) -> Came {
        let namespaces = namespaces(self.runs, &self.claim.document);
        match self.runs.stop_patiently(self.plan.owner.id, &namespaces).await {
            Ok(_) => Came::Settled(Outcome::failure(
                class,
                format!(
                    "a pod of {} cannot run ({reason}), so it was stopped",
                    self.plan.run_at
                ),
            )),
            Err(error) => Came::Settled(Outcome::Unknown {
                message: format!("a pod cannot run ({reason}), but the build could not be stopped: {error}"),
            }),
        }
    }

    /// Stops the run. One that turns out to have ended before that has its true outcome.
    async fn stop(&self, mut begun: Begun, observer: Observer, reason: StopReason) -> Outcome {
        let namespaces = namespaces(self.runs, &self.claim.document);
        let id = self.plan.owner.id;
        let stopped = match reason {
            StopReason::LeaseLost => {
                begun.sent(RUN, None).await;
                let grace = self.runs.settings.grace.min(GRACE_WITHOUT_LEASE_MAX);
                self.runs.stop(id, &namespaces, grace).await
            }
            _ => self.runs.stop_patiently(id, &namespaces).await,
        };
        let stopped = match stopped {
            Ok(stopped) => stopped,
            Err(error) => {
                return Outcome::Unknown {
                    message: format!("{reason}, but the build could not be stopped: {error}"),
                };
            }
        };
        if let Some(run) = stopped.ended.first()
            && let Some(end) = ending::end(&whole(run))
        {
            return self.conclude(begun, observer, run, &end).await;
        }
        observer.finish(GRACE_WITHOUT_LEASE_MAX).await;
        begun.forget().await;
        Outcome::failure(
            class_of(reason),
            format!("stopped, because {reason}; {} is gone", self.plan.run_at),
        )
    }

    async fn conclude(
        &self,
        mut begun: Begun,
        observer: Observer,
        run: &DynamicObject,
        end: &BuildEnd,
    ) -> Outcome {
        let evidence = observer.finish(self.runs.cluster.timing().drain_limit).await;
        let run = whole(run);
        let outcome = match end {
            BuildEnd::Succeeded => ending::success(&run),
            BuildEnd::Failed { reason, message } => {
                self.runs.tell(&evidence, &self.output).await;
                ending::failure(&run, reason, message, seen(&evidence))
            }
        };
        begun.ended(matches!(outcome, Outcome::Success { .. })).await;
        let notes = self.plan.order.notes.iter();
        notes.fold(outcome, |outcome, note| outcome.with_remark(note))
    }
}

/// The class that the pods speak for; nothing when none was seen.
fn seen(evidence: &Evidence) -> Option<FailureClass> {
    (!evidence.pods.is_empty()).then(|| evidence.class())
}

/// Whether Shipwright accepts a `Build`; nothing while it has not said so.
fn registered(build: Option<&DynamicObject>) -> Option<bool> {
    match build?.data.pointer("/status/registered")?.as_str()? {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}
