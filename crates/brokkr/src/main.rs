//! The one binary: arguments, configuration, telemetry, wiring, and the commands for people.

mod cli;
mod commands;
mod config;
mod connection;
mod contexts;
mod exit;
mod follow;
mod install;
mod kubernetes;
mod output;
mod progress;
mod random;
mod references;
mod signals;
mod telemetry;
mod waiting;
mod work_type;

fn main() -> std::process::ExitCode {
    cli::main()
}
