//! Cancelling all orders of some kind.

use std::time::Duration;

use brokkr_api::{CancellationsRequest, Time, WorkOrderStatus};
use brokkr_client::Client;
use uuid::Uuid;

use super::tell;
use crate::commands::many::{ConsentArgs, Deed, ago};
use crate::references;
use crate::terms::{TermsArgs, queue_status};

const CANCEL: Deed = Deed {
    verb: "Cancel",
    done: "cancelled",
};

/// Which orders of the queue, instead of naming them. Those that their agent was asked to stop already are left alone.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("many").multiple(true).args(["all", "status", "since"]))]
pub(super) struct FilterArgs {
    /// All that wait or run
    #[arg(long)]
    all: bool,

    /// Only orders in this state: PENDING, CLAIMED, RETRY_PENDING or SCHEDULED
    #[arg(long, value_parser = queue_status)]
    status: Option<WorkOrderStatus>,

    #[command(flatten)]
    terms: TermsArgs,

    /// Only what was submitted within this span, such as 1h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    since: Option<Duration>,

    #[command(flatten)]
    consent: ConsentArgs,
}

impl FilterArgs {
    async fn request(&self, client: &Client, reason: Option<String>) -> anyhow::Result<CancellationsRequest> {
        let agent_id = self.terms.agent_id(client).await?;
        let terms = self.terms.clone();
        let since = self.since.map(|span| ago(references::now(), span));
        Ok(CancellationsRequest {
            status: self.status,
            work_type: terms.work_type,
            agent_id,
            label: terms.label,
            submitted_by: terms.submitted_by,
            text: terms.text,
            // The broker takes no request that says nothing.
            created_from: since.or(self.all.then_some(Time::from_micros(0))),
            reason,
            ..CancellationsRequest::default()
        })
    }
}

/// Counts, asks and cancels. Answers the orders that were cancelled or are being cancelled.
pub(super) async fn run(
    client: &Client,
    filter: &FilterArgs,
    reason: Option<String>,
) -> anyhow::Result<Vec<Uuid>> {
    let request = filter.request(client, reason).await?;
    let preview = client
        .cancel_work_orders(&CancellationsRequest {
            dry_run: true,
            ..request.clone()
        })
        .await?;
    if !filter.consent.given(&CANCEL, preview.matching)? {
        return Ok(Vec::new());
    }
    // What is submitted from now on is not what was agreed to.
    let request = CancellationsRequest {
        created_before: Some(preview.created_before),
        ..request
    };
    let mut cancelled = Vec::new();
    loop {
        let answer = client.cancel_work_orders(&request).await?;
        if answer.ended.is_empty() && answer.requested.is_empty() {
            return Ok(cancelled);
        }
        answer.ended.iter().try_for_each(|id| tell(*id, true))?;
        answer.requested.iter().try_for_each(|id| tell(*id, false))?;
        cancelled.extend(answer.ended.into_iter().chain(answer.requested));
    }
}
