//! Orders of the queue: what they wait for, and who runs them.

use super::agents::{preview, silent};
use super::facts::{ClaimFacts, Fleet, OrderFacts};
use super::words::{at, count, quoted};
use super::{AgentCause, Reason, ReasonCode};
use crate::life::{Delivery, State};
use crate::retry::Budget;
use crate::routing::Targeting;
use crate::time::Timestamp;

/// What a waiting order waits for. For one that waits for its time, what would be in its way then is told as well.
#[must_use]
pub fn waiting(order: &OrderFacts, targeting: &Targeting, fleet: &Fleet, now: Timestamp) -> Vec<Reason> {
    let (first, starts_at) = match order.life.state {
        State::Scheduled { run_at } => (Some(scheduled(order, run_at)), run_at),
        State::RetryPending { not_before } => (Some(retry_pending(order, not_before)), not_before),
        State::Pending => (None, now),
        State::Claimed(_) | State::Ended(_) | State::Deleted => return Vec::new(),
    };
    let mut agents = preview(targeting, &order.work_type, fleet, now);
    if first.is_some() && agents.iter().any(|reason| reason.code == ReasonCode::Claimable) {
        // Nothing but the time is in its way.
        agents.clear();
    }
    for reason in &mut agents {
        // It cannot have been in the way of an order that was not there.
        reason.since = Some(
            reason
                .since
                .map_or(order.updated_at, |since| since.max(order.updated_at)),
        );
    }
    let expires = order.life.policy.start_by.filter(|_| !order.life.started());
    let start_by = expires.map(|start_by| expiring(order, start_by, starts_at));
    first.into_iter().chain(agents).chain(start_by).collect()
}

fn scheduled(order: &OrderFacts, run_at: Timestamp) -> Reason {
    Reason::new(
        ReasonCode::Scheduled,
        format!("It was submitted to run at {} and not before.", at(run_at)),
        "Wait, or cancel it and submit it without run_at.",
    )
    .since(order.created_at)
    .until(run_at)
}

fn retry_pending(order: &OrderFacts, not_before: Timestamp) -> Reason {
    let life = &order.life;
    let error = order
        .last_error
        .as_ref()
        .map_or_else(String::new, |(message, _)| {
            format!(
                " The last failure said: {}.",
                quoted(message).trim_end_matches('.')
            )
        });
    let sentence = format!(
        "Attempt {} failed, and the next one may start at {}.{error} {} of {} used, {} of {} around the work.",
        life.attempt.number(),
        at(not_before),
        life.retry_count.saturating_add(life.lost_count),
        count(life.policy.max_retries.into(), "retry", "retries"),
        life.infrastructure_retry_count,
        life.policy.infrastructure_retries_max,
    );
    Reason::new(
        ReasonCode::RetryPending,
        sentence,
        format!(
            "Wait, or mend what made it fail before then. To give it up: brokkr cancel {}.",
            order.id
        ),
    )
    .since(
        order
            .last_error
            .as_ref()
            .map_or(order.updated_at, |(_, said_at)| *said_at),
    )
    .until(not_before)
}

fn expiring(order: &OrderFacts, start_by: Timestamp, starts_at: Timestamp) -> Reason {
    let sentence = if start_by < starts_at {
        format!("It must start by {}, and so it ends as expired.", at(start_by))
    } else {
        format!("Unless it starts by {} it ends as expired.", at(start_by))
    };
    Reason::new(
        ReasonCode::StartBy,
        sentence,
        "See to it that an agent claims it before then.",
    )
    .since(order.created_at)
    .until(start_by)
}

/// Who runs a claimed order, and what is about to happen to it.
#[must_use]
pub fn claimed(order: &OrderFacts, claim: &ClaimFacts, now: Timestamp) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let lease_passed = claim.lease_expires_at <= now;
    if lease_passed {
        reasons.push(taken_back(order, claim));
    } else {
        reasons.push(running(order, claim));
    }
    reasons.extend(holder_silent(claim, now));
    reasons.extend(
        claim
            .deadline
            .map(|deadline| ends_at_deadline(claim, deadline, now)),
    );
    reasons.extend(cancelling(claim));
    reasons.sort_by_key(|reason| reason.code);
    reasons
}

