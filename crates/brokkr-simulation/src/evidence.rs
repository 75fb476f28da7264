//! What the broker says in the end, and once in a while before.

use std::collections::BTreeMap;

use brokkr_api::{Attempt, ListLog, ListWorkOrders, WorkOrder, WorkOrderLog};
use brokkr_client::Client;
use uuid::Uuid;

use crate::restoration::Restoration;

/// More than any simulation has.
const ROWS_MAX: i64 = 1_000;

/// What the broker says of all orders.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) queue: Vec<WorkOrder>,
    pub(crate) log: Vec<WorkOrderLog>,
    /// Each order that is in either, as it was submitted.
    pub(crate) orders: BTreeMap<Uuid, WorkOrder>,
    pub(crate) attempts: BTreeMap<Uuid, Vec<Attempt>>,
    /// Log entries as they were seen earlier.
    pub(crate) seen: Vec<WorkOrderLog>,
    /// What was known before and after the database was restored.
    pub(crate) restoration: Option<Box<Restoration>>,
}

impl Evidence {
    /// Asks for everything.
    pub(crate) async fn collect(client: &Client, seen: Vec<WorkOrderLog>) -> anyhow::Result<Self> {
        let (queue, log) = (queue(client).await?, log(client).await?);
        let mut evidence = Self {
            queue,
            log,
            seen,
            ..Self::default()
        };
        let queued = evidence.queue.iter().map(|order| order.id);
        let ids: Vec<_> = queued.chain(evidence.log.iter().map(|entry| entry.id)).collect();
        for id in ids {
            evidence.orders.insert(id, client.work_order(id).await?);
            evidence.attempts.insert(id, client.attempts(id).await?);
        }
        Ok(evidence)
    }
}

/// The orders that have not ended.
pub(crate) async fn queue(client: &Client) -> anyhow::Result<Vec<WorkOrder>> {
    let query = ListWorkOrders {
        limit: Some(ROWS_MAX),
        ..ListWorkOrders::default()
    };
    Ok(client.work_orders(&query).await?.items)
}

/// The orders that have.
pub(crate) async fn log(client: &Client) -> anyhow::Result<Vec<WorkOrderLog>> {
    let query = ListLog {
        limit: Some(ROWS_MAX),
        ..ListLog::default()
    };
    Ok(client.work_order_log(&query).await?.items)
}
