//! Runs simulations: one seed with its story, or many.

use std::process::ExitCode;
use std::time::Duration;

use brokkr_simulation::campaign::{Campaign, Summary};
use brokkr_simulation::{Guard, Outcome, simulate};
use clap::{Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

/// Simulates the whole system.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulates one seed and tells its story.
    One {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// Takes a guard away from the broker.
        #[arg(long)]
        without: Option<Missing>,
        /// Tells it for programs.
        #[arg(long)]
        json: bool,
    },
    /// Simulates many seeds, until one breaks a promise.
    Many {
        /// How many.
        #[arg(long)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Takes a guard away from the broker.
        #[arg(long)]
        without: Option<Missing>,
        /// Begins no more after so many seconds.
        #[arg(long)]
        seconds_max: Option<u64>,
    },
}

/// A guard by its name.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Missing {
    AttemptOfEnding,
    StatusOfEnding,
    LeaseOfSweep,
    OneTransaction,
    EpochOfRestore,
}

impl From<Missing> for Guard {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::AttemptOfEnding => Self::AttemptOfEnding,
            Missing::StatusOfEnding => Self::StatusOfEnding,
            Missing::LeaseOfSweep => Self::LeaseOfSweep,
            Missing::OneTransaction => Self::OneTransaction,
            Missing::EpochOfRestore => Self::EpochOfRestore,
        }
    }
}

/// Takes the place of the system's random bytes in this program, so that hash maps and tokio's own choices are the same in every run.
/// The standard library looks for it by this name; keys and ids come from the seed, not from here.
#[expect(
    unsafe_code,
    reason = "the one symbol by which the system's random bytes can be replaced"
)]
#[unsafe(no_mangle)]
extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: whoever calls getrandom(2) gives a buffer of this length that may be written.
    unsafe { std::ptr::write_bytes(buffer, 0x5a, length) };
    length.cast_signed()
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::One { seed, without, json } => one(seed, without, json),
        Command::Many {
            seeds,
            seed,
            without,
            seconds_max,
        } => many(seeds, seed, without, seconds_max),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn one(seed: u64, without: Option<Missing>, json: bool) -> anyhow::Result<ExitCode> {
    let outcome = simulate(seed, without.map(Guard::from))?;
    if json {
        println!("{}", serde_json::to_string(&outcome)?);
        return Ok(ExitCode::SUCCESS);
    }
    tell(&outcome);
    Ok(code(outcome.violations.is_empty()))
}

fn many(
    seeds: u64,
    first: u64,
    without: Option<Missing>,
    seconds_max: Option<u64>,
) -> anyhow::Result<ExitCode> {
    let named = without.and_then(|missing| missing.to_possible_value());
    let campaign = Campaign {
        program: std::env::current_exe()?,
        first,
        seeds,
        without: named.map(|value| value.get_name().to_owned()),
        time_max: seconds_max.map(Duration::from_secs),
    };
    let style = "{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left";
    let bar = ProgressBar::new(seeds).with_style(ProgressStyle::with_template(style)?);
    let summary = campaign.run(|done| bar.set_position(done))?;
    bar.finish();
    let Summary {
        seeds,
        orders,
        attempts,
        failed,
        took,
    } = summary;
    if let Some(outcome) = &failed {
        tell(outcome);
    }
    let rate = seeds as f64 / took.as_secs_f64();
    println!(
        "{seeds} seeds ({orders} orders, {attempts} attempts) in {:.1} s, {rate:.1} seeds/s",
        took.as_secs_f64()
    );
    Ok(code(failed.is_none()))
}

fn tell(outcome: &Outcome) {
    for line in &outcome.story {
        println!("{line}");
    }
    for violation in &outcome.violations {
        println!("BROKEN: {violation}");
    }
    if !outcome.violations.is_empty() {
        println!("again: cargo xtask simulate --seed {}", outcome.seed);
    }
}

fn code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
