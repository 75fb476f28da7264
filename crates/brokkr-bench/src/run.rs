//! One run: the scenarios one after the other, and the raw limits of the same database.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::options::{DatabaseChoice, Options};
use crate::server::Server;
use crate::target::{Target, raise_open_files};
use crate::{BenchError, Machine, Outcome, Plan, Report, Scenario, limits};

/// Between two lines about the same thing.
const QUIET: Duration = Duration::from_secs(2);
const REPLICAS: [u32; 3] = [1, 2, 3];

/// Tells people what goes on.
pub(crate) struct Progress<'a> {
    tell: &'a (dyn Fn(&str) + Sync),
    told_at: Mutex<Instant>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(tell: &'a (dyn Fn(&str) + Sync)) -> Progress<'a> {
        Progress {
            tell,
            told_at: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn step(&self, text: &str) {
        (self.tell)(text);
    }

    /// Says how far something is, now and then.
    pub(crate) fn counted(&self, what: &str, done: u64, all: u64) {
        let Ok(mut told_at) = self.told_at.lock() else {
            return;
        };
        if QUIET <= told_at.elapsed() {
            *told_at = Instant::now();
            (self.tell)(&format!("  {done} of {all} {what}"));
        }
    }
}

/// What a scenario gets.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a Progress<'a>,
    server: &'a Server,
    brokers: u32,
    scenario: Scenario,
}

impl<'a> Bench<'a> {
    /// A fresh database with as many brokers as the run is about.
    pub(crate) async fn target(&self) -> Result<Target<'a>, BenchError> {
        self.target_with(self.brokers).await
    }

    pub(crate) async fn target_with(&self, brokers: u32) -> Result<Target<'a>, BenchError> {
        Target::start(self.options, self.server, brokers).await
    }

    /// Whether several brokers can work on the database.
    pub(crate) fn can_have_replicas(&self) -> bool {
        self.options.database != DatabaseChoice::Sqlite
    }

    pub(crate) fn brokers(&self) -> u32 {
        self.brokers
    }

    pub(crate) fn step(&self, what: &str) {
        self.progress.step(&format!("{}: {what}", self.scenario.name()));
    }

    /// The row with its names. `limit` names the raw limit that it compares with.
    pub(crate) fn named(&self, outcome: Outcome, variant: &str, unit: &str, limit: Option<&str>) -> Outcome {
        let several = match self.brokers {
            1 => String::new(),
            brokers => format!(", {brokers} brokers"),
        };
        Outcome {
            scenario: self.scenario.name().to_owned(),
            variant: format!("{variant}{several}"),
            unit: unit.to_owned(),
            limit: limit.map(str::to_owned),
            ..outcome
        }
    }
}

/// Runs scenarios and, when the options say so, the raw limits before them. `tell` hears what goes on, as lines for people.
///
/// Dropping the future ends all processes and removes all files.
///
/// # Errors
/// [`BenchError`] when something could not be prepared. What goes wrong while it is measured is in the report.
pub async fn run(
    scenarios: &[Scenario],
    options: &Options,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Report, BenchError> {
    check(options)?;
    raise_open_files();
    let progress = Progress::new(tell);
    progress.step("starting the database");
    let server = Server::start(&options.database).await?;
    let limits = if options.raw {
        progress.step("measuring the database by plain SQL");
        raw(&server, options).await?
    } else {
        Vec::new()
    };
    let mut rows = Vec::new();
    let counts: &[u32] = if options.replicas {
        &REPLICAS
    } else {
        &[options.brokers]
    };
    for scenario in scenarios {
        for brokers in counts {
            let bench = Bench {
                options,
                progress: &progress,
                server: &server,
                brokers: *brokers,
                scenario: *scenario,
            };
            rows.extend(scenario.run(&bench).await?);
        }
    }
    let mut report = Report {
        machine: machine(&server, options).await?,
        rows,
        limits,
    };
    report.compare_with_limits();
    Ok(report)
}

fn check(options: &Options) -> Result<(), BenchError> {
    if options.brokers == 0 {
        return Err(BenchError::Options("there must be a broker"));
    }
    if options.database == DatabaseChoice::Sqlite && (options.replicas || options.brokers != 1) {
        return Err(BenchError::Options("one broker works on SQLite, not several"));
    }
    Ok(())
}

async fn raw(server: &Server, options: &Options) -> Result<Vec<crate::Limit>, BenchError> {
    let database = server.database().await?;
    let plan = Plan {
        orders: u32::try_from(options.orders(20_000, 200)).unwrap_or(u32::MAX),
        callers: options.callers(64, 4),
        batch: options.batch(),
    };
    let measured = limits(&database.url, &plan).await;
    server.remove(&database).await?;
    Ok(measured?)
}

async fn machine(server: &Server, options: &Options) -> Result<Machine, BenchError> {
    let (database, settings) = server.facts().await?;
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = memory
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<u64>().ok());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(Machine {
        date: options.date.clone(),
        command: options.command.clone(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_bytes: kibibytes.unwrap_or(0) * 1024,
        kernel: kernel.trim().to_owned(),
        database,
        settings,
        brokers: options.brokers,
    })
}
