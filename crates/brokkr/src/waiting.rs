//! Waiting for orders to end, through outages of the broker.

use std::time::Duration;

use anyhow::anyhow;
use brokkr_api::{EventsQuery, WorkOrder, WorkOrderLog};
use brokkr_client::{Client, ClientError, EventsTold};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::exit::{self, Exit};
use crate::output::age;
use crate::progress::Reporter;
use crate::signals;

/// How long a broker that has answered before may be away.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at an order: soon after a change, rarer the longer nothing happens.
const LOOK_FIRST: Duration = Duration::from_millis(100);
const LOOK_LAST: Duration = Duration::from_secs(1);
/// The same, while changes are told.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);

/// How long to wait.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct WaitArgs {
    /// Wait no longer than this, such as 90s or 10m; the orders go on
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Asks again while the broker is away, once it has answered a first time.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    answered: bool,
}

impl Patience {
    /// For a broker that is known to have answered.
    pub(crate) fn with_a_known_broker() -> Patience {
        Patience { answered: true }
    }

    /// The answer to `call`, which must be safe to send again.
    ///
    /// # Errors
    /// What is no matter of time, and a broker that stays away.
    pub(crate) async fn ask<T>(
        &mut self,
        mut call: impl AsyncFnMut() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let begun = Instant::now();
        loop {
            match call().await {
                Ok(answer) => {
                    self.answered = true;
                    return Ok(answer);
                }
                Err(error) if error.is_transient() && self.answered && begun.elapsed() < PATIENCE => {
                    sleep(error.retry_after().unwrap_or(RETRY_PAUSE)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits for one order, and shows it to `seen` at each look.
pub(crate) async fn until_ended(
    client: &Client,
    id: Uuid,
    mut patience: Patience,
    mut seen: impl FnMut(&WorkOrder),
) -> Result<WorkOrderLog, ClientError> {
    let (mut last, mut pause) = (None, LOOK_FIRST);
    let mut changes = Changes::of(client, id);
    loop {
        let order = patience.ask(async || client.work_order(id).await).await?;
        seen(&order);
        if order.status.ended() {
            return patience.ask(async || client.work_order_log_entry(id).await).await;
        }
        let look = Some((order.status, order.attempt));
        pause = if look == last {
            (pause * 3 / 2).min(LOOK_LAST)
        } else {
            LOOK_FIRST
        };
        last = look;
        changes.wait(pause).await;
    }
}

/// Changes of an order, as the broker tells them. Where it does not, for it is older or the caller may not hear them, the order is
/// looked at every now and then.
struct Changes {
    told: Option<EventsTold>,
    /// Every change from now on is told.
    listening: bool,
}

impl Changes {
    fn of(client: &Client, id: Uuid) -> Self {
        let query = EventsQuery {
            work_order_id: Some(id),
            ..EventsQuery::default()
        };
        Self {
            told: Some(client.listen(query)),
            listening: false,
        }
    }

    /// Waits for a change; for `pause` as long as changes are not told.
    async fn wait(&mut self, pause: Duration) {
        let pause = if self.listening { LOOK_ANYWAY } else { pause };
        let Some(told) = &mut self.told else {
            return sleep(pause).await;
        };
        tokio::select! {
            told = told.next() => match told {
                // What happened before is seen by looking once more.
                Some(Ok(_)) => self.listening = true,
                Some(Err(_)) | None => (self.told, self.listening) = (None, false),
            },
            () = sleep(pause) => {}
        }
    }
}

/// Waits for all orders and says how they ended; the exit code is that of the gravest.
pub(crate) async fn wait_for(client: &Client, ids: &[Uuid], args: &WaitArgs) -> anyhow::Result<Exit> {
    let reporter = Reporter::for_waiting();
    let all = join_all(ids.iter().map(|id| wait_for_one(client, *id, &reporter)));
    let exits = bounded(ids, args, all).await?;
    Ok(exits.map_or(Exit::Interrupted, |exits| {
        exits.into_iter().fold(Exit::Succeeded, Exit::worst)
    }))
}

async fn wait_for_one(client: &Client, id: Uuid, reporter: &Reporter) -> Exit {
    let mut progress = reporter.order(id);
    match until_ended(client, id, Patience::default(), |order| progress.seen(order)).await {
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

/// Waits as long as the user wants: until the time is up (an error), or Ctrl-C (nothing).
pub(crate) async fn bounded<T>(
    ids: &[Uuid],
    args: &WaitArgs,
    work: impl Future<Output = T>,
) -> anyhow::Result<Option<T>> {
    let names = ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(" ");
    let timeout = async {
        match args.timeout {
            Some(timeout) => sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = work => Ok(Some(done)),
        () = timeout => {
            let waited = age::seconds(args.timeout.map_or(0, |timeout| timeout.as_secs() as i64));
            Err(anyhow!("not ended after {waited}; it goes on: brokkr wait {names}"))
        }
        () = signals::interrupt() => {
            eprintln!("\nNot waiting any more, but the work goes on. Wait again or stop it with:\n  brokkr wait {names}\n  brokkr cancel {names}");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use brokkr_client::ProblemAnswer;

    use super::*;

    fn unavailable() -> ClientError {
        let answer = ProblemAnswer {
            status: 503,
            code: "database_unavailable".to_owned(),
            message: String::new(),
            details: None,
            retry_after: None,
            request_id: None,
        };
        ClientError::Problem(Box::new(answer))
    }

    #[tokio::test]
    async fn a_broker_that_never_answered_is_given_up_at_once() {
        let calls = Cell::new(0);
        let call = async || {
            calls.set(calls.get() + 1);
            Err::<(), _>(unavailable())
        };
        assert!(Patience::default().ask(call).await.is_err());
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test]
    async fn a_broker_that_answered_before_is_waited_for() {
        let calls = Cell::new(0);
        let call = async || {
            calls.set(calls.get() + 1);
            if calls.get() < 2 {
                Err(unavailable())
            } else {
                Ok(())
            }
        };
        assert!(Patience::with_a_known_broker().ask(call).await.is_ok());
    }
}
