//! The developer's commands: `.ci/run` is made of them.

mod browser;
mod chaos;
mod check;
mod cluster;
mod fuzz;
mod install;
mod kubectl;
mod python;
mod schemathesis;
mod selection;
mod simulate;
mod standard_webhooks;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The developer's commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks format, lints, documentation and house rules; changes nothing.
    Check,
    /// Runs tests, with a PostgreSQL that is started for them and thrown away; with --cluster, the scenarios on a real cluster.
    Test(test::Arguments),
    /// Breaks brokers, agents, PostgreSQL and their connections at random, and accounts for every order afterwards.
    Chaos(chaos::Arguments),
    /// Simulates the whole system: many seeds, or one with its story.
    Simulate(simulate::Arguments),
    /// Runs fuzz targets for longer than the tests do.
    Fuzz(fuzz::Arguments),
    /// Lets Schemathesis look for what a broker does otherwise than its OpenAPI document says.
    Schemathesis(schemathesis::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check => check::run(),
        Command::Test(arguments) => test::run(&arguments),
        Command::Chaos(arguments) => chaos::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Schemathesis(arguments) => schemathesis::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_line_can_be_read() {
        Arguments::command().debug_assert();
    }
}
