//! What was found.

use serde::Serialize;

use crate::output::colour::{Stream, Tone, paint};
use crate::output::one_line;

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    Skipped,
    Bad,
}

impl Report {
    pub(super) fn good(&mut self, check: &'static str, found: impl Into<String>) {
        self.findings.push(Finding {
            check,
            verdict: Verdict::Good,
            found: found.into(),
            fix: None,
        });
    }

    pub(super) fn skipped(&mut self, check: &'static str, found: impl Into<String>) {
        self.findings.push(Finding {
            check,
            verdict: Verdict::Skipped,
            found: found.into(),
            fix: None,
        });
    }

    pub(super) fn bad(&mut self, check: &'static str, found: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding {
            check,
            verdict: Verdict::Bad,
            found: found.into(),
            fix: Some(fix.into()),
        });
    }

    pub(super) fn has_bad(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.verdict == Verdict::Bad)
    }
}

impl Finding {
    /// On one line, and what to do about it on the next.
    pub(super) fn told(&self) -> String {
        let (word, tone) = match self.verdict {
            Verdict::Good => ("good", Tone::Good),
            Verdict::Skipped => ("skip", Tone::Quiet),
            Verdict::Bad => ("BAD ", Tone::Bad),
        };
        let word = paint(Stream::Stdout, tone, word);
        let line = format!("{word}  {:<14} {}\n", self.check, one_line(&self.found));
        match &self.fix {
            Some(fix) => format!("{line}      {:<14} fix: {fix}\n", ""),
            None => line,
        }
    }
}
