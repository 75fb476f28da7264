//! What the flags of `brokkr submit` say about each order.

use std::collections::BTreeMap;
use std::time::Duration;

use brokkr_api::{CreateWorkOrder, Delivery, FailureClass, TargetingRequest, Time};
use brokkr_client::Client;
use brokkr_core::ids::uuid_v7;
use brokkr_core::time::Timestamp;
use clap::ValueEnum;
use uuid::Uuid;

use super::{Document, When, key_value, time};
use crate::exit::usage;
use crate::{random, references};

/// Who may run the orders, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct OrderArgs {
    /// Agents with this label may run it
    #[arg(short, long = "label", value_name = "LABEL", help_heading = "Who may run it")]
    labels: Vec<String>,

    /// This agent may run it: a name, name/cluster or id
    #[arg(long = "agent", value_name = "AGENT", help_heading = "Who may run it")]
    agents: Vec<String>,

    /// Agents with this annotation may run it
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Who may run it")]
    annotations: Vec<(String, String)>,

    /// The type of the work, where the documents do not tell it
    #[arg(long = "type", value_name = "TYPE", help_heading = "How to run it")]
    pub(super) work_type: Option<String>,

    /// How many attempts after the first may follow failures and losses [broker's default: 3]
    #[arg(long, value_name = "NUMBER", help_heading = "How to run it")]
    max_retries: Option<i64>,

    /// How many attempts may follow failures around the work besides, such as a node that went away [broker's default: 5]
    #[arg(long, value_name = "NUMBER", help_heading = "How to run it")]
    infrastructure_retries: Option<i64>,

    /// The base of the pause before a retry, which doubles each time [broker's default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, help_heading = "How to run it")]
    backoff: Option<Duration>,

    /// Which failures may be retried [broker's default: infrastructure]
    #[arg(
        long,
        value_name = "CLASS",
        value_enum,
        value_delimiter = ',',
        help_heading = "How to run it"
    )]
    retry_on: Vec<RetryOn>,

    /// Orders of a higher priority go first: -100 to 100
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        help_heading = "How to run it"
    )]
    priority: Option<i64>,

    /// The longest that one attempt may run, such as 90s or 1h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, help_heading = "How to run it")]
    deadline: Option<Duration>,

    /// What to do when the outcome of an attempt cannot be known
    #[arg(long, value_name = "DELIVERY", value_enum, help_heading = "How to run it")]
    delivery: Option<DeliveryArg>,

    /// Not before this time: RFC 3339, or a span from now on such as +10m
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "How to run it")]
    run_at: Option<When>,

    /// Not begun after this time, or not within this span from when the broker accepts it, such as 10m; then it ends as expired
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "How to run it")]
    start_by: Option<When>,

    /// A fact for people and tools, kept with the order
    #[arg(long = "metadata", value_name = "KEY=VALUE", value_parser = key_value, help_heading = "How to run it")]
    metadata: Vec<(String, String)>,

    /// Names this submission: sending it again creates nothing new. With several files, their numbers are added
    #[arg(long, value_name = "KEY", help_heading = "How to run it")]
    pub(super) idempotency_key: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DeliveryArg {
    /// Run it again, as long as retries are left
    AtLeastOnce,
    /// Never run it again: it ends as lost
    AtMostOnce,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RetryOn {
    /// Something around the work failed
    Infrastructure,
    /// The work itself failed
    Work,
    /// It ran longer than its deadline
    Deadline,
}

impl OrderArgs {
    /// The ids of the agents that were named.
    pub(super) async fn agents(&self, client: &Client) -> anyhow::Result<Vec<Uuid>> {
        let mut ids = Vec::new();
        for name in &self.agents {
            ids.push(references::agent(client, name).await?.id);
        }
        Ok(ids)
    }

    /// One request for each document.
    ///
    /// # Errors
    /// A usage error when nobody may run it.
    pub(super) fn requests(
        &self,
        documents: &[Document],
        agents: &[Uuid],
        now: Time,
    ) -> anyhow::Result<Vec<CreateWorkOrder>> {
        if agents.is_empty() && self.labels.is_empty() && self.annotations.is_empty() {
            return Err(usage("say who may run it, with --label, --agent or --annotation"));
        }
        Ok(documents
            .iter()
            .map(|document| self.request(document, agents, now))
            .collect())
    }

    fn request(&self, document: &Document, agents: &[Uuid], now: Time) -> CreateWorkOrder {
        let targeting = TargetingRequest {
            agent_ids: some(agents.to_vec(), Vec::is_empty),
            labels: some(self.labels.clone(), Vec::is_empty),
            annotations: some(map(&self.annotations), BTreeMap::is_empty),
        };
        CreateWorkOrder {
            work_type: document.work_type.clone(),
            yaml_content: document.yaml.clone(),
            max_retries: self.max_retries,
            infrastructure_retries_max: self.infrastructure_retries,
            backoff_seconds: self.backoff.map(seconds),
            targeting: Some(targeting),
            priority: self.priority,
            deadline_seconds: self.deadline.map(seconds),
            start_by: self.start_by.and_then(When::time),
            start_by_seconds: self.start_by.and_then(When::span).map(seconds),
            run_at: self.run_at.map(|when| when.from(now)),
            delivery: self.delivery.map(Delivery::from),
            retry_on: some(
                self.retry_on.iter().map(|class| (*class).into()).collect(),
                Vec::is_empty,
            ),
            metadata: some(map(&self.metadata), BTreeMap::is_empty),
            ..CreateWorkOrder::default()
        }
    }
}

impl From<DeliveryArg> for Delivery {
    fn from(delivery: DeliveryArg) -> Delivery {
        match delivery {
            DeliveryArg::AtLeastOnce => Delivery::AtLeastOnce,
            DeliveryArg::AtMostOnce => Delivery::AtMostOnce,
        }
    }
}

impl From<RetryOn> for FailureClass {
    fn from(class: RetryOn) -> FailureClass {
        match class {
            RetryOn::Infrastructure => FailureClass::Infrastructure,
            RetryOn::Work => FailureClass::Work,
            RetryOn::Deadline => FailureClass::Deadline,
        }
    }
}

/// A key for each of `count` submissions: numbered ones when the user chose one, else keys that nobody else uses.
pub(crate) fn idempotency_keys(given: Option<&str>, count: usize, now: Time) -> Vec<String> {
    match given {
        Some(key) if count == 1 => vec![key.to_owned()],
        Some(key) => (1..=count).map(|number| format!("{key}-{number}")).collect(),
        None => (0..count)
            .map(|_| uuid_v7(Timestamp::from_micros(now.as_micros()), 0, random::bytes()).to_string())
            .collect(),
    }
}

fn some<T>(value: T, is_empty: impl Fn(&T) -> bool) -> Option<T> {
    if is_empty(&value) { None } else { Some(value) }
}

fn map(pairs: &[(String, String)]) -> BTreeMap<String, String> {
    pairs.iter().cloned().collect()
}

/// Whole seconds, rounded up: a deadline of half a second is not none.
fn seconds(span: Duration) -> i64 {
    let whole = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    whole.saturating_add(i64::from(0 < span.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_submission_has_a_key_of_its_own() {
        let now = Time::from_micros(1_000_000);
        assert_eq!(idempotency_keys(Some("deploy-7"), 1, now), ["deploy-7"]);
        assert_eq!(
            idempotency_keys(Some("deploy-7"), 2, now),
            ["deploy-7-1", "deploy-7-2"]
        );
        let keys = idempotency_keys(None, 2, now);
        assert_ne!(keys[0], keys[1]);
    }

    #[test]
    fn spans_are_rounded_up_to_seconds() {
        assert_eq!(
            [0, 1, 999, 1_000, 1_001].map(|ms| seconds(Duration::from_millis(ms))),
            [0, 1, 1, 1, 2]
        );
    }

    #[test]
    fn nobody_to_run_it_is_a_usage_error() {
        assert!(
            OrderArgs::default()
                .requests(&[], &[], Time::from_micros(0))
                .is_err()
        );
    }
}
