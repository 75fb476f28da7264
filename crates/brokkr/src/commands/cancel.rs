//! `brokkr cancel`.

mod filter;

use brokkr_api::Cancel;
use brokkr_client::{CancelOutcome, Client};
use uuid::Uuid;

use self::filter::FilterArgs;
use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::print;
use crate::references::order_id;
use crate::waiting::{self, WaitArgs};

const EXAMPLES: &str = "\
Examples:
  brokkr cancel ID
  brokkr cancel ID --reason 'wrong cluster' --wait
  brokkr cancel --label gpu --status PENDING --dry-run     only tell how many there are
  brokkr cancel --all --yes --reason 'wrong release'       without being asked";

/// Cancel orders: at once while they wait, through their agent while they run
///
/// An agent hears of it within a third of its lease, asks the work to stop (SIGTERM), and forces it after a grace period.
/// With --wait the exit code is that of the orders: 3 when they were cancelled.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The orders
    #[arg(required_unless_present_any = ["many", "terms"], conflicts_with_all = ["many", "terms", "consent"], value_name = "ID", value_parser = order_id)]
    orders: Vec<Uuid>,

    /// Why, for the record and for the agent
    #[arg(long)]
    reason: Option<String>,

    /// Wait until the orders have ended
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    waiting: WaitArgs,

    #[command(flatten, next_help_heading = "Many at once")]
    filter: FilterArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        orders,
        filter,
        reason,
        wait,
        waiting,
        connection,
    } = args;
    let client = connection.client()?;
    let cancelled = match orders.is_empty() {
        true => filter::run(&client, &filter, reason).await?,
        false => these(&client, orders, reason).await?,
    };
    if wait && !cancelled.is_empty() {
        waiting::wait_for(&client, &cancelled, &waiting).await
    } else {
        Ok(Exit::Succeeded)
    }
}

async fn these(client: &Client, orders: Vec<Uuid>, reason: Option<String>) -> anyhow::Result<Vec<Uuid>> {
    let cancel = Cancel { reason };
    for id in &orders {
        let outcome = client.cancel_work_order(*id, &cancel).await?;
        tell(*id, matches!(outcome, CancelOutcome::Ended(_)))?;
    }
    Ok(orders)
}

fn tell(id: Uuid, has_ended: bool) -> anyhow::Result<()> {
    print(&match has_ended {
        true => format!("order/{id} cancelled\n"),
        false => format!("order/{id} is being cancelled by its agent\n"),
    })?;
    Ok(())
}
