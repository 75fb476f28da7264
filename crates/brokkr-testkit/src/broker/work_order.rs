//! Work orders to submit.

use brokkr_api::{CreateWorkOrder, Delivery, FailureClass, TargetingRequest, Time, WorkOrder};
use brokkr_client::{Client, ClientError, Created};
use brokkr_core::time::Timestamp;

use super::TestAgent;

const YAML: &str =
    "apiVersion: brokkr.io/v1\nkind: Command\nmetadata:\n  name: greet\nspec:\n  command: [echo, hello]\n";

/// A work order that is about to be submitted. What is not said stays at the broker's defaults.
#[derive(Debug, Clone)]
#[must_use = "a work order exists once it is created"]
pub struct WorkOrderBuilder<'a> {
    client: &'a Client,
    request: CreateWorkOrder,
}

impl<'a> WorkOrderBuilder<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        let request = CreateWorkOrder {
            work_type: "command".to_owned(),
            yaml_content: YAML.to_owned(),
            ..CreateWorkOrder::default()
        };
        Self { client, request }
    }

    /// Submitted by somebody else than the administrator.
    pub fn by(mut self, client: &'a Client) -> Self {
        self.client = client;
        self
    }

    /// For this agent, too.
    pub fn for_agent(self, agent: &TestAgent) -> Self {
        self.for_agents([agent])
    }

    /// For these agents, too.
    pub fn for_agents<'b>(mut self, agents: impl IntoIterator<Item = &'b TestAgent>) -> Self {
        let ids = agents.into_iter().map(|agent| agent.id);
        self.targeting().agent_ids.get_or_insert_default().extend(ids);
        self
    }

    /// For agents with this label, too.
    pub fn label(mut self, label: &str) -> Self {
        self.targeting()
            .labels
            .get_or_insert_default()
            .push(label.to_owned());
        self
    }

    /// For agents with this annotation, too.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.targeting()
            .annotations
            .get_or_insert_default()
            .insert(key.to_owned(), value.to_owned());
        self
    }

    /// Of this work type instead of `command`.
    pub fn work_type(mut self, work_type: &str) -> Self {
        self.request.work_type = work_type.to_owned();
        self
    }

    /// With these documents.
    pub fn yaml(mut self, yaml_content: &str) -> Self {
        self.request.yaml_content = yaml_content.to_owned();
        self
    }

    /// How many attempts may follow the first.
    pub fn max_retries(mut self, max_retries: i64) -> Self {
        self.request.max_retries = Some(max_retries);
        self
    }

    /// How many attempts may follow failures around the work besides.
    pub fn infrastructure_retries_max(mut self, infrastructure_retries_max: i64) -> Self {
        self.request.infrastructure_retries_max = Some(infrastructure_retries_max);
        self
    }

    /// The base of the pause before a retry.
    pub fn backoff_seconds(mut self, backoff_seconds: i64) -> Self {
        self.request.backoff_seconds = Some(backoff_seconds);
        self
    }

    /// How long a claim by id holds.
    pub fn claim_timeout_seconds(mut self, claim_timeout_seconds: i64) -> Self {
        self.request.claim_timeout_seconds = Some(claim_timeout_seconds);
        self
    }

    /// Higher is claimed first.
    pub fn priority(mut self, priority: i64) -> Self {
        self.request.priority = Some(priority);
        self
    }

    /// The longest that one attempt may run.
    pub fn deadline_seconds(mut self, deadline_seconds: i64) -> Self {
        self.request.deadline_seconds = Some(deadline_seconds);
        self
    }

    /// The latest time at which it may still start.
    pub fn start_by(mut self, time: Timestamp) -> Self {
        self.request.start_by = Some(Time::from_micros(time.as_micros()));
        self
    }

    /// How soon after it was accepted it must start.
    pub fn start_by_seconds(mut self, seconds: i64) -> Self {
        self.request.start_by_seconds = Some(seconds);
        self
    }

    /// The earliest time at which it may start.
    pub fn run_at(mut self, time: Timestamp) -> Self {
        self.request.run_at = Some(Time::from_micros(time.as_micros()));
        self
    }

    /// Never run twice, even when an attempt was lost.
    pub fn at_most_once(mut self) -> Self {
        self.request.delivery = Some(Delivery::AtMostOnce);
        self
    }

    /// Which failures may be retried.
    pub fn retry_on(mut self, classes: impl IntoIterator<Item = FailureClass>) -> Self {
        self.request.retry_on = Some(classes.into_iter().collect());
        self
    }

    /// With this fact.
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.request
            .metadata
            .get_or_insert_default()
            .insert(key.to_owned(), value.to_owned());
        self
    }

    /// The body of the request.
    #[must_use]
    pub fn request(self) -> CreateWorkOrder {
        self.request
    }

    /// Submits it.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn create(self) -> WorkOrder {
        self.try_create()
            .await
            .expect("the work order is accepted")
            .work_order
    }

    /// Submits it, and is refused perhaps.
    ///
    /// # Errors
    /// The broker's refusal.
    pub async fn try_create(self) -> Result<Created, ClientError> {
        self.client.create_work_order(&self.request, None).await
    }

    /// Submits it under an idempotency key.
    ///
    /// # Errors
    /// The broker's refusal.
    pub async fn try_create_with_key(self, idempotency_key: &str) -> Result<Created, ClientError> {
        self.client
            .create_work_order(&self.request, Some(idempotency_key))
            .await
    }

    fn targeting(&mut self) -> &mut TargetingRequest {
        self.request.targeting.get_or_insert_default()
    }
}
