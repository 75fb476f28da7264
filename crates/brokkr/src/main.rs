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
mod terms;
mod waiting;
mod work_type;

/// The system's allocator took a sixth of a busy broker's time (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Only simulations run brokers whose guards can be taken away.
#[cfg(not(debug_assertions))]
const _: () = assert!(
    !brokkr_broker::guards::REMOVABLE,
    "the feature `simulation` of brokkr-broker is on: build with --package brokkr"
);

fn main() -> std::process::ExitCode {
    cli::main()
}
