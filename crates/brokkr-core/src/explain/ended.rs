//! Orders that ended: how, and why not otherwise.

use super::facts::EndedFacts;
use super::words::{at, quoted};
use super::{AgentCause, Reason, ReasonCode};
use crate::life::{Delivery, Ending};
use crate::retry::{Budget, FailureClass};

/// How an order ended, and why nothing more was tried.
#[must_use]
pub fn ended(order: &EndedFacts) -> Vec<Reason> {
    let id = order.id;
    let again = format!("run it again as a new order: brokkr retry {id}.");
    let (code, sentence, remedy) = match order.ending {
        Ending::Succeeded => (
            ReasonCode::Succeeded,
            format!("{} succeeded{}.", attempt(order), said(order)),
            "Nothing has to be done.".to_owned(),
        ),
        Ending::Failed => (
            ReasonCode::Failed,
            format!(
                "{} failed{}. {}",
                attempt(order),
                said(order),
                final_because(order)
            ),
            format!("Its output tells more: brokkr logs {id}. Once the cause is mended, {again}"),
        ),
        Ending::Cancelled => (
            ReasonCode::Cancelled,
            cancelled(order),
            format!("If it is wanted after all, {again}"),
        ),
        Ending::Lost => (
            ReasonCode::Lost,
            format!(
                "{} was lost{}, and its outcome is not known. {}",
                attempt(order),
                said(order),
                lost_because(order)
            ),
            format!("See on the agent's side whether the work was done. If it was not, {again}"),
        ),
        Ending::Expired => (
            ReasonCode::Expired,
            expired(order),
            format!("Once an agent can run it, {again}"),
        ),
    };
    let cause = order.agent.as_ref().map(|(id, name)| AgentCause {
        id: *id,
        name: name.clone(),
        detail: format!("held attempt {}", order.attempt.number()),
        since: None,
    });
    vec![
        Reason::new(code, sentence, remedy)
            .since(order.ended_at)
            .about(cause.into_iter().collect()),
    ]
}

fn attempt(order: &EndedFacts) -> String {
    let number = order.attempt.number();
    match &order.agent {
        Some((_, name)) => format!("Attempt {number} at agent {name}"),
        None => format!("Attempt {number}"),
    }
}

/// Class, exit code and message, as far as they were given.
fn said(order: &EndedFacts) -> String {
    let failure = &order.failure;
    let class = failure.class.map(|class| format!(" (class {class})"));
    let code = failure.exit_code.map(|code| format!(" with exit code {code}"));
    let message = failure
        .message
        .as_deref()
        .map(quoted)
        .filter(|message| !message.is_empty());
    let message = message.map(|message| format!(": {}", message.trim_end_matches('.')));
    [class, code, message].into_iter().flatten().collect()
}

/// Why a failure was not tried again.
fn final_because(order: &EndedFacts) -> String {
    let class = order.failure.class;
    match (order.retry_on.budget(None, class), class) {
        (None, Some(class @ (FailureClass::Refused | FailureClass::Cancelled))) => {
            format!("A failure of the class {class} is never tried again.")
        }
        (None, Some(class)) => {
            let retried: Vec<_> = order.retry_on.iter().map(|class| class.to_string()).collect();
            let retried = if retried.is_empty() {
                "none".to_owned()
            } else {
                retried.join(", ")
            };
            format!(
                "A failure of the class {class} is not tried again, since the order's retry_on is {retried}."
            )
        }
        (Some(Budget::Infrastructure), _)
            if order.infrastructure_retries >= order.policy.infrastructure_retries_max =>
        {
            format!(
                "Its {} retries for what fails around the work are used up.",
                order.policy.infrastructure_retries_max
            )
        }
        (Some(Budget::Retries), _) if order.retries >= order.policy.max_retries => {
            format!("Its {} retries are used up.", order.policy.max_retries)
        }
        _ if order.policy.delivery == Delivery::AtMostOnce => {
            "It must not run twice, and its work may have begun.".to_owned()
        }
        _ => "Its agent said that trying again would not help.".to_owned(),
    }
}

fn lost_because(order: &EndedFacts) -> String {
    if order.policy.delivery == Delivery::AtMostOnce {
        return "It must not run twice (delivery at_most_once), so nothing runs it again.".to_owned();
    }
    format!("Its {} retries are used up.", order.policy.max_retries)
}

fn cancelled(order: &EndedFacts) -> String {
    let asked = match &order.cancel {
        Some((when, Some(why))) => format!(
            " Somebody asked for it at {}: {}.",
            at(*when),
            quoted(why).trim_end_matches('.')
        ),
        Some((when, None)) => format!(" Somebody asked for it at {}.", at(*when)),
        None => String::new(),
    };
    match &order.agent {
        Some((_, name)) => format!(
            "It was cancelled while agent {name} held attempt {}.{asked}",
            order.attempt.number()
        ),
        None => {
            let why = order.failure.message.as_ref().map_or_else(String::new, |why| {
                format!(" The reason: {}.", quoted(why).trim_end_matches('.'))
            });
            format!("It was cancelled while it waited.{asked}{why}")
        }
    }
}

fn expired(order: &EndedFacts) -> String {
    let by = order
        .policy
        .start_by
        .map_or_else(String::new, |by| format!(" by {}", at(by)));
    format!("No agent started it{by}, so it was not to start any more.")
}
