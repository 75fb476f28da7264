//! `brokkr wait`.

use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::references::order_id;
use crate::waiting::{self, WaitArgs};

const EXAMPLES: &str = "\
Examples:
  brokkr wait ID && echo done
  brokkr wait ID1 ID2 --timeout 10m";

/// Wait until orders have ended; the exit code says how
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The orders
    #[arg(required = true, value_name = "ID", value_parser = order_id)]
    orders: Vec<Uuid>,

    #[command(flatten)]
    waiting: WaitArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        orders,
        waiting,
        connection,
    } = args;
    waiting::wait_for(&connection.client()?, &orders, &waiting).await
}
