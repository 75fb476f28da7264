//! Why orders are where they are, for people.

use brokkr_api::{Explanation, ExplanationReason, Preview, Time};

use super::colour::{Stream, Tone, paint};
use super::{Around, age, one_line, orders, table_of};

/// An explanation as text: where the order is, each reason with what would change it, and what was tried.
pub(crate) fn explanation(explanation: &Explanation, around: &Around) -> String {
    let status = paint(
        Stream::Stdout,
        orders::status_tone(explanation.status),
        explanation.status.as_str(),
    );
    let now = explanation.as_of;
    let mut text = format!(
        "order/{} is {status} since {} ({}).\n",
        explanation.work_order_id,
        explanation.since,
        age::relative(explanation.since, now)
    );
    text.push_str(&reasons(&explanation.reasons, now));
    if let Some(old) = explanation.retry_of {
        text.push_str(&format!("\nIt repeats order/{old}.\n"));
    }
    for new in &explanation.retried_as {
        text.push_str(&format!("\nIt was repeated as order/{new}.\n"));
    }
    if !explanation.attempts.is_empty() {
        text.push_str("\nAttempts:\n");
        for line in table_of(&explanation.attempts, around).lines() {
            text.push_str(format!("  {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

/// A preview as text.
pub(crate) fn preview(file: &str, preview: &Preview) -> String {
    let head = format!(
        "{}: the order would be accepted. {} of {} matching agents could claim it now.\n",
        one_line(file),
        preview.able,
        preview.matching
    );
    head + &reasons(&preview.reasons, preview.as_of)
}

fn reasons(reasons: &[ExplanationReason], now: Time) -> String {
    reasons.iter().map(|reason| of_reason(reason, now)).collect()
}

fn of_reason(reason: &ExplanationReason, now: Time) -> String {
    let since = reason
        .since
        .map(|since| format!("since {}", age::relative(since, now)));
    let until = reason
        .until
        .map(|until| format!("until {until} ({})", age::relative(until, now)));
    let times: Vec<_> = since.into_iter().chain(until).collect();
    let code = paint(Stream::Stdout, Tone::Busy, &one_line(&reason.code));
    let times = if times.is_empty() {
        String::new()
    } else {
        format!("  {}", times.join(", "))
    };
    let mut text = format!("\n{code}{times}\n  {}\n", one_line(&reason.sentence));
    // One agent is in the sentence already.
    if 1 < reason.agents.len() {
        for agent in &reason.agents {
            text.push_str(&format!(
                "    {}  {}\n",
                one_line(&agent.name),
                one_line(&agent.detail)
            ));
        }
        let more = reason
            .agents_total
            .saturating_sub(i64::try_from(reason.agents.len()).unwrap_or(i64::MAX));
        if 0 < more {
            text.push_str(&format!("    and {more} more\n"));
        }
    }
    text + &format!("  -> {}\n", one_line(&reason.remedy))
}

#[cfg(test)]
mod tests {
    use brokkr_api::ReasonAgent;
    use uuid::Uuid;

    use super::*;

    fn reason(agents: usize) -> ExplanationReason {
        let agents: Vec<_> = (0..agents)
            .map(|number| ReasonAgent {
                id: Uuid::nil(),
                name: format!("runner-{number}/test"),
                detail: "is INACTIVE and claims nothing".to_owned(),
                since: None,
            })
            .collect();
        ExplanationReason {
            code: "agent_inactive".to_owned(),
            since: Some(Time::from_micros(0)),
            until: None,
            sentence: "Agents match.".to_owned(),
            remedy: "Let one claim.".to_owned(),
            agents_total: 12,
            agents,
        }
    }

    #[test]
    fn a_reason_tells_its_age_and_what_would_change_it() {
        assert_eq!(
            of_reason(&reason(1), Time::from_micros(5_000_000)),
            "\nagent_inactive  since 5s ago\n  Agents match.\n  -> Let one claim.\n"
        );
    }

    #[test]
    fn several_agents_are_listed_and_the_others_counted() {
        let text = of_reason(&reason(2), Time::from_micros(0));
        assert!(text.contains("    runner-1/test  is INACTIVE"), "{text}");
        assert!(text.contains("    and 10 more\n"), "{text}");
    }
}
