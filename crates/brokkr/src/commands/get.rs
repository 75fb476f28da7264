//! `brokkr get`.

mod log;
mod orders;
mod paged;

use brokkr_api::{Attempt, ListAgents};
use clap::Subcommand;
use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::{self, OutputArgs, Row};
use crate::references::{self, around, around_nobody, order_id};

const EXAMPLES: &str = "\
Examples:
  brokkr get orders                      the orders that wait or run
  brokkr get orders --all -o wide        the ended ones too, with all columns
  brokkr get order ID -o yaml
  brokkr get log --failed                how orders ended
  brokkr get attempts ID
  brokkr get agents";

/// Show orders, the log, agents, generators, PAKs or webhooks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Orders: those of the queue, or the given ones
    #[command(
        visible_alias = "order",
        after_help = "Examples:\n  brokkr get orders\n  brokkr get orders --status PENDING\n  brokkr get order ID -o json"
    )]
    Orders(orders::OrdersArgs),
    /// The log: how orders ended, the latest first
    #[command(
        after_help = "Examples:\n  brokkr get log\n  brokkr get log --failed --agent runner -o wide\n  brokkr get log ID"
    )]
    Log(log::LogArgs),
    /// The attempts of an order, the first one first
    #[command(after_help = "Examples:\n  brokkr get attempts ID")]
    Attempts {
        /// The order
        #[arg(value_name = "ID", value_parser = order_id)]
        order: Uuid,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Agents: all, or the given ones
    #[command(
        visible_alias = "agent",
        after_help = "Examples:\n  brokkr get agents\n  brokkr get agent runner/eu-west -o yaml"
    )]
    Agents {
        /// Names, name/cluster or ids
        #[arg(value_name = "AGENT")]
        agents: Vec<String>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Generators
    #[command(
        visible_alias = "generator",
        after_help = "Examples:\n  brokkr get generators"
    )]
    Generators {
        /// Names or ids
        #[arg(value_name = "GENERATOR")]
        generators: Vec<String>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// PAKs of people and tools
    #[command(visible_alias = "pak", after_help = "Examples:\n  brokkr get paks")]
    Paks {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Webhooks: all, or the given ones
    #[command(
        visible_alias = "webhook",
        after_help = "Examples:\n  brokkr get webhooks\n  brokkr get webhook deploy-bot -o yaml"
    )]
    Webhooks {
        /// Names or ids
        #[arg(value_name = "WEBHOOK")]
        webhooks: Vec<String>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Orders(args) => orders::run(args).await?,
        What::Log(args) => log::run(args).await?,
        What::Attempts {
            order,
            output,
            connection,
        } => attempts(order, &output, &connection).await?,
        What::Agents {
            agents,
            output,
            connection,
        } => {
            let client = connection.client()?;
            let find = async |name: &str| references::agent(&client, name).await;
            let none = "There are no agents. Make one with brokkr create agent.";
            named(&agents, &output, find, references::all_agents(&client), none).await?;
        }
        What::Generators {
            generators,
            output,
            connection,
        } => {
            let client = connection.client()?;
            let find = async |name: &str| references::generator(&client, name).await;
            let all = references::all_generators(&client);
            let none = "There are no generators. Make one with brokkr create generator.";
            named(&generators, &output, find, all, none).await?;
        }
        What::Paks { output, connection } => paks(&output, &connection).await?,
        What::Webhooks {
            webhooks,
            output,
            connection,
        } => {
            let client = connection.client()?;
            let find = async |name: &str| references::webhook(&client, name).await;
            let none = "There are no webhooks. Make one with brokkr create webhook.";
            named(&webhooks, &output, find, references::all_webhooks(&client), none).await?;
        }
    }
    Ok(Exit::Succeeded)
}

async fn attempts(order: Uuid, output: &OutputArgs, connection: &ConnectionArgs) -> anyhow::Result<()> {
    let client = connection.client()?;
    let found: Vec<Attempt> = client.attempts(order).await?;
    output::list(
        output.output,
        &found,
        &around(&client).await,
        "No agent has claimed it yet.",
    )
}

/// Those of these names, or all when there are none. One alone is shown with all that it has.
async fn named<T: Row>(
    names: &[String],
    output: &OutputArgs,
    find: impl AsyncFn(&str) -> anyhow::Result<T>,
    all: impl Future<Output = anyhow::Result<Vec<T>>>,
    none: &str,
) -> anyhow::Result<()> {
    if let [name] = names {
        return output::one(output.output, &find(name).await?, &around_nobody());
    }
    let mut found = Vec::new();
    for name in names {
        found.push(find(name).await?);
    }
    if names.is_empty() {
        found = all.await?;
    }
    output::list(output.output, &found, &around_nobody(), none)
}

async fn paks(output: &OutputArgs, connection: &ConnectionArgs) -> anyhow::Result<()> {
    let client = connection.client()?;
    let found = paged::paged(usize::MAX, None, async |cursor| {
        client
            .paks(&ListAgents {
                cursor,
                ..ListAgents::default()
            })
            .await
    })
    .await?;
    output::list(output.output, &found, &around_nobody(), "There are no PAKs.")
}
