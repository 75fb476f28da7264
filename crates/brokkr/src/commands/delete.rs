//! `brokkr delete`.

use anyhow::Context as _;
use clap::Subcommand;
use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::print;
use crate::references::{self, order_id};

const EXAMPLES: &str = "\
Examples:
  brokkr delete order ID         take it out of the queue, without a log entry
  brokkr delete agent runner     its PAK is dead at once, and what it holds goes back to the queue
  brokkr delete generator ci
  brokkr delete pak 4vJ9JU1b";

/// Delete orders, agents, generators, PAKs or webhooks
///
/// Prefer `brokkr cancel` for orders: it stops work that runs, and leaves an entry in the log.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Orders of the queue
    #[command(visible_alias = "orders", after_help = "Examples:\n  brokkr delete order ID")]
    Order {
        /// Their ids
        #[arg(required = true, value_name = "ID", value_parser = order_id)]
        orders: Vec<Uuid>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Agents
    #[command(
        visible_alias = "agents",
        after_help = "Examples:\n  brokkr delete agent runner/eu-west"
    )]
    Agent {
        /// Their names, name/cluster or ids
        #[arg(required = true, value_name = "AGENT")]
        agents: Vec<String>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Generators
    #[command(
        visible_alias = "generators",
        after_help = "Examples:\n  brokkr delete generator ci"
    )]
    Generator {
        /// Their names or ids
        #[arg(required = true, value_name = "GENERATOR")]
        generators: Vec<String>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// PAKs of people and tools
    #[command(
        visible_alias = "paks",
        after_help = "Examples:\n  brokkr delete pak 4vJ9JU1b"
    )]
    Pak {
        /// Their short parts
        #[arg(required = true, value_name = "SHORT")]
        paks: Vec<String>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Webhooks, with what is known of their deliveries
    #[command(
        visible_alias = "webhooks",
        after_help = "Examples:\n  brokkr delete webhook deploy-bot"
    )]
    Webhook {
        /// Their names or ids
        #[arg(required = true, value_name = "WEBHOOK")]
        webhooks: Vec<String>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Order { orders, connection } => delete_orders(orders, connection).await?,
        What::Agent { agents, connection } => delete_agents(agents, connection).await?,
        What::Generator {
            generators,
            connection,
        } => delete_generators(generators, connection).await?,
        What::Pak { paks, connection } => delete_paks(paks, connection).await?,
        What::Webhook { webhooks, connection } => delete_webhooks(webhooks, connection).await?,
    }
    Ok(Exit::Succeeded)
}

async fn delete_orders(orders: Vec<Uuid>, connection: ConnectionArgs) -> anyhow::Result<()> {
    let client = connection.client()?;
    for id in orders {
        client
            .delete_work_order(id)
            .await
            .with_context(|| format!("could not delete order {id}"))?;
        print(&format!("order/{id} deleted\n"))?;
    }
    Ok(())
}

async fn delete_agents(agents: Vec<String>, connection: ConnectionArgs) -> anyhow::Result<()> {
    let client = connection.client()?;
    for name in agents {
        let agent = references::agent(&client, &name).await?;
        client
            .delete_agent(agent.id)
            .await
            .with_context(|| format!("could not delete agent {name}"))?;
        print(&format!("agent/{} deleted\n", agent.name))?;
    }
    Ok(())
}

async fn delete_generators(generators: Vec<String>, connection: ConnectionArgs) -> anyhow::Result<()> {
    let client = connection.client()?;
    for name in generators {
        let generator = references::generator(&client, &name).await?;
        client
            .delete_generator(generator.id)
            .await
            .with_context(|| format!("could not delete generator {name}"))?;
        print(&format!("generator/{} deleted\n", generator.name))?;
    }
    Ok(())
}

async fn delete_webhooks(webhooks: Vec<String>, connection: ConnectionArgs) -> anyhow::Result<()> {
    let client = connection.client()?;
    for name in webhooks {
        let webhook = references::webhook(&client, &name).await?;
        client
            .delete_webhook(webhook.id)
            .await
            .with_context(|| format!("could not delete webhook {name}"))?;
        print(&format!("webhook/{} deleted\n", webhook.name))?;
    }
    Ok(())
}

async fn delete_paks(paks: Vec<String>, connection: ConnectionArgs) -> anyhow::Result<()> {
    let client = connection.client()?;
    for short in paks {
        let short = short.strip_prefix("pak/").unwrap_or(&short);
        client
            .delete_pak(short)
            .await
            .with_context(|| format!("could not delete PAK {short}"))?;
        print(&format!("pak/{short} deleted\n"))?;
    }
    Ok(())
}
