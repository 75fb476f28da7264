//! `brokkr bench`: measures brokers on this machine. For those who work on brokkr, or size a deployment of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use brokkr_bench::{BenchError, DatabaseChoice, Format, Options, Report, Scenario};

use crate::exit::{Exit, usage};
use crate::output::print;
use crate::references::now;
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  brokkr bench --short                              see that everything works, in a minute
  brokkr bench create drain                         how fast orders come in, and pass through
  brokkr bench --database sqlite drain              the same on SQLite
  brokkr bench backlog --backlog 1000,1000000       what an order costs while many wait
  brokkr bench drain --replicas --json new.json     with one, two and three brokers
  brokkr bench create --compare old.json            beside an earlier run

Broker, database and this program share the machine: a second one makes the numbers meaningless. Variables such as
BROKKR__DATABASE__CONNECTIONS_MAX are passed on to the brokers.";

/// Measure brokers on this machine: create, drain, latency, backlog, idle-fleet, heartbeat, mixed, soak
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to measure; without any, everything but soak
    #[arg(value_name = "SCENARIO", value_parser = scenario)]
    scenarios: Vec<Scenario>,

    /// sqlite, postgres (a throwaway cluster of the installed server with its default settings), or the URL of a
    /// PostgreSQL database from which others may be created and dropped
    #[arg(long, value_name = "DATABASE", default_value = "postgres")]
    database: DatabaseChoice,

    /// How many brokers work on the database
    #[arg(long, value_name = "N", default_value_t = 1)]
    brokers: u32,

    /// Measure everything with one, two and three brokers
    #[arg(long, conflicts_with = "brokers")]
    replicas: bool,

    /// How many callers create orders at the same time
    #[arg(long, value_name = "N")]
    callers: Option<u32>,

    /// How many agents there are
    #[arg(long, value_name = "N")]
    agents: Option<u32>,

    /// How many orders, or other calls, are measured
    #[arg(long, value_name = "N")]
    orders: Option<u64>,

    /// How many orders one batch call has: 1 to 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    batch: Option<u32>,

    /// How long a scenario with a steady rate lasts
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,

    /// How many other orders wait meanwhile; several are measured one after the other
    #[arg(long, value_name = "N", value_delimiter = ',')]
    backlog: Vec<u64>,

    /// Orders per second, where the rate is steady
    #[arg(long, value_name = "N")]
    rate: Option<u32>,

    /// Do not measure what the database does by plain SQL
    #[arg(long)]
    no_raw: bool,

    /// Make every size tiny
    #[arg(long)]
    short: bool,

    /// Also write the report here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Show the ratios to an earlier report
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// Print the tables as Markdown
    #[arg(long)]
    markdown: bool,
}

fn scenario(name: &str) -> Result<Scenario, String> {
    name.parse().map_err(|error: BenchError| error.to_string())
}

/// Where the reports go.
struct Reports {
    json: Option<PathBuf>,
    old: Option<Report>,
    format: Format,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let (scenarios, options, reports) = args.understood()?;
    let tell = |line: &str| eprintln!("{line}");
    let mut signals = Signals::listen()?;
    let report = tokio::select! {
        report = brokkr_bench::run(&scenarios, &options, &tell) => report.map_err(explained)?,
        // Dropping the run ends its processes and removes its files.
        () = signals.next() => return Ok(Exit::Interrupted),
    };
    reports.show(&report)?;
    Ok(if report.is_clean() {
        Exit::Succeeded
    } else {
        Exit::Failed
    })
}

fn explained(error: BenchError) -> anyhow::Error {
    match error {
        BenchError::Options(what) => usage(what),
        error => error.into(),
    }
}

impl Args {
    fn understood(self) -> anyhow::Result<(Vec<Scenario>, Options, Reports)> {
        let Args {
            scenarios,
            database,
            brokers,
            replicas,
            callers,
            agents,
            orders,
            batch,
            seconds,
            backlog,
            rate,
            no_raw,
            short,
            json,
            compare,
            markdown,
        } = self;
        let options = Options {
            executable: std::env::current_exe().context("could not find this program")?,
            date: now().to_string(),
            command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            database,
            brokers,
            replicas,
            callers,
            agents,
            orders,
            batch,
            seconds,
            backlogs: backlog,
            rate,
            raw: !no_raw,
            short,
        };
        let format = if markdown {
            Format::Markdown
        } else {
            Format::Terminal
        };
        let old = compare.as_deref().map(read).transpose()?;
        Ok((chosen(scenarios), options, Reports { json, old, format }))
    }
}

fn chosen(scenarios: Vec<Scenario>) -> Vec<Scenario> {
    if !scenarios.is_empty() {
        return scenarios;
    }
    let quick = Scenario::ALL
        .into_iter()
        .filter(|scenario| *scenario != Scenario::Soak);
    quick.collect()
}

fn read(file: &Path) -> anyhow::Result<Report> {
    let text = fs::read_to_string(file).map_err(|error| usage(format!("{}: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| usage(format!("{} is no report: {error}", file.display())))
}

impl Reports {
    fn show(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(report)? + "\n";
            fs::write(file, text).with_context(|| format!("could not write {}", file.display()))?;
        }
        print(&brokkr_bench::render(report, self.format))?;
        if let Some(old) = &self.old {
            print(&brokkr_bench::compare(old, report, self.format))?;
        }
        Ok(())
    }
}
