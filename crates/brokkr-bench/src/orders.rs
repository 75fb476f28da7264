//! The orders that are created, written once.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::BenchError;
use crate::census::Census;
use crate::run::Progress;
use crate::target::Target;
use brokkr_client::api::paths;

/// The length of an order's YAML document, in bytes.
const YAML_BYTES: usize = 300;
/// The most that one call may create.
const FILL_BATCH: u64 = 1_000;
/// How many calls fill a queue at the same time.
const FILLERS: usize = 4;
/// How many labels share a backlog that is of no interest to the agents.
const OTHER_LABELS: u64 = 1_000;

/// The label of the agents that work.
pub(crate) const LABEL: &str = "bench";

/// For whom the waiting orders are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backlog {
    /// For the agents that work.
    SameLabel,
    /// For nobody, spread over many labels.
    OtherLabels,
}

impl Backlog {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backlog::SameLabel => "same label",
            Backlog::OtherLabels => "other labels",
        }
    }

    fn label(self, number: u64) -> String {
        match self {
            Backlog::SameLabel => LABEL.to_owned(),
            Backlog::OtherLabels => format!("other-{}", number % OTHER_LABELS),
        }
    }
}

fn yaml() -> String {
    const HEAD: &str = "apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  command: [echo, ";
    let filling = "x".repeat(YAML_BYTES - HEAD.len() - "]\n".len());
    format!("{HEAD}{filling}]\n")
}

fn order(label: &str) -> Value {
    json!({
        "work_type": "command",
        "yaml_content": yaml(),
        "targeting": { "labels": [label] },
    })
}

/// The body that creates one order.
pub(crate) fn one() -> Vec<u8> {
    order(LABEL).to_string().into_bytes()
}

/// The same, for an order that may be retried almost at once.
pub(crate) fn one_with_retries() -> Vec<u8> {
    let mut order = order(LABEL);
    order["backoff_seconds"] = json!(0);
    order.to_string().into_bytes()
}

/// The body that creates `count` orders.
pub(crate) fn many(count: u64) -> Vec<u8> {
    batch(Backlog::SameLabel, count)
}

fn batch(backlog: Backlog, count: u64) -> Vec<u8> {
    let orders: Vec<Value> = (0..count).map(|number| order(&backlog.label(number))).collect();
    json!({ "work_orders": orders }).to_string().into_bytes()
}

/// Creates `count` orders that wait, as fast as it goes.
pub(crate) async fn fill(
    target: &Target<'_>,
    backlog: Backlog,
    count: u64,
    progress: &Progress<'_>,
) -> Result<(), BenchError> {
    let before = target.census().await?;
    let full = batch(backlog, FILL_BATCH.min(count));
    let calls = count / FILL_BATCH;
    let budget = crate::recorder::Budget::new(calls);
    let fillers = (0..FILLERS).map(|number| {
        let (full, budget) = (&full, &budget);
        async move {
            let mut admin = target.admin(number);
            while let Some(call) = budget.take() {
                admin.post(paths::WORK_ORDERS_BATCH, full).await?.ok()?;
                progress.counted("orders that wait", (call + 1) * FILL_BATCH, count);
            }
            Ok(())
        }
    });
    let filled = futures_util::future::try_join_all(fillers).await;
    filled.map_err(|error| BenchError::Wire("create the orders that wait", error))?;
    rest(target, backlog, count % FILL_BATCH).await?;
    filled_up(before, target.census().await?, count)
}

async fn rest(target: &Target<'_>, backlog: Backlog, count: u64) -> Result<(), BenchError> {
    if count == 0 {
        return Ok(());
    }
    let mut admin = target.admin(0);
    let answer = admin.post(paths::WORK_ORDERS_BATCH, &batch(backlog, count)).await;
    answer
        .and_then(crate::wire::Answer::ok)
        .map_err(|error| BenchError::Wire("create the orders that wait", error))?;
    Ok(())
}

fn filled_up(before: Census, after: Census, count: u64) -> Result<(), BenchError> {
    let found = after.queue.saturating_sub(before.queue);
    if found == count {
        return Ok(());
    }
    Err(BenchError::Unprepared {
        what: "filling the queue",
        expected: count,
        found,
    })
}

/// The path of a call about one order.
pub(crate) fn path(template: &str, id: Uuid) -> String {
    paths::with_id(template, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_the_length_that_the_report_tells() {
        assert_eq!(yaml().len(), YAML_BYTES);
    }

    #[test]
    fn a_batch_of_others_names_nobody_who_works() {
        let body = batch(Backlog::OtherLabels, 3);
        let text = String::from_utf8(body).expect("it is JSON");
        assert!(text.contains("other-2") && !text.contains("\"bench\""), "{text}");
    }
}
