//! `brokkr retry`.

mod filter;

use uuid::Uuid;

use self::filter::FilterArgs;
use crate::commands::submit::announce;
use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::follow;
use crate::output::OutputArgs;
use crate::references::order_id;
use crate::waiting::{self, WaitArgs};

const EXAMPLES: &str = "\
Examples:
  brokkr retry ID
  brokkr retry ID --follow
  brokkr retry --failed --since 1h --dry-run           only tell how many there are
  brokkr retry --failed --lost --label gpu --yes       without being asked";

/// Run ended orders again, each as a new order that is linked to the old one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The ended orders
    #[arg(required_unless_present = "endings", conflicts_with_all = ["endings", "terms", "consent"], value_name = "ID", value_parser = order_id)]
    orders: Vec<Uuid>,

    /// Wait until the new orders have ended; the exit code is theirs
    #[arg(long, conflicts_with = "endings")]
    wait: bool,

    /// Show the output of the new orders, and wait for them
    #[arg(long, conflicts_with = "endings")]
    follow: bool,

    #[command(flatten)]
    waiting: WaitArgs,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten, next_help_heading = "Many at once")]
    filter: FilterArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        orders,
        filter,
        wait,
        follow,
        waiting,
        output,
        connection,
    } = args;
    let client = connection.client()?;
    if filter.chosen() {
        return filter::run(&client, filter).await;
    }
    let mut created = Vec::new();
    for id in orders {
        created.push(client.retry_work_order(id).await?);
    }
    let ids: Vec<Uuid> = created.iter().map(|order| order.id).collect();
    if follow {
        follow::orders(&client, &follow::plain(&ids), &waiting).await
    } else if wait {
        ids.iter().for_each(|id| eprintln!("order/{id} submitted"));
        waiting::wait_for(&client, &ids, &waiting).await
    } else {
        announce(&created, output.output)?;
        Ok(Exit::Succeeded)
    }
}
