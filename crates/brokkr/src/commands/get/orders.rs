//! Orders of the queue, or given ones.

use brokkr_api::{EventsQuery, ListLog, ListWorkOrders, WorkOrder, WorkOrderStatus};
use brokkr_client::{Client, EventTold};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::paged::{page, paged};
use crate::connection::ConnectionArgs;
use crate::output::{self, OutputArgs};
use crate::references::{around, order_id};
use crate::terms::{TermsArgs, queue_status};

/// The log's list has no whole orders, so each is asked for.
const REQUESTS_AT_ONCE: usize = 16;

#[derive(Debug, clap::Args)]
pub(super) struct OrdersArgs {
    /// Only these orders, ended or not
    #[arg(value_name = "ID", value_parser = order_id)]
    orders: Vec<Uuid>,

    /// Ended orders too
    #[arg(short, long)]
    all: bool,

    /// Only orders in this state: PENDING, CLAIMED, RETRY_PENDING or SCHEDULED
    #[arg(long, value_parser = queue_status)]
    status: Option<WorkOrderStatus>,

    #[command(flatten)]
    terms: TermsArgs,

    /// How many at most
    #[arg(long, default_value_t = 500, value_name = "NUMBER")]
    limit: usize,

    /// Then go on, and show each order again when it changes
    #[arg(short, long, conflicts_with_all = ["orders", "all"])]
    watch: bool,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// `brokkr get orders`.
pub(super) async fn run(args: OrdersArgs) -> anyhow::Result<()> {
    let OrdersArgs {
        orders,
        all,
        status,
        terms,
        limit,
        watch,
        output,
        connection,
    } = args;
    let client = connection.client()?;
    if !orders.is_empty() {
        return given(&client, &orders, &output).await;
    }
    let mut changes = client.listen(EventsQuery {
        types: Some("work_order.*".to_owned()),
        ..EventsQuery::default()
    });
    if watch {
        // Before the look, or what comes in between is missed.
        changes.next().await.transpose()?;
    }
    let agent_id = terms.agent_id(&client).await?;
    let named = terms.clone();
    let query = ListWorkOrders {
        status,
        work_type: named.work_type,
        agent_id,
        label: named.label,
        submitted_by: named.submitted_by,
        text: named.text,
        limit: page(limit),
        ..ListWorkOrders::default()
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
        let named = terms.clone();
        let query = ListLog {
            work_type: named.work_type,
            agent_id,
            label: named.label,
            submitted_by: named.submitted_by,
            text: named.text,
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
        let whole = entries.into_iter().map(|entry| client.work_order(entry.id));
        found.extend(
            stream::iter(whole)
                .buffered(REQUESTS_AT_ONCE)
                .try_collect::<Vec<WorkOrder>>()
                .await?,
        );
    }
    let nothing = if all {
        "There are no orders."
    } else {
        "No orders wait or run. How others ended: brokkr get log"
    };
    let around = around(&client).await;
    output::list(output.output, &found, &around, nothing)?;
    if !watch {
        return Ok(());
    }
    while let Some(told) = changes.next().await.transpose()? {
        let EventTold::Event(event) = told else { continue };
        let Some(id) = event.work_order_id else { continue };
        let order = match client.work_order(id).await {
            Err(error) if error.status() == Some(404) => continue,
            order => order?,
        };
        if status.is_none_or(|status| order.status == status) && terms.hold_for(&order, agent_id) {
            output::another(output.output, &order, &around)?;
        }
    }
    Ok(())
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
