//! Orders of the queue and of the log, as a list.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use brokkr_api::WorkOrder;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::names::WorkType;
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::page::{Shell, Trouble, page, url_encoded};
use super::session::ConsoleReader;
use super::when::When;
use crate::app::App;
use crate::app::log::{LogEntry, LogFilter, LogPosition};
use crate::app::work_orders::{self, ListFilter, QueueStatus};

const PAGE: u32 = 100;

/// What the list can be narrowed to: the word in the address, and what people read.
pub(super) const STATES: [(&str, &str); 7] = [
    ("", "In the queue"),
    ("PENDING", "Waiting"),
    ("CLAIMED", "Running"),
    ("RETRY_PENDING", "Waiting for a retry"),
    ("SCHEDULED", "Scheduled"),
    ("ENDED", "Ended"),
    ("FAILED", "Ended without success"),
];

/// An order in a list.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) work_type: String,
    pub(super) attempt: i64,
    pub(super) whom: String,
    pub(super) submitted_by: String,
    pub(super) changed: When,
}

impl Row {
    pub(super) fn new(order: WorkOrder, now: Timestamp) -> Row {
        Row {
            id: order.id.to_string(),
            state: order.status.as_str(),
            work_type: order.work_type,
            attempt: order.attempt,
            whom: whom(&order.targeting),
            submitted_by: order.submitted_by,
            changed: When::new(order.updated_at, now),
        }
    }

    pub(super) fn ended(entry: LogEntry, now: Timestamp) -> Row {
        Row::new(work_orders::WorkOrder::Ended(Box::new(entry)).into(), now)
    }

    /// Enough of the id to tell it from those around it.
    pub(super) fn name(&self) -> &str {
        self.id.get(..13).unwrap_or(&self.id)
    }
}

/// For whom an order is, in one line.
pub(super) fn whom(targeting: &brokkr_api::Targeting) -> String {
    let annotations = targeting
        .annotations
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let agents = targeting.agent_ids.iter().map(|id| format!("agent {id}"));
    let terms: Vec<String> = targeting
        .labels
        .iter()
        .cloned()
        .chain(annotations)
        .chain(agents)
        .collect();
    terms.join(", ")
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default, rename = "type")]
    work_type: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "orders.html")]
struct Orders {
    shell: Shell,
    states: &'static [(&'static str, &'static str)],
    state: String,
    work_type: String,
    rows: Vec<Row>,
    next: Option<String>,
    unknown: Option<&'static str>,
}

/// Lists a page of orders, newest first. What is asked for and does not exist is said, and the whole queue shown.
pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let mut unknown = None;
    let work_type = match asked.work_type.as_str() {
        "" => None,
        text => WorkType::parse(text)
            .map_err(|_| unknown = Some("There can be no such type of work."))
            .ok(),
    };
    let status = match asked.state.as_str() {
        "PENDING" => Some(QueueStatus::Pending),
        "CLAIMED" => Some(QueueStatus::Claimed),
        "RETRY_PENDING" => Some(QueueStatus::RetryPending),
        "SCHEDULED" => Some(QueueStatus::Scheduled),
        _ => None,
    };
    let success = (asked.state == "FAILED").then_some(false);
    let is_log = matches!(asked.state.as_str(), "ENDED" | "FAILED");
    if !STATES.iter().any(|(word, _)| *word == asked.state) {
        unknown = Some("There is no such state.");
    }
    let now = app.now();
    let (rows, last) = match is_log {
        true => {
            let filter = LogFilter {
                work_type,
                success,
                ..LogFilter::default()
            };
            let entries = app.list_log(&filter, position(&asked.after), PAGE + 1).await?;
            let last = entries
                .get(PAGE as usize - 1)
                .map(|entry| format!("{}.{}", entry.completed_at.as_micros(), entry.id));
            let rows = entries.into_iter().map(|entry| Row::ended(entry, now));
            (rows.collect::<Vec<_>>(), last)
        }
        false => {
            let filter = ListFilter { status, work_type };
            let before: Option<WorkOrderId> = asked.after.parse().ok();
            let orders = app.list_work_orders(&filter, before, PAGE + 1).await?;
            let last = orders.get(PAGE as usize - 1).map(|order| order.id().to_string());
            let rows = orders.into_iter().map(|order| Row::new(order.into(), now));
            (rows.collect::<Vec<_>>(), last)
        }
    };
    let is_more = rows.len() > PAGE as usize;
    let next = last.filter(|_| is_more).map(|last| {
        let (state, of_type) = (url_encoded(&asked.state), url_encoded(&asked.work_type));
        format!(
            "/orders?state={state}&type={of_type}&after={}",
            url_encoded(&last)
        )
    });
    page(&Orders {
        shell: Shell::new(&session, "orders"),
        states: &STATES,
        state: asked.state,
        work_type: asked.work_type,
        rows: rows.into_iter().take(PAGE as usize).collect(),
        next,
        unknown,
    })
}

fn position(text: &str) -> Option<LogPosition> {
    let (micros, id) = text.split_once('.')?;
    Some(LogPosition {
        completed_at: Timestamp::from_micros(micros.parse().ok()?),
        id: id.parse().ok()?,
    })
}
