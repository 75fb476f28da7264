//! From the text of an order to a plan that the cluster would accept.

use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::document::Order;
use super::ending;
use super::plan::{Act, Plan, Setting, Step};
use super::send::owner;
use crate::attempt::{AttemptId, Claim};
use crate::execute::Outcome;
use crate::execute::run::{Runs, not_alone, refused};
use crate::kube::{ApiFailure, ApplyError, CreateError, Kind};

/// How long to wait before the cluster is asked again on behalf of what runs in it.
const AGAIN: Duration = Duration::from_secs(1);

/// Plans an attempt of which nothing has been sent. Every object is tried without being sent, as far as that is possible.
///
/// # Errors
/// The outcome of the attempt when it cannot be begun.
pub(super) async fn plan_new(runs: &Runs, claim: &Claim, id: AttemptId) -> Result<Plan, Outcome> {
    runs.permits().map_err(refused)?;
    let order = Order::parse(&claim.document).map_err(refused)?;
    let kinds = kinds_of(runs, &order)
        .await
        .map_err(|failure| ending::of_api(&failure, None))?;
    let plan = plan(runs, claim, id, order, &kinds)?;
    let alone = runs.until_alone(id, &plan.run_namespaces()).await;
    alone.map_err(|error| not_alone(&error))?;
    for step in plan.steps.iter().filter(|step| !step.depends_on_earlier) {
        try_out(runs, &plan, step, claim, id).await?;
    }
    Ok(plan)
}

/// Plans an attempt of which something may be in the cluster. As long as the API is away, what runs there is not given up.
///
/// # Errors
/// The outcome of the attempt when the order is not understood or allowed (any more).
pub(super) async fn plan_again(runs: &Runs, claim: &Claim, id: AttemptId) -> Result<Plan, Outcome> {
    runs.permits().map_err(refused)?;
    let order = Order::parse(&claim.document).map_err(refused)?;
    let kinds = loop {
        match kinds_of(runs, &order).await {
            Ok(kinds) => break kinds,
            Err(failure) if ending::may_pass(&failure) => sleep(AGAIN).await,
            Err(failure) => return Err(ending::of_api(&failure, None)),
        }
    };
    let plan = plan(runs, claim, id, order, &kinds)?;
    while let Err(error) = runs.until_alone(id, &plan.run_namespaces()).await {
        warn!(work_order.id = %id.order, %error, "other attempts at an order do not stop, trying again");
        sleep(AGAIN).await;
    }
    Ok(plan)
}

async fn kinds_of(runs: &Runs, order: &Order) -> Result<Vec<Option<Kind>>, ApiFailure> {
    let mut kinds = Vec::new();
    for document in &order.documents {
        kinds.push(runs.cluster.kind(&document.api_version, &document.kind).await?);
    }
    Ok(kinds)
}

fn plan(
    runs: &Runs,
    claim: &Claim,
    id: AttemptId,
    order: Order,
    kinds: &[Option<Kind>],
) -> Result<Plan, Outcome> {
    let setting = Setting {
        policy: &runs.policy,
        default_namespace: runs.cluster.default_namespace(),
        id,
        agent: claim.agent,
        deadline_seconds: claim.deadline_seconds,
    };
    Plan::of(order, kinds, &setting).map_err(refused)
}

/// What the API refuses now, it would refuse later, when a part of the order is already there.
async fn try_out(runs: &Runs, plan: &Plan, step: &Step, claim: &Claim, id: AttemptId) -> Result<(), Outcome> {
    let cluster = &runs.cluster;
    match step.act {
        Act::Create => {
            let owner = owner(step, id, claim.agent);
            let tried = cluster.check_create(&step.at, &step.object, &owner).await;
            tried.map(drop).map_err(|error| not_created(&error, step))
        }
        Act::Apply => {
            let tried = cluster
                .check_apply(&step.at, &step.object, plan.options.force)
                .await;
            tried.map(drop).map_err(|error| not_applied(&error, step))
        }
    }
}

pub(super) fn not_created(error: &CreateError, step: &Step) -> Outcome {
    match error {
        CreateError::Api(failure) => ending::of_api(failure, Some(step)),
        CreateError::Taken { .. } => refused(format!("{}: {error}", step.place_and_line())),
    }
}

pub(super) fn not_applied(error: &ApplyError, step: &Step) -> Outcome {
    match error {
        ApplyError::Api(failure) => ending::of_api(failure, Some(step)),
        ApplyError::Conflicts { .. } => refused(format!(
            "{}: {error}; an order takes them over with `force: true` in its Manifests document",
            step.place_and_line()
        )),
    }
}
