//! What there is about one order.

use std::fmt::Write as _;

use brokkr_client::api::AttemptEnding;
use uuid::Uuid;

use crate::evidence::{Accepted, Entry, Line, Recorded, Said};
use crate::orders::Kind;

/// What there is about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dossier {
    pub(crate) id: Uuid,
    /// One, unless the broker accepted it twice or never said so.
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) queued: usize,
    pub(crate) logged: Vec<Entry>,
    pub(crate) attempts: Vec<Recorded>,
    pub(crate) lines: Vec<Line>,
}

impl Dossier {
    pub(crate) fn new(id: Uuid) -> Dossier {
        Dossier {
            id,
            accepted: Vec::new(),
            queued: 0,
            logged: Vec::new(),
            attempts: Vec::new(),
            lines: Vec::new(),
        }
    }

    pub(crate) fn kind(&self) -> Option<Kind> {
        self.accepted.first().map(|accepted| accepted.kind)
    }

    /// The attempts that began to run, in the order in which they did.
    pub(crate) fn begun(&self) -> Vec<i64> {
        let begun = self.lines.iter().filter(|line| line.said == Said::Begin);
        begun.map(|line| line.attempt).collect()
    }

    pub(crate) fn ending_of(&self, attempt: i64) -> Option<AttemptEnding> {
        let recorded = self
            .attempts
            .iter()
            .find(|recorded| recorded.attempt == attempt)?;
        recorded.ending
    }

    /// Whether the command of the attempt ended with this code, or that of an earlier lost one, which it may have taken over.
    pub(crate) fn ran_to(&self, attempt: i64, code: i64) -> bool {
        let ended = self.lines.iter().filter(|line| line.said == Said::End(code));
        ended
            .map(|line| line.attempt)
            .any(|ran| ran == attempt || (ran < attempt && self.ending_of(ran) == Some(AttemptEnding::Lost)))
    }

    /// Everything about it, for people.
    pub(crate) fn story(&self) -> String {
        let mut story = format!("  order {}\n", self.id);
        let mut tell = |line: String| {
            // Writing to a string does not fail.
            let _ = writeln!(story, "    {line}");
        };
        for Accepted { kind, cancel, .. } in &self.accepted {
            tell(format!("accepted: {}, cancellation: {cancel:?}", kind.name()));
        }
        for recorded in &self.attempts {
            tell(format!("attempt {}: {}", recorded.attempt, recorded.story));
        }
        for line in &self.lines {
            tell(format!("file: attempt {} {:?}", line.attempt, line.said));
        }
        tell(format!("in the queue {} times", self.queued));
        for entry in &self.logged {
            tell(format!(
                "log: {} after attempt {}, {} lost",
                entry.ending, entry.attempt, entry.lost_count
            ));
        }
        story
    }
}
