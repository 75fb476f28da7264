//! `cargo xtask fuzz`: the fuzz targets, which are tests, for longer than the tests run them.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, ensure};

use crate::steps::{cargo, say};

/// What the targets read (`crates/brokkr-testkit-fuzz`).
const SECONDS: &str = "BROKKR_FUZZ_SECONDS";
const SEED: &str = "BROKKR_FUZZ_SEED";

/// A target and where its test is.
struct Target {
    name: &'static str,
    package: &'static str,
    /// Which of the package's test programs.
    program: &'static [&'static str],
    test: &'static str,
}

const INTEGRATION: &[&str] = &["--test", "integration"];
const LIBRARY: &[&str] = &["--lib"];

const TARGETS: [Target; 8] = [
    Target {
        name: "paks",
        package: "brokkr-core",
        program: INTEGRATION,
        test: "fuzz::paks",
    },
    Target {
        name: "routes",
        package: "brokkr-core",
        program: INTEGRATION,
        test: "fuzz::routes",
    },
    Target {
        name: "yaml",
        package: "brokkr-broker",
        program: LIBRARY,
        test: "app::yaml::fuzz::content",
    },
    Target {
        name: "cursors",
        package: "brokkr-broker",
        program: LIBRARY,
        test: "api::paging::fuzz::cursors",
    },
    Target {
        name: "bodies",
        package: "brokkr-broker",
        program: INTEGRATION,
        test: "api::nonsense::fuzz::bodies",
    },
    Target {
        name: "commands",
        package: "brokkr-agent",
        program: LIBRARY,
        test: "document::fuzz::commands",
    },
    Target {
        name: "manifests",
        package: "brokkr-agent",
        program: LIBRARY,
        test: "execute::manifests::document::fuzz::manifests",
    },
    Target {
        name: "configuration",
        package: "brokkr",
        program: &["--bins"],
        test: "config::load::fuzz::configuration",
    },
];

/// What `cargo xtask fuzz` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these targets; without any, all of them, one after the other.
    targets: Vec<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the random numbers begin; without it, somewhere else each time. A failure names it.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        targets,
        seconds,
        seed,
    } = arguments;
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    let mut failed = Vec::new();
    for target in chosen(targets)? {
        say(&format!("{} for {seconds} seconds, seed {seed}", target.name));
        if !holds(target, *seconds, seed)? {
            failed.push(target.name);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("failed: {}", failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Target>> {
    let unknown = names
        .iter()
        .find(|name| !TARGETS.iter().any(|target| target.name == **name));
    ensure!(
        unknown.is_none(),
        "there is no target {}; there are {}",
        unknown.map_or("", String::as_str),
        TARGETS.map(|target| target.name).join(", ")
    );
    let is_wanted = |target: &&Target| names.is_empty() || names.iter().any(|name| name == target.name);
    Ok(TARGETS.iter().filter(is_wanted).collect())
}

/// Whether everything held that the target says, for all inputs of this run.
fn holds(target: &Target, seconds: u64, seed: u64) -> anyhow::Result<bool> {
    let mut command = cargo(&["test", "--quiet", "--locked", "--package", target.package]);
    command.args(target.program);
    command.args(["--", "--exact", "--nocapture", target.test]);
    command
        .env(SECONDS, seconds.to_string())
        .env(SEED, seed.to_string());
    command.stderr(Stdio::inherit());
    let output = command.output().context("could not run cargo")?;
    std::io::stdout().write_all(&output.stdout)?;
    let told = format!("fuzz {}: ", target.name);
    let ran = String::from_utf8_lossy(&output.stdout).contains(&told);
    ensure!(
        ran || !output.status.success(),
        "there is no test {} in {}",
        target.test,
        target.package
    );
    Ok(output.status.success())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::steps::root;

    #[test]
    fn every_target_has_a_corpus_and_every_corpus_a_target() {
        let corpora = std::fs::read_dir(root().join("fuzz/corpus")).unwrap();
        let corpora: BTreeSet<String> = corpora
            .flatten()
            .map(|corpus| corpus.file_name().to_string_lossy().into_owned())
            .collect();
        let targets = TARGETS.map(|target| target.name.to_owned());
        assert_eq!(BTreeSet::from(targets), corpora);
    }

    #[test]
    fn a_target_that_is_not_there_is_refused() {
        assert!(chosen(&["paks".to_owned(), "pakz".to_owned()]).is_err());
        assert_eq!(chosen(&["paks".to_owned()]).unwrap().len(), 1);
        assert_eq!(chosen(&[]).unwrap().len(), TARGETS.len());
    }
}
