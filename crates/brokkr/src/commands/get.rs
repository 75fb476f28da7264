//! `brokkr get`.

use brokkr_api::{Attempt, ListAgents, ListLog, ListWorkOrders, WorkOrder, WorkOrderStatus};
use brokkr_client::{Client, ClientError, Page};
use clap::Subcommand;
use serde::de::DeserializeOwned;
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

/// Show orders, the log, agents, generators or PAKs
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
    Orders(OrdersArgs),
    /// The log: how orders ended, the latest first
    #[command(
        after_help = "Examples:\n  brokkr get log\n  brokkr get log --failed --agent runner -o wide\n  brokkr get log ID"
    )]
    Log(LogArgs),
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
}

#[derive(Debug, clap::Args)]
struct OrdersArgs {
    /// Only these orders, ended or not
    #[arg(value_name = "ID", value_parser = order_id)]
    orders: Vec<Uuid>,

    /// Ended orders too
    #[arg(short, long)]
    all: bool,

    /// Only orders in this state: PENDING, CLAIMED, RETRY_PENDING or SCHEDULED
    #[arg(long, value_parser = status)]
    status: Option<WorkOrderStatus>,

    /// Only orders of this type
    #[arg(long = "type", value_name = "TYPE")]
    work_type: Option<String>,

    /// How many at most
    #[arg(long, default_value_t = 500, value_name = "NUMBER")]
    limit: usize,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
struct LogArgs {
    /// Only the entries of these orders
    #[arg(value_name = "ID", value_parser = order_id)]
    orders: Vec<Uuid>,

    /// Only what did not succeed
    #[arg(long, conflicts_with = "succeeded")]
    failed: bool,

    /// Only what succeeded
    #[arg(long)]
    succeeded: bool,

    /// Only what this agent held last
    #[arg(long)]
    agent: Option<String>,

    /// Only orders of this type
    #[arg(long = "type", value_name = "TYPE")]
    work_type: Option<String>,

    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    limit: usize,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Orders(args) => orders(args).await?,
        What::Log(args) => log(args).await?,
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
    }
    Ok(Exit::Succeeded)
}

fn status(text: &str) -> Result<WorkOrderStatus, String> {
    let value = serde_json::Value::String(text.to_ascii_uppercase().replace('-', "_"));
    let status: WorkOrderStatus = serde_json::from_value(value).map_err(|_| "no such state".to_owned())?;
    if status.ended() {
        Err("that is how orders end; see brokkr get log".to_owned())
    } else {
        Ok(status)
    }
}

async fn orders(args: OrdersArgs) -> anyhow::Result<()> {
    let OrdersArgs {
        orders,
        all,
        status,
        work_type,
        limit,
        output,
        connection,
    } = args;
    let client = connection.client()?;
    if !orders.is_empty() {
        return given(&client, &orders, &output).await;
    }
    let query = ListWorkOrders {
        status,
        work_type: work_type.clone(),
        limit: page(limit),
        cursor: None,
    };
    let mut found = paged(limit, query.cursor.clone(), async |cursor| {
        client
            .work_orders(&ListWorkOrders {
                cursor,
                ..query.clone()
            })
            .await
    })
    .await?;
    if all {
        let query = ListLog {
            work_type,
            limit: page(limit),
            ..ListLog::default()
        };
        let entries = paged(limit.saturating_sub(found.len()), None, async |cursor| {
            client
                .work_order_log(&ListLog {
                    cursor,
                    ..query.clone()
                })
                .await
        })
        .await?;
        for entry in entries {
            found.push(client.work_order(entry.id).await?);
        }
    }
    let nothing = if all {
        "There are no orders."
    } else {
        "No orders wait or run. How others ended: brokkr get log"
    };
    output::list(output.output, &found, &around(&client).await, nothing)
}

async fn given(client: &Client, ids: &[Uuid], output: &OutputArgs) -> anyhow::Result<()> {
    let mut found: Vec<WorkOrder> = Vec::new();
    for id in ids {
        found.push(client.work_order(*id).await?);
    }
    let around = around(client).await;
    match found.as_slice() {
        [one] => output::one(output.output, one, &around),
        several => output::list(output.output, several, &around, ""),
    }
}

async fn log(args: LogArgs) -> anyhow::Result<()> {
    let LogArgs {
        orders,
        failed,
        succeeded,
        agent,
        work_type,
        limit,
        output,
        connection,
    } = args;
    let client = connection.client()?;
    if !orders.is_empty() {
        let mut found = Vec::new();
        for id in &orders {
            found.push(client.work_order_log_entry(*id).await?);
        }
        let around = around(&client).await;
        return match found.as_slice() {
            [one] => output::one(output.output, one, &around),
            several => output::list(output.output, several, &around, ""),
        };
    }
    let agent_id = match agent {
        Some(name) => Some(references::agent(&client, &name).await?.id),
        None => None,
    };
    let success = if failed {
        Some(false)
    } else {
        succeeded.then_some(true)
    };
    let query = ListLog {
        work_type,
        success,
        agent_id,
        limit: page(limit),
        cursor: None,
    };
    let found = paged(limit, None, async |cursor| {
        client
            .work_order_log(&ListLog {
                cursor,
                ..query.clone()
            })
            .await
    })
    .await?;
    output::list(
        output.output,
        &found,
        &around(&client).await,
        "The log has no such entries.",
    )
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

async fn paks(output: &OutputArgs, connection: &ConnectionArgs) -> anyhow::Result<()> {
    let client = connection.client()?;
    let found = paged(usize::MAX, None, async |cursor| {
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

/// The most that one page can have.
fn page(limit: usize) -> Option<i64> {
    Some(limit.clamp(1, 1_000) as i64)
}

/// Up to `limit` items of a list, page by page.
async fn paged<T: DeserializeOwned>(
    limit: usize,
    mut cursor: Option<String>,
    mut next: impl AsyncFnMut(Option<String>) -> Result<Page<T>, ClientError>,
) -> anyhow::Result<Vec<T>> {
    let mut items = Vec::new();
    while items.len() < limit {
        let page = next(cursor.take()).await?;
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if cursor.is_some() {
        eprintln!("There are more; see --limit.");
    }
    items.truncate(limit);
    Ok(items)
}
