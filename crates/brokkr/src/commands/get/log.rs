//! How orders ended.

use brokkr_api::ListLog;
use uuid::Uuid;

use super::paged::{page, paged};
use crate::connection::ConnectionArgs;
use crate::output::{self, OutputArgs};
use crate::references::{around, order_id};
use crate::terms::TermsArgs;

#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// Only the entries of these orders
    #[arg(value_name = "ID", value_parser = order_id)]
    orders: Vec<Uuid>,

    /// Only what did not succeed
    #[arg(long, conflicts_with = "succeeded")]
    failed: bool,

    /// Only what succeeded
    #[arg(long)]
    succeeded: bool,

    /// Only what lost an attempt, however it ended
    #[arg(long)]
    lost_attempt: bool,

    #[command(flatten)]
    terms: TermsArgs,

    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    limit: usize,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// `brokkr get log`.
pub(super) async fn run(args: LogArgs) -> anyhow::Result<()> {
    let LogArgs {
        orders,
        failed,
        succeeded,
        lost_attempt,
        terms,
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
    let agent_id = terms.agent_id(&client).await?;
    let success = if failed {
        Some(false)
    } else {
        succeeded.then_some(true)
    };
    let query = ListLog {
        work_type: terms.work_type,
        label: terms.label,
        submitted_by: terms.submitted_by,
        text: terms.text,
        success,
        lost_attempt: lost_attempt.then_some(true),
        agent_id,
        limit: page(limit),
        ..ListLog::default()
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
