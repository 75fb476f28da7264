//! The command line as a whole: what there is, and who does it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    agent, annotate, bench, broker, cancel, completion, config, context, create, delete, describe, dev,
    doctor, events, explain, get, internal, label, login, logs, migrate, pause, retry, rotate_pak, submit,
    wait, webhook,
};
use crate::exit::{self, EXIT_CODES, Exit};
use crate::references;
use crate::telemetry::{Telemetry, TelemetryArgs};

const EXAMPLES: &str = "\
Examples:
  brokkr dev examples/hello.yaml --exit          run one order, with everything it needs, and leave
  brokkr dev                                     a broker and an agent to try things with
  brokkr submit -f hello.yaml -l local --follow  submit an order and see its output
  brokkr get orders                              the orders that wait or run
  brokkr logs -f ID                              the output of an order, while it runs
  brokkr explain ID                              why an order waits, runs or ended";

#[derive(Debug, Parser)]
#[command(
    name = "brokkr",
    version,
    about = "Runs one-off work on fleets of clusters and hosts that nobody can reach from outside",
    after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
    arg_required_else_help = true,
    max_term_width = 110,
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    telemetry: TelemetryArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Args),
    Submit(submit::Args),
    Get(get::Args),
    Describe(describe::Args),
    Explain(explain::Args),
    Events(events::Args),
    Logs(logs::Args),
    Wait(wait::Args),
    Cancel(cancel::Args),
    Retry(retry::Args),
    Create(create::Args),
    Label(label::Args),
    Annotate(annotate::Args),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
    RotatePak(rotate_pak::Args),
    Delete(delete::Args),
    Webhook(webhook::Args),
    Login(login::Args),
    Context(context::Args),
    Broker(broker::Args),
    Agent(agent::Args),
    Migrate(migrate::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Completion(completion::Args),
    #[command(hide = true)]
    Bench(bench::Args),
    #[command(hide = true)]
    Internal(internal::Args),
}

/// The whole of the process.
pub(crate) fn main() -> ExitCode {
    let Cli { command, telemetry } = Cli::parse_from(references::kinds_split(std::env::args_os()));
    // The process that stands between an agent and a command has its own way to start, run and end.
    if let Command::Internal(args) = command {
        return internal::main(args);
    }
    // It fails only when one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match start(command, telemetry) {
        Ok(exit) => exit.into(),
        Err(error) => {
            if !exit::is_quiet(&error) {
                eprintln!("error: {}", exit::explain(&error));
            }
            exit::of_error(&error).into()
        }
    }
}

fn start(command: Command, telemetry: TelemetryArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let telemetry = Telemetry::new(telemetry, command.is_service());
        let result = command.run(&telemetry).await;
        telemetry.flush().await;
        result
    })
}

impl Command {
    /// Whether it serves others and tells its own story in the log.
    fn is_service(&self) -> bool {
        matches!(self, Command::Broker(_) | Command::Agent(_))
    }

    async fn run(self, telemetry: &Telemetry) -> anyhow::Result<Exit> {
        match self {
            Command::Broker(args) => broker::run(args, telemetry).await,
            Command::Agent(args) => agent::run(args, telemetry).await,
            Command::Dev(args) => dev::run(args, telemetry).await,
            Command::Config(args) => config::run(args),
            Command::Completion(args) => completion::run(args),
            Command::Internal(_) => Ok(Exit::Usage),
            other => {
                telemetry.start_for_people()?;
                other.run_for_people().await
            }
        }
    }

    async fn run_for_people(self) -> anyhow::Result<Exit> {
        match self {
            Command::Submit(args) => submit::run(args).await,
            Command::Get(args) => get::run(args).await,
            Command::Describe(args) => describe::run(args).await,
            Command::Explain(args) => explain::run(args).await,
            Command::Events(args) => events::run(args).await,
            Command::Logs(args) => logs::run(args).await,
            Command::Wait(args) => wait::run(args).await,
            Command::Cancel(args) => cancel::run(args).await,
            Command::Retry(args) => retry::run(args).await,
            Command::Create(args) => create::run(args).await,
            Command::Label(args) => label::run(args).await,
            Command::Annotate(args) => annotate::run(args).await,
            Command::Pause(args) => pause::pause(args).await,
            Command::Resume(args) => pause::resume(args).await,
            Command::RotatePak(args) => rotate_pak::run(args).await,
            Command::Webhook(args) => webhook::run(args).await,
            Command::Delete(args) => delete::run(args).await,
            Command::Login(args) => login::run(args).await,
            Command::Context(args) => context::run(args),
            Command::Migrate(args) => migrate::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Bench(args) => bench::run(args).await,
            _ => Ok(Exit::Usage),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
