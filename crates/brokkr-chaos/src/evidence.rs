//! What is known after a campaign: what was accepted, what the commands wrote, and what the broker says.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use brokkr_client::api::{Attempt, AttemptEnding, Ending, WorkOrderLog};
use uuid::Uuid;

use crate::orders::Kind;

/// An order that the broker has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    /// What the broker answered to its cancellation, if it was asked for.
    pub(crate) cancel: Option<CancelAnswer>,
}

/// What the broker answered to a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelAnswer {
    /// It ended then and there.
    Ended,
    /// An agent has to stop it.
    Requested,
    /// It had ended before, or an earlier request had ended it whose answer never came.
    TooLate,
}

/// A line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) order: Uuid,
    pub(crate) attempt: i64,
    pub(crate) said: Said,
}

/// What a command wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Begin,
    /// With its exit code.
    End(i64),
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    pub(crate) ending: Ending,
    pub(crate) attempt: i64,
    pub(crate) lost_count: i64,
}

/// An attempt as the broker recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) attempt: i64,
    pub(crate) ending: Option<AttemptEnding>,
    pub(crate) exit_code: Option<i64>,
    /// For people.
    pub(crate) story: String,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) accepted: Vec<Accepted>,
    /// In the order in which the commands wrote them.
    pub(crate) lines: Vec<Line>,
    pub(crate) queue: Vec<Uuid>,
    pub(crate) log: Vec<Entry>,
    pub(crate) attempts: BTreeMap<Uuid, Vec<Recorded>>,
}

impl From<WorkOrderLog> for Entry {
    fn from(entry: WorkOrderLog) -> Entry {
        Entry {
            id: entry.id,
            ending: entry.ending,
            attempt: entry.attempt,
            lost_count: entry.lost_count,
        }
    }
}

impl From<Attempt> for Recorded {
    fn from(attempt: Attempt) -> Recorded {
        let ended = attempt
            .ended_at
            .map_or("still open".to_owned(), |at| format!("to {at}"));
        let ending = attempt.ending.map_or("", AttemptEnding::as_str);
        let class = attempt.class.map_or("", |class| class.as_str());
        let message = attempt.message.unwrap_or_default();
        Recorded {
            attempt: attempt.attempt,
            ending: attempt.ending,
            exit_code: attempt.exit_code,
            story: format!(
                "agent {} from {} {ended}: {ending} {class} {message}",
                attempt.agent_id, attempt.claimed_at
            ),
        }
    }
}

/// The lines of the file.
pub(crate) fn lines(text: &str) -> anyhow::Result<Vec<Line>> {
    let read = |line: &str| read(line).with_context(|| format!("a command wrote {line:?}"));
    text.lines().map(read).collect()
}

fn read(line: &str) -> anyhow::Result<Line> {
    let words: Vec<&str> = line.split(' ').collect();
    let (order, attempt, said) = match words.as_slice() {
        ["begin", order, attempt] => (order, attempt, Said::Begin),
        ["end", order, attempt, code] => (order, attempt, Said::End(code.parse()?)),
        _ => bail!("it is neither a beginning nor an end"),
    };
    Ok(Line {
        order: order.parse()?,
        attempt: attempt.parse()?,
        said,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_commands_write_them_and_nothing_else_is() {
        let id = Uuid::from_u128(7);
        let read = lines(&format!("begin {id} 1\nend {id} 1 9\n")).unwrap();
        assert_eq!(read[0].said, Said::Begin);
        assert_eq!((read[1].attempt, read[1].said), (1, Said::End(9)));
        assert!(
            lines(&format!("begin {id} 1begin {id} 2\n")).is_err(),
            "mixed lines"
        );
    }
}
