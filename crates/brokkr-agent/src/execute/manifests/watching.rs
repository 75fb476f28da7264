//! Watching what was sent until nothing has to be waited for any more.

use ::kube::api::DynamicObject;
use brokkr_api::FailureClass;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};

use super::plan::{Plan, Step, Watch};
use crate::execute::run::Limits;
use crate::kube::Cluster;
use crate::kube::observe::{Observer, Trouble};
use crate::kube::readiness::{JobEnd, Readiness, condition, has_an_end, job_end, readiness};
use crate::stop::StopReason;

/// How far an object is that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Not there yet.
    Waiting,
    /// Where it should be, in a word.
    Reached(&'static str),
    /// Never to be there.
    Missed(Missed),
}

/// What went wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missed {
    /// Its class; nothing when its pods have to tell.
    pub(super) class: Option<FailureClass>,
    /// A sentence.
    pub(super) message: String,
}

/// How watching came to its end.
#[derive(Debug)]
pub(super) enum Watched {
    /// Everything is where it can get.
    Ended,
    /// The attempt has to stop.
    Stopped(StopReason),
    /// A pod cannot go on.
    Stuck(Trouble),
}

/// What is waited for, by step.
pub(super) struct Watching {
    changes: SelectAll<BoxStream<'static, (usize, Option<DynamicObject>)>>,
    states: Vec<State>,
}

impl Watching {
    /// Begins to watch every object of the plan that can be waited for.
    pub(super) fn new(cluster: &Cluster, plan: &Plan) -> Self {
        let mut changes = SelectAll::new();
        let mut states = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let state = match is_watched(step) {
                true => {
                    changes.push(cluster.watch(&step.at).map(move |object| (index, object)).boxed());
                    State::Waiting
                }
                false => State::Reached("applied"),
            };
            states.push(state);
        }
        Self { changes, states }
    }

    /// Completes when nothing has to be waited for, or need not be any more.
    pub(super) async fn until_the_end(
        &mut self,
        plan: &Plan,
        observer: &Observer,
        limits: &Limits,
    ) -> Watched {
        let trouble = observer.trouble();
        tokio::pin!(trouble);
        while self.states.contains(&State::Waiting) {
            tokio::select! {
                biased;
                reason = limits.requested() => return Watched::Stopped(reason),
                Some((index, object)) = self.changes.next() => self.note(plan, index, object.as_ref()),
                trouble = &mut trouble => return Watched::Stuck(trouble),
            }
        }
        Watched::Ended
    }

    /// Takes what is known of an object into account. What has come to its end once, stays there.
    pub(super) fn note(&mut self, plan: &Plan, index: usize, object: Option<&DynamicObject>) {
        if let Some(now @ State::Waiting) = self.states.get_mut(index) {
            *now = state(&plan.steps[index], object);
        }
    }

    /// The state of each object.
    pub(super) fn into_states(self) -> Vec<State> {
        self.states
    }
}

/// Whether anything is waited for.
pub(super) fn is_watched(step: &Step) -> bool {
    match step.watch {
        Watch::Job | Watch::Condition { .. } => true,
        Watch::Ready => has_an_end(&step.at.kind),
        Watch::Nothing => false,
    }
}

/// How far the object is.
pub(super) fn state(step: &Step, object: Option<&DynamicObject>) -> State {
    let Some(object) = object else {
        return missed(
            FailureClass::Work,
            format!("{} was deleted by somebody else", step.at),
        );
    };
    match &step.watch {
        Watch::Job => state_of_job(step, object),
        Watch::Ready => match readiness(&step.at.kind, object) {
            Readiness::Ready => State::Reached("ready"),
            Readiness::NotReady { .. } => State::Waiting,
            Readiness::Failed { why } => missed(FailureClass::Work, format!("{} failed: {why}", step.at)),
        },
        Watch::Condition {
            condition: wanted,
            status,
        } => match condition(object, wanted, status) {
            true => State::Reached("as asked for"),
            false => State::Waiting,
        },
        Watch::Nothing => State::Reached("applied"),
    }
}

fn state_of_job(step: &Step, job: &DynamicObject) -> State {
    match job_end(job) {
        None => State::Waiting,
        Some(JobEnd::Complete) => State::Reached("complete"),
        Some(JobEnd::Failed { reason, message }) => {
            // The one reason that is not about what the pods did (`JobReasonDeadlineExceeded`).
            let class = (reason == "DeadlineExceeded").then_some(FailureClass::Deadline);
            let because = match message.is_empty() {
                true => reason,
                false => format!("{reason} ({message})"),
            };
            State::Missed(Missed {
                class,
                message: format!("{} failed: {because}", step.at),
            })
        }
    }
}

fn missed(class: FailureClass, message: String) -> State {
    State::Missed(Missed {
        class: Some(class),
        message,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::execute::manifests::document::Place;
    use crate::execute::manifests::kind::Jobs;
    use crate::execute::manifests::plan::Act;
    use crate::execute::run::RunKind;
    use crate::kube::ObjectRef;

    fn step(watch: Watch) -> Step {
        Step {
            place: Place {
                number: 1,
                item: None,
                line: 1,
            },
            at: ObjectRef {
                kind: Jobs.kind(),
                namespace: Some("default".to_owned()),
                name: "migrate".to_owned(),
            },
            object: serde_json::from_value(json!({"metadata": {}})).unwrap(),
            act: Act::Create,
            watch,
            notes: Vec::new(),
            gate: false,
            depends_on_earlier: false,
        }
    }

    fn with(conditions: Value) -> DynamicObject {
        serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}})).unwrap()
    }

    fn failed(reason: &str) -> State {
        let job = with(json!([{"type": "Failed", "status": "True", "reason": reason, "message": "why"}]));
        state(&step(Watch::Job), Some(&job))
    }

    #[test]
    fn a_job_has_ended_only_when_a_terminal_condition_says_so() {
        let state = |conditions| state(&step(Watch::Job), Some(&with(conditions)));
        assert_eq!(state(json!([])), State::Waiting);
        assert_eq!(
            state(json!([{"type": "SuccessCriteriaMet", "status": "True"}])),
            State::Waiting
        );
        assert_eq!(
            state(json!([{"type": "Complete", "status": "False"}])),
            State::Waiting
        );
        assert_eq!(
            state(json!([{"type": "Complete", "status": "True"}])),
            State::Reached("complete")
        );
    }

    #[test]
    fn only_the_deadline_of_a_failed_job_is_known_without_its_pods() {
        let class = |state| match state {
            State::Missed(missed) => missed.class,
            other => panic!("{other:?}"),
        };
        assert_eq!(class(failed("DeadlineExceeded")), Some(FailureClass::Deadline));
        assert_eq!(class(failed("BackoffLimitExceeded")), None);
    }

    #[test]
    fn what_somebody_deletes_never_gets_where_it_should() {
        let State::Missed(missed) = state(&step(Watch::Job), None) else {
            panic!("not missed");
        };
        assert_eq!(missed.class, Some(FailureClass::Work));
        assert_eq!(missed.message, "Job default/migrate was deleted by somebody else");
    }

    #[test]
    fn a_condition_is_reached_with_its_status() {
        let watch = Watch::Condition {
            condition: "Blessed".to_owned(),
            status: "False".to_owned(),
        };
        let state = |status| {
            state(
                &step(watch.clone()),
                Some(&with(json!([{"type": "Blessed", "status": status}]))),
            )
        };
        assert_eq!(state("True"), State::Waiting);
        assert_eq!(state("False"), State::Reached("as asked for"));
    }
}
