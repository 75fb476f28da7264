//! `brokkr internal`: what agents start, and the pages of the manual that are made from the program. Not for people.

mod reference;

use std::path::PathBuf;
use std::process::ExitCode;

use brokkr_agent::clock::SystemClock;
use brokkr_agent::execute::command::supervisor;
use clap::{Subcommand, ValueEnum};

use crate::output::print;

/// What agents start, and pages of the manual
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Internal,
}

#[derive(Debug, Subcommand)]
enum Internal {
    /// Run the command that standard input describes
    RunCommand {
        /// Where to keep what is learnt of it
        directory: PathBuf,
    },
    /// Print a page of the manual
    Reference {
        /// Which one
        #[arg(value_enum)]
        page: Page,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Page {
    Commands,
    Configuration,
}

/// Runs in the first thread, before anything else was started.
pub(crate) fn main(args: Args) -> ExitCode {
    let page = match args.command {
        Internal::RunCommand { directory } => return supervisor::main(&directory, &SystemClock),
        Internal::Reference { page: Page::Commands } => reference::commands(),
        Internal::Reference {
            page: Page::Configuration,
        } => reference::configuration(),
    };
    match print(&page) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
