//! Many seeds, each in a process of its own, as many at a time as there are processors.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::Outcome;

/// Which seeds, and of which program.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The program of this crate.
    pub program: PathBuf,
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// The guard that is taken away, by its name on the command line.
    pub without: Option<String>,
    /// No new seeds are begun afterwards.
    pub time_max: Option<Duration>,
}

/// What came of a campaign.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many seeds were simulated.
    pub seeds: u64,
    /// How many orders there were in all.
    pub orders: usize,
    /// How many attempts they took.
    pub attempts: usize,
    /// The first seed that broke a promise, of those that were simulated before the campaign ended with it.
    pub failed: Option<Outcome>,
    /// How long it took.
    pub took: Duration,
}

impl Campaign {
    /// Simulates until a seed breaks a promise, all are done, or the time is over. `done` is called after each.
    ///
    /// # Errors
    /// When a simulation does not work, which is a defect of this crate.
    pub fn run(&self, done: impl Fn(u64) + Sync) -> anyhow::Result<Summary> {
        let began = Instant::now();
        let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let summary = Mutex::new(Summary::default());
        let work = || -> anyhow::Result<()> {
            loop {
                let late = self.time_max.is_some_and(|time_max| began.elapsed() > time_max);
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.seeds || late || over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let outcome = simulate(&self.program, self.first + number, self.without.as_deref());
                let outcome = outcome.inspect_err(|_| over.store(true, Ordering::Relaxed))?;
                let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                summary.add(outcome, &over);
                done(summary.seeds);
            }
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let ended = workers.into_iter().map(|worker| {
                let ended = worker.join();
                ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a worker of the campaign panicked")))
            });
            ended.collect::<anyhow::Result<Vec<()>>>()
        })?;
        let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.took = began.elapsed();
        Ok(summary)
    }
}

impl Summary {
    fn add(&mut self, outcome: Outcome, over: &AtomicBool) {
        self.seeds += 1;
        self.orders += outcome.orders;
        self.attempts += outcome.attempts;
        if outcome.violations.is_empty() {
            return;
        }
        over.store(true, Ordering::Relaxed);
        let earlier = self
            .failed
            .as_ref()
            .is_none_or(|failed| outcome.seed < failed.seed);
        if earlier {
            self.failed = Some(outcome);
        }
    }
}

/// Simulates one seed in a process of its own.
///
/// # Errors
/// When the process does not tell its outcome.
pub fn simulate(program: &Path, seed: u64, without: Option<&str>) -> anyhow::Result<Outcome> {
    let mut command = Command::new(program);
    command.args(["one", "--json", "--seed"]).arg(seed.to_string());
    if let Some(guard) = without {
        command.args(["--without", guard]);
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("could not run {}", program.display()))?;
    outcome(child).with_context(|| format!("seed {seed} told no outcome"))
}

fn outcome(mut child: Child) -> anyhow::Result<Outcome> {
    let mut told = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut told)?;
    }
    let output = child.wait_with_output()?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_str(&told).with_context(|| format!("it ended with {}: {words}", output.status))
}
