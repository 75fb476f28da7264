//! `brokkr explain`.

use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::{Format, OutputArgs, explanations, machine, print};
use crate::references::{around, order_id};

const EXAMPLES: &str = "\
Examples:
  brokkr explain ID
  brokkr explain ID -o json       the same for programs: each reason has a code";

/// Tell why an order is where it is: what it waits for, who runs it, or how it ended, and what would change that
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The order
    #[arg(value_name = "ID", value_parser = order_id)]
    order: Uuid,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        order,
        output,
        connection,
    } = args;
    let client = connection.client()?;
    let explanation = client.explain(order).await?;
    match output.output {
        Format::Table | Format::Wide => {
            print(&explanations::explanation(&explanation, &around(&client).await))?;
        }
        Format::Json | Format::Yaml => machine(output.output, &explanation)?,
        Format::Name => print(&format!("order/{}\n", explanation.work_order_id))?,
    }
    Ok(Exit::Succeeded)
}
