//! `brokkr label`.

use anyhow::Context as _;
use brokkr_client::Client;
use clap::Subcommand;
use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::print;
use crate::references;

const EXAMPLES: &str = "\
Examples:
  brokkr label agent runner prod gpu    give it two labels
  brokkr label agent runner gpu-        take one away";

/// Give agents labels, or take them away
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The labels of an agent
    #[command(after_help = EXAMPLES)]
    Agent {
        /// Its name, name/cluster or id
        agent: String,

        /// LABEL to add one, LABEL- to take it away
        #[arg(required = true, value_name = "LABEL[-]")]
        changes: Vec<String>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let What::Agent {
        agent,
        changes,
        connection,
    } = args.what;
    let client = connection.client()?;
    let agent = references::agent(&client, &agent).await?;
    for change in changes {
        match change.strip_suffix('-') {
            Some(label) => client
                .remove_agent_label(agent.id, label)
                .await
                .with_context(|| format!("could not take label {label} away from agent {}", agent.name))?,
            None => add(&client, agent.id, &change).await?,
        }
    }
    print(&format!("agent/{} labelled\n", agent.name))?;
    Ok(Exit::Succeeded)
}

/// Gives an agent a label; one that it has already is as good.
pub(crate) async fn add(client: &Client, agent: Uuid, label: &str) -> anyhow::Result<()> {
    match client.add_agent_label(agent, label).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some("unique_violation") => Ok(()),
        Err(error) => Err(error).with_context(|| format!("could not add label {label}")),
    }
}
