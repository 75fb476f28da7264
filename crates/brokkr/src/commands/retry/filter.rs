//! Repeating all ended orders of some kind.

use std::time::Duration;

use brokkr_api::{Ending, RetriesAnswer, RetriesRequest};
use brokkr_client::Client;

use crate::commands::many::{ConsentArgs, Deed, ago};
use crate::exit::Exit;
use crate::output::print;
use crate::references;
use crate::terms::TermsArgs;

const RETRY: Deed = Deed {
    verb: "Retry",
    done: "retried",
};

/// Which orders, instead of naming them. Those that were repeated already are left alone.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("endings").multiple(true).args(["failed", "lost", "expired", "cancelled"]))]
pub(super) struct FilterArgs {
    /// All that failed
    #[arg(long)]
    failed: bool,

    /// All whose outcome is unknown
    #[arg(long)]
    lost: bool,

    /// All that were not started in time
    #[arg(long)]
    expired: bool,

    /// All that were cancelled
    #[arg(long)]
    cancelled: bool,

    #[command(flatten)]
    terms: TermsArgs,

    /// Only what ended within this span, such as 1h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, requires = "endings")]
    since: Option<Duration>,

    #[command(flatten)]
    consent: ConsentArgs,
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
        let chosen = endings.into_iter().filter(|(chosen, _)| *chosen);
        let agent_id = self.terms.agent_id(client).await?;
        let terms = self.terms.clone();
        Ok(RetriesRequest {
            endings: Some(chosen.map(|(_, ending)| ending).collect()),
            work_type: terms.work_type,
            agent_id,
            label: terms.label,
            submitted_by: terms.submitted_by,
            text: terms.text,
            ended_from: self.since.map(|span| ago(references::now(), span)),
            ..RetriesRequest::default()
        })
    }
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
    if !filter.consent.given(&RETRY, preview.matching)? {
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
