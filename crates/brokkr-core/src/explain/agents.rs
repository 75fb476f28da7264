//! Which agents could run an order now, and why others could not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::facts::{AgentFacts, Fleet};
use super::near::{nearest, wanted};
use super::words::{any_of, at, count, quoted};
use super::{AgentCause, Reason, ReasonCode};
use crate::names::WorkType;
use crate::report::{AgentReport, HoldsBack, WorkTypeReport};
use crate::routing::Targeting;
use crate::time::Timestamp;

/// How long an agent may be silent: three of its heartbeats.
pub const SILENT_AFTER: Duration = Duration::from_secs(60);

const SEND_ELSEWHERE: &str =
    "Change whom the order is for, or cancel it and submit it for agents that there are.";

/// Why one agent does not run the order now, or that it can.
struct Verdict {
    code: ReasonCode,
    detail: String,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Which agents could run an order of this type for these targets at this time, and why others could not.
#[must_use]
pub fn preview(targeting: &Targeting, work_type: &WorkType, fleet: &Fleet, now: Timestamp) -> Vec<Reason> {
    let mut reasons = by_code(work_type, fleet, now);
    // That all whom it names were deleted is told below, and is the better answer.
    let only_deleted = !fleet.deleted.is_empty() && wanted(targeting).is_empty();
    if fleet.matching_total == 0 && !only_deleted {
        reasons.push(nobody(targeting, fleet));
    }
    if !fleet.deleted.is_empty() {
        reasons.push(deleted(fleet));
    }
    let seen = fleet.matching.len() as u64;
    if seen < fleet.matching_total {
        let sentence = format!(
            "{} match, of which the {seen} that were heard last were looked at.",
            count(fleet.matching_total, "agent", "agents")
        );
        reasons.push(Reason::new(
            ReasonCode::MoreAgents,
            sentence,
            "Name fewer agents to see each of them.",
        ));
    }
    reasons.sort_by_key(|reason| reason.code);
    reasons
}

/// Whether an agent has been silent for too long.
pub(super) fn silent(agent: &AgentFacts, now: Timestamp) -> bool {
    agent
        .last_heartbeat
        .is_none_or(|heard| now.since(heard) > SILENT_AFTER)
}

fn by_code(work_type: &WorkType, fleet: &Fleet, now: Timestamp) -> Vec<Reason> {
    let mut verdicts: BTreeMap<ReasonCode, Vec<(AgentCause, Option<Timestamp>)>> = BTreeMap::new();
    for agent in &fleet.matching {
        let verdict = judge(agent, work_type, now);
        let cause = AgentCause {
            id: agent.id,
            name: agent.full_name(),
            detail: verdict.detail,
            since: verdict.since,
        };
        verdicts
            .entry(verdict.code)
            .or_default()
            .push((cause, verdict.until));
    }
    verdicts
        .into_iter()
        .map(|(code, found)| together(code, found, work_type))
        .collect()
}

/// One reason for all agents of which the same is so.
fn together(code: ReasonCode, found: Vec<(AgentCause, Option<Timestamp>)>, work_type: &WorkType) -> Reason {
    let until = found.iter().filter_map(|(_, until)| *until).min();
    let agents: Vec<_> = found.into_iter().map(|(cause, _)| cause).collect();
    // It has been so for all of them since it became so for the last.
    let since = agents.iter().map(|agent| agent.since).max().flatten();
    let (what, remedy) = told(code, work_type);
    let sentence = match agents.as_slice() {
        [one] => format!("Agent {} {}.", one.name, one.detail),
        [first, ..] => format!(
            "{} {what}: {} {}, and others.",
            count(agents.len() as u64, "agent", "agents"),
            first.name,
            first.detail
        ),
        [] => what,
    };
    Reason::new(code, sentence, remedy)
        .since(since)
        .until(until)
        .about(agents)
}

/// What is so with several agents, and what would change it.
fn told(code: ReasonCode, work_type: &WorkType) -> (String, String) {
    let (what, remedy) = match code {
        ReasonCode::Claimable => (
            "can claim it",
            "Nothing has to be done: it is claimed at an agent's next look, within seconds. If it is not, the agent's log says why.",
        ),
        ReasonCode::AgentInactive => (
            "match but are INACTIVE, so they claim nothing",
            "Let an agent claim: brokkr resume AGENT.",
        ),
        ReasonCode::AgentNeverSeen => (
            "match but were never heard of",
            "Start an agent with its PAK: brokkr agent. If it runs, look into its log.",
        ),
        ReasonCode::AgentNotSeen => (
            "match but are silent",
            "See whether the agent's process runs and reaches the broker; its log tells.",
        ),
        ReasonCode::WindowClosed => (
            "match but their maintenance windows are closed",
            "Wait until a window opens, or change the windows in the agent's policy.",
        ),
        ReasonCode::AgentDraining => (
            "match but are about to stop",
            "Start the agent again once it has stopped, or wait until its successor runs.",
        ),
        ReasonCode::WorkTypeNotRun => {
            return (
                format!("match but do not run work of the type {work_type}"),
                format!(
                    "Allow {work_type} in an agent's configuration and policy, or send the order to an agent that runs it."
                ),
            );
        }
        ReasonCode::WorkTypeUnavailable => {
            return (
                format!("match but cannot run {work_type} now"),
                "Remove what the agent names; it looks again by itself.".to_owned(),
            );
        }
        ReasonCode::NoFreeSlot => (
            "match but have no free slot",
            "Wait until something ends (orders of a higher priority and older ones go first), stop what need not run, or give an agent more slots.",
        ),
        _ => (
            "match but do not say what they can do",
            "Update the agent to a version that reports its slots and types of work, or look into its log.",
        ),
    };
    (what.to_owned(), remedy.to_owned())
}

fn judge(agent: &AgentFacts, work_type: &WorkType, now: Timestamp) -> Verdict {
    let because = |code, detail: String, since: Option<Timestamp>| Verdict {
        code,
        detail,
        since,
        until: None,
    };
    if !agent.active {
        let detail = "is INACTIVE and claims nothing".to_owned();
        return because(ReasonCode::AgentInactive, detail, Some(agent.updated_at));
    }
    let Some(heard) = agent.last_heartbeat else {
        let detail = format!("was created at {} and was never heard of", at(agent.created_at));
        return because(ReasonCode::AgentNeverSeen, detail, Some(agent.created_at));
    };
    if silent(agent, now) {
        let detail = format!("was last heard at {}", at(heard));
        return because(ReasonCode::AgentNotSeen, detail, Some(heard));
    }
    match &agent.report {
        // What an earlier, newer program said is not what this one does.
        Some((report, said_at)) if heard.since(*said_at) <= SILENT_AFTER => {
            of_report(agent, report, work_type, *said_at, now)
        }
        _ => {
            let held = agent.held.iter().map(|held| u64::from(held.orders)).sum();
            let detail = format!(
                "was heard at {}, holds {}, and does not say how many slots it has and what it runs",
                at(heard),
                count(held, "order", "orders")
            );
            because(ReasonCode::AgentReportsNothing, detail, None)
        }
    }
}

fn of_report(
    agent: &AgentFacts,
    report: &AgentReport,
    work_type: &WorkType,
    said_at: Timestamp,
    now: Timestamp,
) -> Verdict {
    let because = |code, detail: String, since, until| Verdict {
        code,
        detail,
        since,
        until,
    };
    match (report.holds_back, report.window_opens_at) {
        (Some(HoldsBack::Draining), _) => {
            let detail = "lets its work finish and is about to stop".to_owned();
            return because(ReasonCode::AgentDraining, detail, None, None);
        }
        (Some(HoldsBack::WindowClosed), None) => {
            let detail = "has a maintenance window that never opens again".to_owned();
            return because(ReasonCode::WindowClosed, detail, None, None);
        }
        (Some(HoldsBack::WindowClosed), Some(opens)) if opens > now => {
            let detail = format!("has its maintenance window closed until {}", at(opens));
            return because(ReasonCode::WindowClosed, detail, None, Some(opens));
        }
        _ => {}
    }
    let Some(of_type) = report
        .work_types
        .iter()
        .find(|found| found.work_type == *work_type)
    else {
        let runs: Vec<_> = report
            .work_types
            .iter()
            .map(|found| found.work_type.to_string())
            .collect();
        let runs = if runs.is_empty() {
            "nothing".to_owned()
        } else {
            any_of(&runs)
        };
        let detail = format!("does not run work of the type {work_type}, it runs {runs}");
        return because(ReasonCode::WorkTypeNotRun, detail, None, None);
    };
    if let Some(reason) = &of_type.unavailable {
        let detail = format!("cannot run {work_type} now: {}", quoted(reason));
        return because(ReasonCode::WorkTypeUnavailable, detail, None, None);
    }
    match busy(agent, report, of_type, said_at) {
        Some((detail, since)) => because(ReasonCode::NoFreeSlot, detail, since, None),
        None => {
            let running = held(agent).max(u64::from(report.running));
            let detail = format!(
                "has {} of {} slots free",
                u64::from(report.slots) - running,
                report.slots
            );
            because(ReasonCode::Claimable, detail, None, None)
        }
    }
}

/// What fills the slots of an agent that has none free, and since when.
fn busy(
    agent: &AgentFacts,
    report: &AgentReport,
    of_type: &WorkTypeReport,
    said_at: Timestamp,
) -> Option<(String, Option<Timestamp>)> {
    let latest = agent.held.iter().map(|held| held.latest_claimed_at).max();
    let slots = u64::from(report.slots);
    if held(agent) >= slots {
        let oldest = agent.held.iter().map(|held| held.oldest).min();
        let one = oldest.map_or_else(String::new, |id| format!(", the longest of them order {id}"));
        return Some((format!("runs {} of {slots}{one}", held(agent)), latest));
    }
    let same = agent.held.iter().find(|held| held.work_type == of_type.work_type);
    if let (Some(same), Some(limit)) = (same, of_type.slots)
        && same.orders >= limit
    {
        let detail = format!(
            "runs {} of {limit} that it runs at once of the type {}, the longest of them order {}",
            same.orders, of_type.work_type, same.oldest
        );
        return Some((detail, Some(same.latest_claimed_at)));
    }
    let full = u64::from(report.running) >= slots;
    full.then(|| {
        // What it lost or was released of may still occupy a slot until it has stopped.
        let detail = format!(
            "said at {} that it runs {} of {slots}, of which the broker knows {}: the others have not stopped yet",
            at(said_at),
            report.running,
            held(agent)
        );
        (detail, Some(said_at))
    })
}

fn held(agent: &AgentFacts) -> u64 {
    agent.held.iter().map(|held| u64::from(held.orders)).sum()
}

fn nobody(targeting: &Targeting, fleet: &Fleet) -> Reason {
    if fleet.agents_total == 0 {
        return Reason::new(
            ReasonCode::NoAgents,
            "There are no agents.".to_owned(),
            "Make one, brokkr create agent NAME, and start it, brokkr agent.",
        );
    }
    let wanted = wanted(targeting);
    if wanted.is_empty() {
        return Reason::new(
            ReasonCode::NoMatchingAgent,
            "No agent that it names is there.".to_owned(),
            SEND_ELSEWHERE,
        );
    }
    let near = nearest(targeting, &fleet.terms);
    let nearest = near
        .first()
        .map(|near| format!(" The nearest is {}: it {}.", near.name, near.detail))
        .unwrap_or_default();
    let sentence = match fleet.agents_total {
        1 => format!("The only agent does not have {}.{nearest}", any_of(&wanted)),
        agents => format!("None of the {agents} agents has {}.{nearest}", any_of(&wanted)),
    };
    let remedy = "Give an agent what is asked for, with brokkr label or brokkr annotate, or change whom the order is for.";
    Reason::new(ReasonCode::NoMatchingAgent, sentence, remedy).about(near)
}

fn deleted(fleet: &Fleet) -> Reason {
    let causes: Vec<_> = fleet
        .deleted
        .iter()
        .map(|(id, name, when)| AgentCause {
            id: *id,
            name: name.clone(),
            detail: format!("was deleted at {}", at(*when)),
            since: Some(*when),
        })
        .collect();
    let since = fleet.deleted.iter().map(|(_, _, when)| *when).max();
    let names: Vec<_> = causes.iter().map(|cause| cause.name.clone()).collect();
    let were = if names.len() == 1 { "was" } else { "were" };
    let sentence = format!("The order names {}, which {were} deleted.", any_of(&names));
    Reason::new(ReasonCode::AgentDeleted, sentence, SEND_ELSEWHERE)
        .since(since)
        .about(causes)
}
