//! `cargo xtask chaos`.

use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use brokkr_testkit_postgres::Server;

use crate::install;
use crate::steps::{self, cargo, exit_code, say};

/// The program that does it, and the one that it is done to.
const PROGRAMS: [&str; 2] = ["brokkr-chaos", "brokkr"];

/// What `cargo xtask chaos` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long things are broken; the queue runs empty after that.
    #[arg(long, default_value_t = 1)]
    minutes: u64,
    /// What the faults and the orders follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the file and all logs also when everything is explained.
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { minutes, seed, keep } = arguments;
    if Server::find().is_err() {
        install::postgres()?;
    }
    let [campaign, program] = PROGRAMS;
    say("building brokkr and the campaign");
    let mut build = cargo(&["build", "--locked", "--package", campaign, "--package", program]);
    if !steps::run(&mut build)?.success() {
        bail!("the build failed");
    }
    // Both are built beside this program, which cargo has just run.
    let own = std::env::current_exe().context("could not tell where this program is")?;
    let mut command = Command::new(own.with_file_name(campaign));
    command.args(["--minutes", &minutes.to_string(), "--seed", &seed.to_string()]);
    command.arg("--program").arg(own.with_file_name(program));
    if *keep {
        command.arg("--keep");
    }
    Ok(exit_code(steps::run(&mut command)?))
}
