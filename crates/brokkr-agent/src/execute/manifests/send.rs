//! Sending a plan to the cluster, one object after the other.

use std::time::Duration;

use ::kube::api::DynamicObject;
use brokkr_api::FailureClass;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;
use uuid::Uuid;

use super::ending;
use super::plan::{Act, Plan, Step};
use super::prepare::{not_applied, not_created};
use super::watching::{State, is_watched, state};
use crate::attempt::AttemptId;
use crate::execute::Outcome;
use crate::execute::run::{Begun, Limits, Runs};
use crate::kube::labels::{AGENT, Owner};
use crate::kube::{ApiFailure, ApplyError, CreateError, RecordedObject};
use crate::stop::StopReason;

/// How long a kind or a namespace that the order brought along may take until it can be used.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait before something is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a request that is under way may take when the attempt has to stop because its lease was lost.
const LAST_REQUEST_LIMIT: Duration = Duration::from_secs(1);

/// The API has given up waiting for a request that may still be carried out.
const GATEWAY_TIMEOUT: u16 = 504;

/// Why a plan was not sent to its end.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The attempt has to stop.
    Stopped(StopReason),
    /// A step failed; with this outcome, the attempt has failed as well.
    Failed(Outcome),
}

/// Sends a plan on behalf of an attempt.
pub(super) struct Sender<'a> {
    pub(super) runs: &'a Runs,
    pub(super) plan: &'a Plan,
    pub(super) agent: Uuid,
    pub(super) limits: &'a Limits,
}

