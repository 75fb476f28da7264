//! A campaign from its beginning to its report.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{Instant, timeout};

use crate::collect::{collect, until_empty, until_quiet};
use crate::evidence::Evidence;
use crate::faults::{Counts, inflict};
use crate::plan::plan;
use crate::reconcile::{Finding, Violation, reconcile};
use crate::report::Report;
use crate::submit::{Ledger, submit};
use crate::world::World;

/// How long the queue may take to run empty once everything is healed.
const DRAIN_LIMIT: Duration = Duration::from_secs(240);
/// How long commands that nobody holds any more may take to end.
const QUIET_LIMIT: Duration = Duration::from_secs(60);
/// Beyond the faults, and the limits above, nothing takes so long.
const REST_LIMIT: Duration = Duration::from_secs(300);

/// What a campaign is like.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long faults happen and orders are submitted.
    pub length: Duration,
    /// What faults and orders follow from.
    pub seed: u64,
    /// The `brokkr` program.
    pub program: PathBuf,
    /// How many brokers there are.
    pub brokers: usize,
    /// How many agents there are.
    pub agents: usize,
    /// Whether the files stay although all is explained.
    pub keep: bool,
}

/// Runs a campaign. Dropping it ends everything that it has started.
///
/// # Errors
/// When something cannot be started, or the broker does not answer although all is healed.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    tell("starting PostgreSQL, brokers and agents");
    let mut world = World::start(options).await?;
    let limit = options.length + DRAIN_LIMIT + QUIET_LIMIT + REST_LIMIT;
    let done = tokio::select! {
        done = timeout(limit, events(options, &world)) => done,
        ended = world.tend() => {
            ended?;
            bail!("nobody looks after brokers and agents any more")
        }
    };
    let (faults, evidence, findings) = done
        .context("the campaign does not come to its end")
        .flatten()
        .with_context(|| format!("the logs are in {}", world.keep().display()))?;
    let exits = world.exits().await;
    let kept = (options.keep || !findings.is_empty()).then(|| world.keep());
    Ok(Report::new(options, faults, &evidence, findings, exits, kept))
}

/// Faults and submissions, then healing, then the account.
async fn events(options: &Options, world: &World) -> anyhow::Result<(Counts, Evidence, Vec<Finding>)> {
    let plan = plan(options.seed, options.length, options.brokers, options.agents);
    tell(&format!(
        "seed {}: {} faults within {} s",
        options.seed,
        plan.len(),
        options.length.as_secs()
    ));
    let ledger = Ledger::default();
    let until = Instant::now() + options.length;
    let (faults, ()) = tokio::join!(inflict(world, &plan), submit(world, options.seed, until, &ledger));
    let faults = faults?;
    let (accepted, mut findings) = ledger.into_parts();
    tell(&format!(
        "all is healed; waiting until {} orders have ended",
        accepted.len()
    ));
    if until_empty(&world.client, DRAIN_LIMIT).await? {
        let processes = until_quiet(world, QUIET_LIMIT).await;
        if processes > 0 {
            findings.push(Finding::of_the_campaign(Violation::StillRunning { processes }));
        }
    }
    let evidence = collect(world, accepted).await?;
    findings.extend(reconcile(&evidence));
    Ok((faults, evidence, findings))
}

fn tell(what: &str) {
    eprintln!("==> {what}");
}
