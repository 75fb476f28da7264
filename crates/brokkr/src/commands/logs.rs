//! `brokkr logs`.

use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::follow;
use crate::references::order_id;

const EXAMPLES: &str = "\
Examples:
  brokkr logs ID
  brokkr logs -f ID
  brokkr logs ID --attempt 1 2> errors.txt";

/// Show what an order printed: its standard output on standard output, its standard error on standard error
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The order
    #[arg(value_name = "ID", value_parser = order_id)]
    order: Uuid,

    /// Go on until the order has ended
    #[arg(short, long)]
    follow: bool,

    /// Only this attempt; the latest one without it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    attempt: Option<i64>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        order,
        follow,
        attempt,
        connection,
    } = args;
    let client = connection.client()?;
    if follow {
        follow::live(&client, order, attempt).await?;
    } else {
        follow::stored(&client, order, attempt).await?;
    }
    Ok(Exit::Succeeded)
}
