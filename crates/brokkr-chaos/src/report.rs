//! What a campaign has shown.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use brokkr_client::api::AttemptEnding;

use crate::campaign::Options;
use crate::evidence::{Evidence, Said};
use crate::faults::Counts;
use crate::reconcile::{Finding, dossiers};
use crate::world::LEASE_SECONDS;

/// The most findings that are printed; the files have all of them.
const FINDINGS_SHOWN_MAX: usize = 20;

/// How often each word was counted.
type Tally = BTreeMap<&'static str, usize>;

/// What a campaign has shown.
#[derive(Debug)]
pub struct Report {
    heading: String,
    orders: Tally,
    endings: Tally,
    faults: Counts,
    attempts: Tally,
    lines: Tally,
    /// Runs beyond the first one of an order, by what explains them.
    duplicates: Tally,
    /// How often brokers and agents ended by themselves, and how.
    exits: BTreeMap<String, usize>,
    findings: Vec<Finding>,
    seed: u64,
    kept: Option<PathBuf>,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        faults: Counts,
        evidence: &Evidence,
        findings: Vec<Finding>,
        exits: Vec<String>,
        kept: Option<PathBuf>,
    ) -> Report {
        let mut counted = BTreeMap::new();
        for exit in exits {
            *counted.entry(exit).or_default() += 1;
        }
        let recorded = evidence.attempts.values().flatten();
        Report {
            heading: format!(
                "chaos: seed {}, {} s of faults, {} brokers, {} agents, lease {LEASE_SECONDS} s",
                options.seed,
                options.length.as_secs(),
                options.brokers,
                options.agents
            ),
            orders: tally(evidence.accepted.iter().map(|accepted| accepted.kind.name())),
            endings: tally(evidence.log.iter().map(|entry| entry.ending.as_str())),
            faults,
            attempts: tally(recorded.map(|recorded| word(recorded.ending))),
            lines: tally(evidence.lines.iter().map(|line| match line.said {
                Said::Begin => "begun",
                Said::End(_) => "ended",
            })),
            duplicates: duplicates(evidence),
            exits: counted,
            findings,
            seed: options.seed,
            kept,
        }
    }

    /// Whether everything that happened has an explanation.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Of every order that ran several times, how the attempts before the last one ended.
fn duplicates(evidence: &Evidence) -> Tally {
    let dossiers = dossiers(evidence);
    let words = dossiers.values().flat_map(|dossier| {
        let begun = dossier.begun();
        let earlier = begun.len().saturating_sub(1);
        let endings: Vec<_> = begun
            .iter()
            .take(earlier)
            .map(|attempt| word(dossier.ending_of(*attempt)))
            .collect();
        endings
    });
    tally(words)
}

fn word(ending: Option<AttemptEnding>) -> &'static str {
    ending.map_or("open", AttemptEnding::as_str)
}

fn tally(words: impl Iterator<Item = &'static str>) -> Tally {
    let mut tally = Tally::new();
    for word in words {
        *tally.entry(word).or_default() += 1;
    }
    tally
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults.iter().map(|(kind, count)| (*kind, *count as usize));
        writeln!(f, "{}", self.heading)?;
        row(f, "orders", &self.orders)?;
        row(f, "endings", &self.endings)?;
        row(f, "faults", &faults.collect())?;
        row(f, "attempts", &self.attempts)?;
        row(f, "commands", &self.lines)?;
        row(f, "duplicates", &self.duplicates)?;
        writeln!(f, "{:<12} {}", "unexplained", self.findings.len())?;
        for (exit, count) in &self.exits {
            writeln!(f, "{:<12} {count:>6}  {exit}", "ended itself")?;
        }
        for finding in self.findings.iter().take(FINDINGS_SHOWN_MAX) {
            let order = finding.order.map(|id| format!("order {id} ")).unwrap_or_default();
            writeln!(f, "\n{order}{}\n{}", finding.violation, finding.story)?;
        }
        if !self.findings.is_empty() {
            writeln!(
                f,
                "\nThe faults and orders of this run follow from --seed {}.",
                self.seed
            )?;
        }
        match &self.kept {
            Some(path) => writeln!(f, "The file and all logs are in {}.", path.display()),
            None => Ok(()),
        }
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally) -> fmt::Result {
    let total: usize = tally.values().sum();
    let parts: Vec<_> = tally
        .iter()
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    writeln!(f, "{name:<12} {total:>6}  {}", parts.join(", "))
}
