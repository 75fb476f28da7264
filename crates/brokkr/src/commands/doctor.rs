//! `brokkr doctor`: looks at everything that can stand in the way, and says what to do about it.

mod checks;
mod clock;
mod cluster;
mod report;

use crate::config::ConfigArgs;
use crate::config::load::Flags;
use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::{Format, OutputArgs, machine, print};
use report::{Finding, Report};

const EXAMPLES: &str = "\
Examples:
  brokkr doctor
  brokkr doctor --config /etc/brokkr/agent.toml
  brokkr doctor --broker https://brokkr.example.com --pak-file admin.pak -o json";

/// Check configuration, database, broker, clock, credentials, agent and its cluster, and say what to fix
///
/// What is not set up on this host is skipped. The exit code is 1 when something is bad.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        config,
        output,
        connection,
    } = args;
    let mut report = Report::default();
    match config.load(Flags::default()) {
        Err(error) => report.bad(
            "configuration",
            error.to_string(),
            "correct the key, or remove it",
        ),
        Ok(loaded) => {
            let file = loaded.file.as_ref().map_or_else(
                || "no file; defaults".to_owned(),
                |file| file.display().to_string(),
            );
            report.good("configuration", file);
            checks::database(&mut report, &loaded).await;
            checks::agent(&mut report, &loaded.config.agent).await;
            cluster::check(&mut report, &loaded.config.agent).await;
        }
    }
    checks::contexts(&mut report);
    checks::connection(&mut report, &connection).await;
    match output.output {
        Format::Json | Format::Yaml => machine(output.output, &report.findings)?,
        _ => print(&report.findings.iter().map(Finding::told).collect::<String>())?,
    }
    Ok(if report.has_bad() {
        Exit::Failed
    } else {
        Exit::Succeeded
    })
}
