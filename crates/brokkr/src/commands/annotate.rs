//! `brokkr annotate`.

use anyhow::Context as _;
use brokkr_client::Client;
use clap::Subcommand;
use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::{Exit, usage};
use crate::output::print;
use crate::references;

const EXAMPLES: &str = "\
Examples:
  brokkr annotate agent runner region=eu-west           give it an annotation
  brokkr annotate agent runner region=us --overwrite    change its value
  brokkr annotate agent runner region-                  take it away";

/// Give agents annotations, or take them away
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The annotations of an agent
    #[command(after_help = EXAMPLES)]
    Agent {
        /// Its name, name/cluster or id
        agent: String,

        /// KEY=VALUE to add one, KEY- to take it away
        #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
        changes: Vec<String>,

        /// Change the value of a key that the agent has already
        #[arg(long)]
        overwrite: bool,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

enum Change {
    Set(String, String),
    Remove(String),
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let What::Agent {
        agent,
        changes,
        overwrite,
        connection,
    } = args.what;
    let changes = changes
        .iter()
        .map(|text| change(text))
        .collect::<anyhow::Result<Vec<Change>>>()?;
    let client = connection.client()?;
    let agent = references::agent(&client, &agent).await?;
    for change in changes {
        match change {
            Change::Remove(key) => client
                .remove_agent_annotation(agent.id, &key)
                .await
                .with_context(|| format!("could not take annotation {key} away from agent {}", agent.name))?,
            Change::Set(key, value) if overwrite => replace(&client, agent.id, &key, &value).await?,
            Change::Set(key, value) => add(&client, agent.id, &key, &value).await?,
        }
    }
    print(&format!("agent/{} annotated\n", agent.name))?;
    Ok(Exit::Succeeded)
}

fn change(text: &str) -> anyhow::Result<Change> {
    match (key_value(text), text.strip_suffix('-')) {
        (Ok((key, value)), _) => Ok(Change::Set(key, value)),
        (Err(_), Some(key)) => Ok(Change::Remove(key.to_owned())),
        (Err(problem), None) => Err(usage(format!("{text}: {problem}, or KEY- to take one away"))),
    }
}

async fn replace(client: &Client, agent: Uuid, key: &str, value: &str) -> anyhow::Result<()> {
    match client.remove_agent_annotation(agent, key).await {
        Ok(()) => {}
        Err(error) if error.code() == Some("agent_annotation_not_found") => {}
        Err(error) => return Err(error).with_context(|| format!("could not replace annotation {key}")),
    }
    add(client, agent, key, value).await
}

/// Gives an agent an annotation whose key it does not have.
pub(crate) async fn add(client: &Client, agent: Uuid, key: &str, value: &str) -> anyhow::Result<()> {
    client
        .add_agent_annotation(agent, key, value)
        .await
        .map(drop)
        .with_context(|| {
            format!("could not add annotation {key} (--overwrite changes the value of one that is there)")
        })
}

/// Reads `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_contain_and_end_in_anything() {
        assert!(
            matches!(change("a=b=c-").unwrap(), Change::Set(key, value) if key == "a" && value == "b=c-")
        );
        assert!(matches!(change("a-b-").unwrap(), Change::Remove(key) if key == "a-b"));
        assert!(change("a").is_err());
        assert!(change("=b").is_err());
    }
}
