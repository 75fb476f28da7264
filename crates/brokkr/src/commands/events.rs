//! `brokkr events`.

use brokkr_api::{Event, EventsQuery};
use brokkr_client::EventTold;
use clap::ValueEnum;
use futures_util::StreamExt as _;
use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::print;
use crate::references::{self, order_id};

const EXAMPLES: &str = "\
Examples:
  brokkr events                                         everything that happens from now on
  brokkr events --type work_order.failed,work_order.lost
  brokkr events --order ID --since 0                    what has happened to an order, and what will
  brokkr events --label gpu -o json                     one line of JSON for each event";

/// Show what happens to orders and agents, as it happens
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only events of this order
    #[arg(long, value_name = "ID", value_parser = order_id)]
    order: Option<Uuid>,

    /// Only events of this agent, and of orders while it holds them
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,

    /// Only events of orders for this label, and of agents that have it
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,

    /// Only events of these types, such as work_order.failed or agent.*
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,

    /// Begin after the event with this id instead of now; 0 is before the first
    #[arg(long, value_name = "ID")]
    since: Option<i64>,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Form::Table, value_name = "FORMAT")]
    output: Form,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The form of each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One line for people
    Table,
    /// One line of JSON, as the broker says it
    Json,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        order,
        agent,
        label,
        types,
        since,
        output,
        connection,
    } = args;
    let client = connection.client()?;
    let agent_id = match agent {
        Some(name) => Some(references::agent(&client, &name).await?.id),
        None => None,
    };
    let query = EventsQuery {
        work_order_id: order,
        agent_id,
        label,
        types: (!types.is_empty()).then(|| types.join(",")),
        after: since,
        limit: None,
    };
    let mut told = client.listen(query);
    while let Some(told) = told.next().await {
        let EventTold::Event(event) = told? else { continue };
        match output {
            Form::Table => print(&line(&event))?,
            Form::Json => print(&(serde_json::to_string(&event)? + "\n"))?,
        }
    }
    Ok(Exit::Succeeded)
}

fn line(event: &Event) -> String {
    let subject = match (event.work_order_id, event.agent_id) {
        (Some(order), _) => format!("order/{order}"),
        (None, Some(agent)) => format!("agent/{agent}"),
        (None, None) => String::new(),
    };
    let states = match (&event.before, &event.after) {
        (Some(before), Some(after)) if before != after => format!("{before} -> {after}"),
        (_, Some(after)) => after.clone(),
        _ => String::new(),
    };
    let text = format!(
        "{}  {}  {:<28} {subject}  {states}  by {}",
        event.id, event.at, event.kind, event.actor
    );
    // A terminal must not do what an event says.
    let shown: String = text.chars().filter(|character| !character.is_control()).collect();
    shown + "\n"
}
