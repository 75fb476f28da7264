//! `brokkr get`.

mod log;
mod orders;
mod paged;

use brokkr_api::{Attempt, ListAgents};
use clap::Subcommand;
use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::{self, OutputArgs};
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
        } => get_agents(&agents, &output, &connection).await?,
        What::Generators {
            generators,
            output,
            connection,
        } => {
            get_generators(&generators, &output, &connection).await?;
        }
        What::Paks { output, connection } => paks(&output, &connection).await?,
        What::Webhooks {
            webhooks,
            output,
            connection,
        } => get_webhooks(&webhooks, &output, &connection).await?,
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

async fn get_agents(
    names: &[String],
    output: &OutputArgs,
    connection: &ConnectionArgs,
) -> anyhow::Result<()> {
    let client = connection.client()?;
    if let [name] = names {
        return output::one(
            output.output,
            &references::agent(&client, name).await?,
            &around_nobody(),
        );
    }
    let mut found = Vec::new();
    for name in names {
        found.push(references::agent(&client, name).await?);
    }
    if names.is_empty() {
        found = references::all_agents(&client).await?;
    }
    output::list(
        output.output,
        &found,
        &around_nobody(),
        "There are no agents. Make one with brokkr create agent.",
    )
}

async fn get_generators(
    names: &[String],
    output: &OutputArgs,
    connection: &ConnectionArgs,
) -> anyhow::Result<()> {
    let client = connection.client()?;
    if let [name] = names {
        return output::one(
            output.output,
            &references::generator(&client, name).await?,
            &around_nobody(),
        );
    }
    let mut found = Vec::new();
    for name in names {
        found.push(references::generator(&client, name).await?);
    }
    if names.is_empty() {
        found = references::all_generators(&client).await?;
    }
    output::list(
        output.output,
        &found,
        &around_nobody(),
        "There are no generators. Make one with brokkr create generator.",
    )
}

async fn get_webhooks(
    names: &[String],
    output: &OutputArgs,
    connection: &ConnectionArgs,
) -> anyhow::Result<()> {
    let client = connection.client()?;
    if let [name] = names {
        let webhook = references::webhook(&client, name).await?;
        return output::one(output.output, &webhook, &around_nobody());
    }
    let mut found = Vec::new();
    for name in names {
        found.push(references::webhook(&client, name).await?);
    }
    if names.is_empty() {
        found = references::all_webhooks(&client).await?;
    }
    output::list(
        output.output,
        &found,
        &around_nobody(),
        "There are no webhooks. Make one with brokkr create webhook.",
    )
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
