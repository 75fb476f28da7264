//! From what was seen to the outcome of an attempt.

use brokkr_api::FailureClass;
use serde_json::{Value, json};

use super::plan::{Plan, Step, Watch};
use super::watching::{Missed, State};
use crate::execute::run::Stopped;
use crate::execute::{Failure, Outcome, class_of};
use crate::kube::observe::{Evidence, Trouble};
use crate::kube::{ApiFailure, ObjectRef, StopError};
use crate::stop::StopReason;

/// How many objects are named in a message; of more than these only the number is told.
const NAMED_MAX: usize = 6;

impl Step {
    /// Where in the order it stands, for people.
    pub(super) fn place_and_line(&self) -> String {
        format!("{}, line {}", self.place, self.place.line)
    }
}

/// Whether the same request may succeed later.
pub(super) fn may_pass(failure: &ApiFailure) -> bool {
    failure.class() == FailureClass::Infrastructure
}

/// Whether the request may have been carried out although it failed.
pub(super) fn may_have_been_done(failure: &ApiFailure) -> bool {
    matches!(failure.status(), None | Some(408 | 500..=599))
}

/// A request failed, on behalf of a step or of the order.
pub(super) fn of_api(failure: &ApiFailure, step: Option<&Step>) -> Outcome {
    let message = match step {
        Some(step) => format!("{}: {}", step.place_and_line(), failure.chain()),
        None => failure.chain(),
    };
    Outcome::failure(failure.class(), message)
}

/// It is not certain that nothing of it runs any more, so nobody can tell how it ended.
pub(super) fn not_stopped(why: &str, error: &StopError) -> Outcome {
    let error = match error {
        StopError::Api(failure) => failure.chain(),
        StopError::Remains { .. } => error.to_string(),
    };
    Outcome::Unknown {
        message: format!("{why}, but its work could not be stopped: {error}"),
    }
}

/// Everything is where it can get.
pub(super) fn of_states(plan: &Plan, states: &[State], evidence: &Evidence) -> Outcome {
    let result = Some(result(plan, states, evidence));
    let missed: Vec<_> = states.iter().filter_map(missed).collect();
    let Some(first) = missed.first() else {
        return Outcome::Success {
            message: Some(success(plan, states)),
            exit_code: evidence.exit_code_of_success(),
            result,
        };
    };
    let headline = evidence
        .headline()
        .filter(|_| missed.iter().any(|missed| missed.class.is_none()));
    let sentences = headline
        .into_iter()
        .chain(missed.iter().map(|missed| missed.message.clone()));
    Outcome::Failure(Failure {
        class: first.class.unwrap_or_else(|| evidence.class()),
        message: sentences.collect::<Vec<_>>().join("; "),
        exit_code: evidence.exit_code(),
        result,
    })
}

/// The attempt was stopped before its end.
pub(super) fn of_stop(
    reason: StopReason,
    stopped: &Stopped,
    plan: &Plan,
    states: &[State],
    evidence: &Evidence,
) -> Outcome {
    let failure = Failure {
        class: class_of(reason),
        message: format!("stopped, because {reason}"),
        exit_code: evidence.exit_code(),
        result: Some(result(plan, states, evidence)),
    };
    with_stopped(Outcome::Failure(failure), stopped)
}

/// A pod cannot go on.
pub(super) fn of_trouble(
    trouble: &Trouble,
    stopped: &Stopped,
    plan: &Plan,
    states: &[State],
    evidence: &Evidence,
) -> Outcome {
    let who = match &trouble.container {
        Some(container) => format!("container {container} of pod {}", trouble.pod),
        None => format!("pod {}", trouble.pod),
    };
    let why = match trouble.message.is_empty() {
        true => trouble.reason.clone(),
        false => format!("{} ({})", trouble.reason, trouble.message),
    };
    let failure = Failure {
        class: trouble.class,
        message: format!("{who} cannot run: {why}"),
        exit_code: evidence.exit_code(),
        result: Some(result(plan, states, evidence)),
    };
    with_stopped(Outcome::Failure(failure), stopped)
}

/// The outcome, and what was stopped because of it.
pub(super) fn with_stopped(outcome: Outcome, stopped: &Stopped) -> Outcome {
    match stopped.stopped.is_empty() {
        true => outcome,
        false => outcome.with_remark(&format!("stopped and deleted: {}", named(&stopped.stopped))),
    }
}

fn named(objects: &[ObjectRef]) -> String {
    let names: Vec<_> = objects.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    match objects.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn missed(state: &State) -> Option<&Missed> {
    match state {
        State::Missed(missed) => Some(missed),
        State::Waiting | State::Reached(_) => None,
    }
}

fn success(plan: &Plan, states: &[State]) -> String {
    let mut sentences = Vec::new();
    let mut applied = Vec::new();
    for (step, state) in plan.steps.iter().zip(states) {
        match (state, &step.watch) {
            (State::Reached("applied"), _) => applied.push(step.at.clone()),
            (_, Watch::Condition { condition, status }) => {
                sentences.push(format!("{} has condition {condition}={status}", step.at));
            }
            (State::Reached(word), _) => sentences.push(format!("{} is {word}", step.at)),
            (State::Waiting | State::Missed(_), _) => {}
        }
    }
    if NAMED_MAX < sentences.len() {
        sentences = vec![format!("{} objects are where they should be", sentences.len())];
    }
    if !applied.is_empty() {
        sentences.push(format!("applied, not watched: {}", named(&applied)));
    }
    let notes = plan
        .steps
        .iter()
        .flat_map(|step| step.notes.iter().map(move |note| (step, note)));
    sentences.extend(notes.map(|(step, note)| format!("{}: {note}", step.at)));
    sentences.join("; ")
}

/// What the work itself says, or else what became of each object.
fn result(plan: &Plan, states: &[State], evidence: &Evidence) -> Value {
    if let Some(result) = evidence.result() {
        return result;
    }
    let documents = plan.steps.iter().enumerate().map(|(index, step)| {
        let (state, message) = match states.get(index) {
            None => ("not sent", None),
            Some(State::Waiting) => ("stopped", None),
            Some(State::Reached(word)) => (*word, None),
            Some(State::Missed(missed)) => ("failed", Some(missed.message.as_str())),
        };
        json!({
            "document": step.place.number,
            "kind": step.at.kind.resource.kind,
            "namespace": step.at.namespace,
            "name": step.at.name,
            "state": state,
            "message": message,
            "notes": step.notes,
        })
    });
    json!({ "documents": documents.collect::<Vec<_>>(), "pods": evidence.pods })
}
