//! A supervisor as a program of its own, for tests. The `brokkr` binary has it as a hidden mode.

use std::path::Path;
use std::process::ExitCode;

use brokkr_agent::clock::SystemClock;
use brokkr_agent::execute::command::supervisor;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(directory) => supervisor::main(Path::new(&directory), &SystemClock),
        None => ExitCode::FAILURE,
    }
}
