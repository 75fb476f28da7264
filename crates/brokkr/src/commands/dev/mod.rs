//! `brokkr dev`: a broker and an agent in one process, to try things with.

pub(crate) mod directory;
mod identity;
mod place;
mod serve;

use std::path::PathBuf;

use crate::commands::submit;
use crate::config::KubernetesArgs;
use crate::exit::Exit;
use crate::telemetry::Telemetry;
use place::Place;
use serve::Dev;

const EXAMPLES: &str = "\
Examples:
  brokkr dev                                     serve until Ctrl-C
  brokkr dev examples/hello.yaml                 the same, and run an order first
  brokkr dev a.yaml b.yaml --exit --ephemeral    run orders, leave with their exit code, keep nothing
  brokkr dev --kube examples/job-migration.yaml  run a Job on the cluster of the current kubeconfig context

In a second terminal in the same directory, commands such as `brokkr get orders` find this broker by themselves.
The first Ctrl-C lets running commands finish; the second stops them.";

/// Start a broker and an agent here, to try things with
///
/// The broker listens on the loopback interface and keeps its SQLite database in .brokkr/, where the next start finds it
/// again. The agent is called dev, has the label local, and runs commands on this host; with --kube also manifests and builds
/// on a cluster, in one namespace.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Orders to submit to the agent, one for each file; their output is shown
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Leave when the orders have ended, with their exit code
    #[arg(long, requires = "files")]
    exit: bool,

    /// Keep nothing: everything is in a temporary directory that is removed at the end
    #[arg(long)]
    ephemeral: bool,

    /// The broker's port; without it 3000, or a free one when that is taken
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    #[command(flatten)]
    kubernetes: KubernetesArgs,
}

pub(crate) async fn run(args: Args, telemetry: &Telemetry) -> anyhow::Result<Exit> {
    let Args {
        files,
        exit,
        ephemeral,
        kubernetes,
        port,
    } = args;
    telemetry.start_for_people()?;
    // A mistake in a file is told before anything is started.
    let documents = submit::read(&files, None)?;
    let place = if ephemeral {
        Place::ephemeral().await?
    } else {
        Place::here().await?
    };
    let dev = Dev::start(place, port, kubernetes.section(), telemetry).await?;
    dev.tell(exit);
    dev.run(&documents, exit).await
}
