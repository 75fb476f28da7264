//! `brokkr cancel`.

use brokkr_api::Cancel;
use brokkr_client::CancelOutcome;
use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::print;
use crate::references::order_id;
use crate::waiting::{self, WaitArgs};

const EXAMPLES: &str = "\
Examples:
  brokkr cancel ID
  brokkr cancel ID --reason 'wrong cluster' --wait
  brokkr cancel $(brokkr get orders -o name)";

/// Cancel orders: at once while they wait, through their agent while they run
///
/// An agent hears of it within a third of its lease, asks the work to stop (SIGTERM), and forces it after a grace period.
/// With --wait the exit code is that of the orders: 3 when they were cancelled.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The orders
    #[arg(required = true, value_name = "ID", value_parser = order_id)]
    orders: Vec<Uuid>,

    /// Why, for the record and for the agent
    #[arg(long)]
    reason: Option<String>,

    /// Wait until the orders have ended
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    waiting: WaitArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        orders,
        reason,
        wait,
        waiting,
        connection,
    } = args;
    let client = connection.client()?;
    for id in &orders {
        match client
            .cancel_work_order(
                *id,
                &Cancel {
                    reason: reason.clone(),
                },
            )
            .await?
        {
            CancelOutcome::Ended(_) => print(&format!("order/{id} cancelled\n"))?,
            CancelOutcome::Requested(_) => print(&format!("order/{id} is being cancelled by its agent\n"))?,
        }
    }
    if wait {
        waiting::wait_for(&client, &orders, &waiting).await
    } else {
        Ok(Exit::Succeeded)
    }
}
