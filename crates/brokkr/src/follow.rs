//! Output of orders, as it is written: standard output to standard output, everything else to standard error.

mod sink;

use brokkr_api::{OutputEnded, OutputPiece, OutputQuery};
use brokkr_client::{Client, OutputEvent};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::time::{Duration, sleep};
use uuid::Uuid;

use crate::exit::{self, Exit};
use crate::progress::{Progress, Reporter};
use crate::waiting::{self, Patience, WaitArgs};
use sink::Sink;

/// After a live stream was interrupted.
const RESUME_PAUSE: Duration = Duration::from_millis(200);

/// An order whose output is shown.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) id: Uuid,
    /// Stands before each line when several orders are shown.
    pub(crate) prefix: Option<String>,
}

/// Orders that have no better names than their ids.
pub(crate) fn plain(ids: &[Uuid]) -> Vec<Followed> {
    named(ids.iter().map(|id| (*id, id.to_string())))
}

/// Orders with names, which are shown only when there are several.
pub(crate) fn named(orders: impl Iterator<Item = (Uuid, String)>) -> Vec<Followed> {
    let orders: Vec<(Uuid, String)> = orders.collect();
    let several = 1 < orders.len();
    orders
        .into_iter()
        .map(|(id, name)| Followed {
            id,
            prefix: several.then_some(name),
        })
        .collect()
}

/// Shows the output of all orders until they have ended, and how they ended.
pub(crate) async fn orders(client: &Client, orders: &[Followed], args: &WaitArgs) -> anyhow::Result<Exit> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id).collect();
    let exit = waiting::bounded(&ids, args, to_the_end(client, orders)).await?;
    Ok(exit.unwrap_or(Exit::Interrupted))
}

/// The same, however long it takes.
pub(crate) async fn to_the_end(client: &Client, orders: &[Followed]) -> Exit {
    let all = join_all(
        orders
            .iter()
            .map(|order| one(client, order, Reporter::Lines.order(order.id))),
    );
    all.await.into_iter().fold(Exit::Succeeded, Exit::worst)
}

/// A reader of the output that goes away does not change how the order ends, so the waiting goes on.
async fn one(client: &Client, order: &Followed, mut progress: Progress) -> Exit {
    let mut sink = Some(Sink::new(order.prefix.as_deref()));
    let show = |piece: &OutputPiece| {
        if let Some(open) = &mut sink
            && open.write(piece).is_err()
        {
            sink = None;
        }
        Ok(())
    };
    let seen = |order: &_| progress.seen(order);
    let ended = waiting::until_ended(client, order.id, Patience::with_a_known_broker(), seen);
    let (output, ended) = tokio::join!(stream(client, order.id, None, show), ended);
    if let Some(open) = &mut sink {
        // Nobody reads it any more when this fails.
        let _ = open.finish();
    }
    if let Err(error) = output {
        eprintln!(
            "order/{}: its output cannot be shown: {}",
            order.id,
            exit::explain(&error)
        );
    }
    match ended {
        Ok(entry) => {
            progress.ended(&entry);
            entry.ending.into()
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            progress.failed(&exit::explain(&error));
            exit::of_error(&error)
        }
    }
}

/// Shows the output of an order until it, or the one attempt, has ended.
pub(crate) async fn live(client: &Client, id: Uuid, attempt: Option<i64>) -> anyhow::Result<OutputEnded> {
    let mut sink = Sink::new(None);
    let ended = stream(client, id, attempt, |piece| sink.write(piece)).await?;
    sink.finish()?;
    Ok(ended)
}

/// Shows what is there now.
pub(crate) async fn stored(client: &Client, id: Uuid, attempt: Option<i64>) -> anyhow::Result<()> {
    let mut sink = Sink::new(None);
    let mut query = OutputQuery {
        attempt,
        ..OutputQuery::default()
    };
    loop {
        let page = client.output(id, &query).await?;
        for piece in &page.chunks {
            sink.write(piece)?;
        }
        if page.chunks.is_empty() {
            return sink.finish();
        }
        // A later attempt that begins meanwhile has an output of its own.
        query.attempt = Some(page.attempt);
        query.after = Some(page.next);
    }
}

async fn stream(
    client: &Client,
    id: Uuid,
    attempt: Option<i64>,
    mut show: impl FnMut(&OutputPiece) -> anyhow::Result<()>,
) -> anyhow::Result<OutputEnded> {
    let query = OutputQuery {
        attempt,
        ..OutputQuery::default()
    };
    let (mut patience, mut resume) = (Patience::default(), None);
    loop {
        let mut events = patience
            .ask(async || client.follow_output(id, &query, resume).await)
            .await?;
        while let Some(event) = events.next().await {
            match event {
                Ok(OutputEvent::Output(piece)) => {
                    resume = Some(piece.end());
                    show(&piece)?;
                }
                Ok(OutputEvent::Ended(ended)) => return Ok(ended),
                Err(error) if error.is_transient() => break,
                Err(error) => return Err(error.into()),
            }
        }
        sleep(RESUME_PAUSE).await;
    }
}
