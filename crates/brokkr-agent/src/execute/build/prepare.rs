//! From the text of an order to the objects of a build.

use std::collections::BTreeSet;
use std::time::Duration;

use ::kube::api::DynamicObject;
use brokkr_api::FailureClass;
use serde_json::Value;
use tokio::time::sleep;

use crate::attempt::{AttemptId, Claim};
use crate::execute::Outcome;
use crate::execute::build::document::{BuildOrder, SHIPWRIGHT, Source};
use crate::execute::build::kind::BuildRuns;
use crate::execute::manifests::document::Order;
use crate::execute::run::{RunKind as _, Runs, of_api, refused};
use crate::kube::labels::Owner;
use crate::kube::names::run_name;
use crate::kube::{Kind, ObjectRef};

/// How long to wait before the cluster is asked again on behalf of what runs in it.
const AGAIN: Duration = Duration::from_secs(1);

/// A build that may be run.
pub(super) struct BuildPlan {
    pub(super) order: BuildOrder,
    /// Where the `Build` is, or is applied to.
    pub(super) build_at: ObjectRef,
    /// The `Build` to apply.
    pub(super) build: Option<DynamicObject>,
    /// Where the run of the attempt is.
    pub(super) run_at: ObjectRef,
    /// Whose it is.
    pub(super) owner: Owner,
}

/// Plans an attempt; `id` names the run, which may be that of an earlier attempt.
///
/// # Errors
/// The outcome of the attempt when it is not understood, not allowed, or the cluster cannot build.
pub(super) async fn plan(runs: &Runs, claim: &Claim, id: AttemptId) -> Result<BuildPlan, Outcome> {
    runs.permits().map_err(refused)?;
    let order = read(&claim.document)?;
    let own_namespace = runs.cluster.default_namespace();
    let namespace = order
        .namespace
        .clone()
        .unwrap_or_else(|| own_namespace.to_owned());
    runs.policy
        .check_namespace(&namespace, own_namespace)
        .map_err(refused)?;
    if let Some(account) = &order.service_account {
        runs.policy
            .check_service_account("spec.serviceAccount", account)
            .map_err(refused)?;
    }
    let kind = build_kind(runs).await?;
    if let Some(source) = &order.build {
        runs.policy
            .check(&kind, Some(&namespace), &source.object, own_namespace)
            .map_err(refused)?;
    }
    let build = order.build.as_ref().map(object).transpose()?;
    let place = |kind: Kind, name: String| ObjectRef {
        kind,
        namespace: Some(namespace.clone()),
        name,
    };
    let document = order.build.as_ref().map_or(1, |source| source.number);
    Ok(BuildPlan {
        build_at: place(kind, order.name.clone()),
        run_at: place(BuildRuns.kind(), run_name(&order.name, id)),
        build,
        order,
        owner: Owner {
            id,
            agent: claim.agent,
            document,
        },
    })
}

/// The namespaces that the run of a document goes to. What cannot be read has none.
pub(super) fn namespaces(runs: &Runs, document: &str) -> BTreeSet<String> {
    let order = read(document).ok();
    let namespace = order.map(|order| {
        order
            .namespace
            .unwrap_or_else(|| runs.cluster.default_namespace().to_owned())
    });
    namespace.into_iter().collect()
}

fn read(document: &str) -> Result<BuildOrder, Outcome> {
    let order = Order::parse(document).map_err(refused)?;
    let sources = order.documents.into_iter().map(|document| Source {
        number: document.place.number,
        line: document.place.line,
        object: document.object,
    });
    BuildOrder::of(sources.collect()).map_err(refused)
}

async fn build_kind(runs: &Runs) -> Result<Kind, Outcome> {
    loop {
        match runs.cluster.kind(SHIPWRIGHT, "Build").await {
            Ok(Some(kind)) => return Ok(kind),
            Ok(None) => return Err(refused(format!("the cluster has no Shipwright ({SHIPWRIGHT})"))),
            Err(failure) if failure.class() == FailureClass::Infrastructure => sleep(AGAIN).await,
            Err(failure) => return Err(of_api(&failure)),
        }
    }
}

fn object(source: &Source) -> Result<DynamicObject, Outcome> {
    serde_json::from_value(source.object.clone()).map_err(|error| {
        refused(format!(
            "document {} (line {}): it is no object: {error}",
            source.number, source.line
        ))
    })
}

/// The object of a value that this program has made.
pub(super) fn made(value: Value) -> DynamicObject {
    let metadata = serde_json::from_value(value["metadata"].clone()).unwrap_or_default();
    DynamicObject {
        types: None,
        metadata,
        data: serde_json::json!({ "spec": value["spec"] }),
    }
}