impl Sender<'_> {
    /// Sends every object that an earlier process has not sent, and waits where later ones need an earlier one.
    pub(super) async fn send(&self, begun: &mut Begun) -> Result<(), Unsent> {
        for (index, step) in self.plan.steps.iter().enumerate() {
            self.send_step(index, step, begun).await?;
            if step.gate && is_watched(step) {
                let ready = self.limits.within(self.until_ready(step)).await;
                ready.map_err(Unsent::Stopped)?.map_err(Unsent::Failed)?;
            }
        }
        Ok(())
    }

    async fn send_step(&self, index: usize, step: &Step, begun: &mut Begun) -> Result<(), Unsent> {
        let (uid, id) = (begun.uid(index).map(str::to_owned), begun.id());
        let sent = match (step.act, uid) {
            (Act::Create, Some(uid)) => self.finished_in_time(self.find(step, &uid)).await?,
            (Act::Create, None) => self.finished_in_time(self.create(step, id)).await?,
            (Act::Apply, Some(_)) => return Ok(()),
            (Act::Apply, None) => self.finished_in_time(self.apply(step)).await?,
        };
        begun.sent(index, sent?).await;
        Ok(())
    }

    /// A request that was dropped might still be carried out afterwards, so one that is under way is given time to be answered.
    async fn finished_in_time<T>(&self, request: impl Future<Output = T>) -> Result<T, Unsent> {
        tokio::pin!(request);
        let reason = tokio::select! {
            biased;
            reason = self.limits.requested() => reason,
            answer = &mut request => return Ok(answer),
        };
        let limit = match reason {
            StopReason::LeaseLost | StopReason::Shutdown | StopReason::Superseded => LAST_REQUEST_LIMIT,
            StopReason::Cancelled | StopReason::Deadline => self.runs.cluster.timing().request_limit,
        };
        // Before it is polled for the first time, nothing of it has left.
        drop(timeout(limit, request).await);
        Err(Unsent::Stopped(reason))
    }

    /// Creates the object, or finds that it was created before. Once it may have been created, it is not given up while the
    /// attempt holds: only the cluster can tell whether it runs.
    async fn create(&self, step: &Step, id: AttemptId) -> Result<Option<String>, Unsent> {
        let owner = owner(step, id, self.agent);
        let began_at = Instant::now();
        let object = loop {
            match self.runs.cluster.create(&step.at, &step.object, &owner).await {
                Ok(created) => break created.into_object(),
                Err(CreateError::Api(failure))
                    if ending::may_have_been_done(&failure)
                        && !self.is_certainly_absent(step, &failure).await =>
                {
                    warn!(
                        error = failure.chain(),
                        "it is not known whether {} was created, trying again", step.at
                    );
                }
                Err(CreateError::Api(failure))
                    if step.depends_on_earlier
                        && failure.status() == Some(404)
                        && began_at.elapsed() < SETTLE_LIMIT => {}
                Err(error) => return Err(Unsent::Failed(not_created(&error, step))),
            }
            sleep(AGAIN).await;
        };
        self.take_over(step, &object).await;
        Ok(object.metadata.uid)
    }

    /// Whether the API has answered the last request for good, and nothing came of it.
    async fn is_certainly_absent(&self, step: &Step, failure: &ApiFailure) -> bool {
        let answered = failure.status().is_some_and(|status| status != GATEWAY_TIMEOUT);
        answered && matches!(self.runs.cluster.get(&step.at).await, Ok(None))
    }

    /// Looks for the object that an earlier process has created.
    async fn find(&self, step: &Step, uid: &str) -> Result<Option<String>, Unsent> {
        let found = loop {
            match self.runs.cluster.get(&step.at).await {
                Ok(found) => break found,
                Err(failure) if ending::may_pass(&failure) => sleep(AGAIN).await,
                Err(failure) => return Err(Unsent::Failed(ending::of_api(&failure, Some(step)))),
            }
        };
        let same = found.filter(|object| {
            object.metadata.uid.as_deref() == Some(uid) && object.metadata.deletion_timestamp.is_none()
        });
        let Some(object) = same else {
            let message = format!("{} was deleted while no agent watched it", step.at);
            return Err(Unsent::Failed(Outcome::Unknown { message }));
        };
        self.take_over(step, &object).await;
        Ok(Some(uid.to_owned()))
    }

    /// Says in the object that this agent answers for it now. Without that only a sweep would mistake it.
    async fn take_over(&self, step: &Step, object: &DynamicObject) {
        let labels = object.metadata.labels.as_ref();
        if labels.and_then(|labels| labels.get(AGENT)) == Some(&self.agent.to_string()) {
            return;
        }
        let label = json!({"metadata": {"labels": {AGENT: self.agent.to_string()}}});
        if let Err(failure) = self.runs.cluster.merge(&step.at, &label).await {
            warn!(
                error = failure.chain(),
                "could not mark {} as taken over", step.at
            );
        }
    }

    async fn apply(&self, step: &Step) -> Result<Option<String>, Unsent> {
        let began_at = Instant::now();
        loop {
            match self
                .runs
                .cluster
                .apply(&step.at, &step.object, self.plan.options.force)
                .await
            {
                Ok(object) => {
                    // Only a definition changes which kinds there are.
                    if let Some(group) = object
                        .data
                        .pointer("/spec/group")
                        .and_then(|group| group.as_str())
                        .filter(|_| step.gate)
                    {
                        self.runs.cluster.forget(group);
                    }
                    return Ok(object.metadata.uid);
                }
                Err(ApplyError::Api(failure))
                    if step.depends_on_earlier
                        && failure.status() == Some(404)
                        && began_at.elapsed() < SETTLE_LIMIT => {}
                Err(error) => return Err(Unsent::Failed(not_applied(&error, step))),
            }
            sleep(AGAIN).await;
        }
    }

    /// Waits until later steps can use what this one brought.
    async fn until_ready(&self, step: &Step) -> Result<(), Outcome> {
        let mut changes = std::pin::pin!(self.runs.cluster.watch(&step.at));
        while let Some(object) = changes.next().await {
            let why = match state(step, object.as_ref()) {
                State::Waiting => continue,
                State::Reached(_) => return Ok(()),
                State::Missed(missed) => missed.message,
            };
            let message = format!("{}: {why}", step.place_and_line());
            return Err(Outcome::failure(FailureClass::Work, message));
        }
        Ok(())
    }
}

/// Whose the object of a step is.
pub(super) fn owner(step: &Step, id: AttemptId, agent: Uuid) -> Owner {
    Owner {
        id,
        agent,
        document: step.place.number,
    }
}

/// What the record says of a plan before anything is sent.
pub(super) fn recorded(plan: &Plan) -> Vec<RecordedObject> {
    let each = plan.steps.iter().map(|step| RecordedObject {
        api_version: step.at.kind.resource.api_version.clone(),
        kind: step.at.kind.resource.kind.clone(),
        namespace: step.at.namespace.clone(),
        name: step.at.name.clone(),
        uid: None,
        document: step.place.number,
        created: step.act == Act::Create,
    });
    each.collect()
}
