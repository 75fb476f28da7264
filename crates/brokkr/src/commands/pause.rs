//! `brokkr pause` and `brokkr resume`: whether an agent claims.

use anyhow::Context as _;
use brokkr_api::{Agent, UpdateAgent};
use clap::Subcommand;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::print;
use crate::references;

const PAUSE_EXAMPLES: &str = "\
Examples:
  brokkr pause agent runner
  brokkr pause agent runner/eu-west builder/eu-west";

const RESUME_EXAMPLES: &str = "\
Examples:
  brokkr resume agent runner";

/// Let agents claim no more work; what they hold goes on
#[derive(Debug, clap::Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(crate) struct PauseArgs {
    #[command(subcommand)]
    what: What,
}

/// Let paused agents claim work again
#[derive(Debug, clap::Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub(crate) struct ResumeArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Agents
    #[command(after_help = "Examples:\n  brokkr pause agent runner\n  brokkr resume agent runner")]
    Agent {
        /// Their names, name/cluster or ids
        #[arg(required = true, value_name = "AGENT")]
        agents: Vec<String>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

pub(crate) async fn pause(args: PauseArgs) -> anyhow::Result<Exit> {
    set_status(args.what, Agent::INACTIVE, "paused").await
}

pub(crate) async fn resume(args: ResumeArgs) -> anyhow::Result<Exit> {
    set_status(args.what, Agent::ACTIVE, "resumed").await
}

async fn set_status(what: What, status: &str, done: &str) -> anyhow::Result<Exit> {
    let What::Agent { agents, connection } = what;
    let client = connection.client()?;
    for name in agents {
        let agent = references::agent(&client, &name).await?;
        let change = UpdateAgent {
            status: Some(status.to_owned()),
            ..UpdateAgent::default()
        };
        client
            .update_agent(agent.id, &change)
            .await
            .with_context(|| format!("could not change agent {name}"))?;
        print(&format!("agent/{} {done}\n", agent.name))?;
    }
    Ok(Exit::Succeeded)
}
