//! Asking the broker what there is, once all is healed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use brokkr_client::api::{ListLog, ListWorkOrders};
use brokkr_client::{Client, ClientError, Page};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::evidence::{self, Accepted, Entry, Evidence, Recorded};
use crate::submit::until_answered;
use crate::world::World;

/// How many questions are asked at the same time.
const AT_ONCE: usize = 8;
const LOOK: Duration = Duration::from_millis(300);

/// Waits until the queue is empty. False when that takes too long.
pub(crate) async fn until_empty(client: &Client, limit: Duration) -> Result<bool, ClientError> {
    let begun = Instant::now();
    let query = ListWorkOrders {
        limit: Some(1),
        ..ListWorkOrders::default()
    };
    while begun.elapsed() < limit {
        let page = until_answered(async || client.work_orders(&query).await).await?;
        if page.items.is_empty() {
            return Ok(true);
        }
        sleep(LOOK).await;
    }
    Ok(false)
}

/// Waits until no command runs. Answers how many still do when that takes too long.
pub(crate) async fn until_quiet(world: &World, limit: Duration) -> usize {
    let begun = Instant::now();
    loop {
        let running = world.supervisors().len();
        if running == 0 || limit < begun.elapsed() {
            return running;
        }
        sleep(LOOK).await;
    }
}

/// Everything that is known.
pub(crate) async fn collect(world: &World, accepted: Vec<Accepted>) -> anyhow::Result<Evidence> {
    let client = &world.client;
    let queue = pages(async |cursor| {
        let query = ListWorkOrders {
            cursor,
            ..ListWorkOrders::default()
        };
        client.work_orders(&query).await
    })
    .await?;
    let log = pages(async |cursor| {
        let query = ListLog {
            cursor,
            ..ListLog::default()
        };
        client.work_order_log(&query).await
    })
    .await?;
    let queue: Vec<Uuid> = queue.into_iter().map(|order| order.id).collect();
    let log: Vec<Entry> = log.into_iter().map(Entry::from).collect();
    let ids = accepted.iter().map(|accepted| accepted.id);
    let ids: BTreeSet<Uuid> = ids
        .chain(queue.iter().copied())
        .chain(log.iter().map(|entry| entry.id))
        .collect();
    Ok(Evidence {
        attempts: attempts(client, ids).await?,
        lines: evidence::lines(&fs::read_to_string(world.ran()).unwrap_or_default())?,
        accepted,
        queue,
        log,
    })
}

async fn pages<T>(
    mut page: impl AsyncFnMut(Option<String>) -> Result<Page<T>, ClientError>,
) -> Result<Vec<T>, ClientError> {
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let found = until_answered(async || page(cursor.clone()).await).await?;
        items.extend(found.items);
        cursor = found.next;
        if cursor.is_none() {
            return Ok(items);
        }
    }
}

async fn attempts(
    client: &Client,
    ids: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, Vec<Recorded>>, ClientError> {
    let questions = stream::iter(ids).map(|id| async move {
        match until_answered(async || client.attempts(id).await).await {
            Ok(attempts) => Ok((id, attempts.into_iter().map(Recorded::from).collect())),
            // That it is gone is told by the queue and the log.
            Err(error) if error.status() == Some(404) => Ok((id, Vec::new())),
            Err(error) => Err(error),
        }
    });
    questions.buffer_unordered(AT_ONCE).try_collect().await
}
