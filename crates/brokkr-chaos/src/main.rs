//! `brokkr-chaos`, which `cargo xtask chaos` builds and starts.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use brokkr_chaos::{Options, Report};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// As a shell says it of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Breaks brokers, agents, PostgreSQL and their connections at random, and accounts for every order afterwards.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long things are broken; the queue runs empty after that
    #[arg(long, default_value_t = 1)]
    minutes: u64,

    /// What the faults and the orders follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// The `brokkr` program to use; without it, the one beside this program
    #[arg(long)]
    program: Option<PathBuf>,

    /// How many brokers there are
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=8))]
    brokers: u64,

    /// How many agents there are
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=16))]
    agents: u64,

    /// Keep the directory with the file and all logs also when everything is explained
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match campaign(Arguments::parse()).await {
        Ok(Some(report)) => {
            print!("{report}");
            if report.is_explained() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Ok(None) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Nothing when it was interrupted. Dropping the campaign ends its processes and removes its files.
async fn campaign(arguments: Arguments) -> anyhow::Result<Option<Report>> {
    let Arguments {
        minutes,
        seed,
        program,
        brokers,
        agents,
        keep,
    } = arguments;
    let program = match program {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("brokkr"),
    };
    let options = Options {
        length: Duration::from_secs(minutes * 60),
        seed,
        program: program
            .canonicalize()
            .with_context(|| format!("could not find {}", program.display()))?,
        brokers: usize::try_from(brokers)?,
        agents: usize::try_from(agents)?,
        keep,
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        report = brokkr_chaos::run(&options) => report.map(Some),
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
    }
}
