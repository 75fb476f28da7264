//! Repeating all ended orders of some kind.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use brokkr_api::{Ending, RetriesAnswer, RetriesRequest, Time};
use brokkr_client::Client;

use crate::exit::{Exit, usage};
use crate::output::print;
use crate::references;

/// Which orders, instead of naming them. Those that were repeated already are left alone.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("endings").multiple(true).args(["failed", "lost", "expired", "cancelled"]))]
pub(super) struct FilterArgs {
    /// All that failed
    #[arg(long, help_heading = "Many at once")]
    failed: bool,

    /// All whose outcome is unknown
    #[arg(long, help_heading = "Many at once")]
    lost: bool,

    /// All that were not started in time
    #[arg(long, help_heading = "Many at once")]
    expired: bool,

    /// All that were cancelled
    #[arg(long, help_heading = "Many at once")]
    cancelled: bool,

    /// Only orders of this type
    #[arg(
        long = "type",
        value_name = "TYPE",
        requires = "endings",
        help_heading = "Many at once"
    )]
    work_type: Option<String>,

    /// Only what this agent held last: a name, name/cluster or id
    #[arg(
        long,
        value_name = "AGENT",
        requires = "endings",
        help_heading = "Many at once"
    )]
    agent: Option<String>,

    /// Only what ended within this span, such as 1h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, requires = "endings", help_heading = "Many at once")]
    since: Option<Duration>,

    /// Only tell how many there are
    #[arg(long, requires = "endings", help_heading = "Many at once")]
    dry_run: bool,

    /// Do not ask
    #[arg(
        short,
        long,
        requires = "endings",
        conflicts_with = "dry_run",
        help_heading = "Many at once"
    )]
    yes: bool,
}

impl FilterArgs {
    /// Whether orders are chosen so.
    pub(super) fn chosen(&self) -> bool {
        self.failed || self.lost || self.expired || self.cancelled
    }

    async fn request(&self, client: &Client) -> anyhow::Result<RetriesRequest> {
        let endings = [
            (self.failed, Ending::Failed),
            (self.lost, Ending::Lost),
            (self.expired, Ending::Expired),
            (self.cancelled, Ending::Cancelled),
        ];
        let agent_id = match &self.agent {
            Some(name) => Some(references::agent(client, name).await?.id),
            None => None,
        };
        let chosen = endings.into_iter().filter(|(chosen, _)| *chosen);
        Ok(RetriesRequest {
            endings: Some(chosen.map(|(_, ending)| ending).collect()),
            work_type: self.work_type.clone(),
            agent_id,
            ended_from: self.since.map(|span| ago(references::now(), span)),
            ..RetriesRequest::default()
        })
    }
}

fn ago(now: Time, span: Duration) -> Time {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Time::from_micros(now.as_micros().saturating_sub(micros).max(0))
}

/// Counts, asks and repeats.
pub(super) async fn run(client: &Client, filter: FilterArgs) -> anyhow::Result<Exit> {
    let request = filter.request(client).await?;
    let preview = client
        .retry_work_orders(&RetriesRequest {
            dry_run: true,
            ..request.clone()
        })
        .await?;
    let orders = count(preview.matching);
    if filter.dry_run || preview.matching == 0 {
        print(&format!("{orders} would be retried\n"))?;
        return Ok(Exit::Succeeded);
    }
    if !filter.yes && !agreed(&orders)? {
        print("nothing was retried\n")?;
        return Ok(Exit::Succeeded);
    }
    // What fails from now on is not what was agreed to.
    retry_all(
        client,
        &RetriesRequest {
            ended_before: Some(preview.ended_before),
            ..request
        },
    )
    .await
}

fn count(orders: i64) -> String {
    if orders == 1 {
        "1 order".to_owned()
    } else {
        format!("{orders} orders")
    }
}

fn agreed(orders: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(usage(format!("{orders} would be retried; say --yes to do so")));
    }
    eprint!("Retry {orders}? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Asks for one part after the other, until no more are repeated.
async fn retry_all(client: &Client, request: &RetriesRequest) -> anyhow::Result<Exit> {
    loop {
        let RetriesAnswer { retried, refused, .. } = client.retry_work_orders(request).await?;
        for order in &retried {
            print(&format!(
                "order/{} submitted, retry of {}\n",
                order.retry_id, order.id
            ))?;
        }
        if !retried.is_empty() {
            continue;
        }
        for order in &refused {
            eprintln!("could not retry {}: {}", order.id, order.error.message);
        }
        return Ok(if refused.is_empty() {
            Exit::Succeeded
        } else {
            Exit::Failed
        });
    }
}