fn holder(claim: &ClaimFacts, detail: String) -> Vec<AgentCause> {
    let of_agent = |agent: &super::AgentFacts| AgentCause {
        id: agent.id,
        name: agent.full_name(),
        detail,
        since: Some(claim.claimed_at),
    };
    claim.agent.as_ref().map(of_agent).into_iter().collect()
}

fn name(claim: &ClaimFacts) -> String {
    claim.agent.as_ref().map_or_else(
        || "An agent that was deleted".to_owned(),
        |agent| format!("Agent {}", agent.full_name()),
    )
}

fn running(order: &OrderFacts, claim: &ClaimFacts) -> Reason {
    let attempt = order.life.attempt.number();
    let detail = format!("runs attempt {attempt}");
    let sentence = format!(
        "{} runs attempt {attempt} since {}. Its lease holds until {} unless it is renewed.",
        name(claim),
        at(claim.claimed_at),
        at(claim.lease_expires_at)
    );
    Reason::new(
        ReasonCode::Running,
        sentence,
        format!(
            "Its output tells how far it is: brokkr logs -f {id}. To stop it: brokkr cancel {id}.",
            id = order.id
        ),
    )
    .since(claim.claimed_at)
    .about(holder(claim, detail))
}

fn taken_back(order: &OrderFacts, claim: &ClaimFacts) -> Reason {
    let life = &order.life;
    let then = if claim.cancel.is_some() {
        "it ends as cancelled"
    } else if life.policy.delivery == Delivery::AtMostOnce {
        "it ends as lost, since it must not run twice"
    } else if life.retries_left(Budget::Retries) {
        "it goes back to the queue"
    } else {
        "it ends as lost, since its retries are used up"
    };
    let sentence = format!(
        "{} did not renew its lease, which passed at {}. The broker takes it back within seconds, and then {then}.",
        name(claim),
        at(claim.lease_expires_at)
    );
    Reason::new(
        ReasonCode::LeasePassed,
        sentence,
        "See whether the agent's process runs and reaches the broker; its log tells.",
    )
    .since(claim.lease_expires_at)
    .about(holder(claim, "did not renew its lease".to_owned()))
}

fn holder_silent(claim: &ClaimFacts, now: Timestamp) -> Option<Reason> {
    let agent = claim.agent.as_ref().filter(|agent| silent(agent, now))?;
    let (heard, since) = match agent.last_heartbeat {
        Some(heard) => (format!("was last heard at {}", at(heard)), heard),
        None => (
            "was never heard of but for its claim".to_owned(),
            claim.claimed_at,
        ),
    };
    let sentence = format!(
        "Agent {} {heard}. If it stays silent, the order is taken back when its lease passes, at {}.",
        agent.full_name(),
        at(claim.lease_expires_at)
    );
    let reason = Reason::new(
        ReasonCode::HolderNotSeen,
        sentence,
        "See whether the agent's process runs and reaches the broker; its log tells.",
    );
    Some(
        reason
            .since(since)
            .until(claim.lease_expires_at)
            .about(holder(claim, heard)),
    )
}

fn ends_at_deadline(claim: &ClaimFacts, deadline: Timestamp, now: Timestamp) -> Reason {
    let sentence = if deadline <= now {
        format!(
            "The attempt's deadline passed at {}, and its agent has not said that it stopped.",
            at(deadline)
        )
    } else {
        format!("The attempt is stopped at its deadline, {}.", at(deadline))
    };
    Reason::new(
        ReasonCode::Deadline,
        sentence,
        "A longer deadline is for the next order: submit --deadline.",
    )
    .since(claim.claimed_at)
    .until(deadline)
}

fn cancelling(claim: &ClaimFacts) -> Option<Reason> {
    let (requested_at, why) = claim.cancel.as_ref()?;
    let why = why
        .as_ref()
        .map_or_else(String::new, |why| format!(" ({})", quoted(why)));
    let sentence = format!(
        "Somebody asked at {} for it to be cancelled{why}, and its agent has not said that the work has stopped.",
        at(*requested_at)
    );
    let reason = Reason::new(
        ReasonCode::CancelRequested,
        sentence,
        "Wait: the agent hears it with its next renewal. Without one, the order ends as cancelled when its lease passes.",
    );
    Some(reason.since(*requested_at).until(claim.lease_expires_at))
}
