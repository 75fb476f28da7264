//! Orders of the queue and of the log, as a list.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use brokkr_api::WorkOrder;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::order_filter::{AgentChoice, Narrowed, OrderFilter, STATES, agents};
use super::page::{Shell, Trouble, page};
use super::session::ConsoleReader;
use super::when::When;
use crate::app::App;
use crate::app::log::{LogEntry, LogFilter, LogPosition};
use crate::app::work_orders::{self, ListFilter};

const PAGE: u32 = 100;
const AGENTS_OFFERED: u32 = 200;

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

/// Where a page of the list begins. What the list is narrowed to stands beside it.
#[derive(Deserialize)]
pub(super) struct Place {
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "orders.html")]
struct Orders {
    shell: Shell,
    states: &'static [(&'static str, &'static str)],
    agents: Vec<AgentChoice>,
    filter: OrderFilter,
    rows: Vec<Row>,
    next: Option<String>,
    /// Whether orders may be found on later pages although there are few here.
    sifted: bool,
    unknown: Option<&'static str>,
}

/// A page of rows, and where the next one begins.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    next: Option<String>,
    sifted: bool,
}

/// Lists a page of orders, newest first. What is asked for and cannot be is said.
pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(filter): Query<OrderFilter>,
    Query(place): Query<Place>,
) -> Result<Response, Trouble> {
    let (found, unknown) = match filter.narrowed() {
        Ok(Narrowed::Queue(narrowed)) => (of_queue(&app, narrowed, &place).await?, None),
        Ok(Narrowed::Log(narrowed)) => (of_log(&app, narrowed, &place).await?, None),
        Err(unknown) => (Found::default(), Some(unknown)),
    };
    page(&Orders {
        shell: Shell::new(&session, "orders"),
        states: &STATES,
        agents: agents(&app, &session.caller, filter.agent.trim(), AGENTS_OFFERED).await?,
        rows: found.rows,
        next: found.next.map(|after| filter.address(&[("after", &after)])),
        sifted: found.sifted,
        filter,
        unknown,
    })
}

async fn of_queue(app: &App, filter: ListFilter, place: &Place) -> Result<Found, Trouble> {
    let (now, before) = (app.now(), place.after.parse::<WorkOrderId>().ok());
    let mut found = app.find_work_orders(filter, before, PAGE + 1).await?;
    let more = cut(&mut found.rows);
    let last = found.rows.last().map(|order| order.id()).filter(|_| more);
    Ok(Found {
        next: last.or(found.looked_until).map(|id| id.to_string()),
        sifted: found.looked_until.is_some(),
        rows: found
            .rows
            .into_iter()
            .map(|order| Row::new(order.into(), now))
            .collect(),
    })
}

async fn of_log(app: &App, filter: LogFilter, place: &Place) -> Result<Found, Trouble> {
    let now = app.now();
    let mut found = app.find_in_log(filter, position(&place.after), PAGE + 1).await?;
    let more = cut(&mut found.rows);
    let last = found.rows.last().filter(|_| more).map(LogEntry::position);
    Ok(Found {
        next: last
            .or(found.looked_until)
            .map(|at| format!("{}.{}", at.completed_at.as_micros(), at.id)),
        sifted: found.looked_until.is_some(),
        rows: found
            .rows
            .into_iter()
            .map(|entry| Row::ended(entry, now))
            .collect(),
    })
}

/// Leaves a page, and answers whether there was more.
fn cut<T>(rows: &mut Vec<T>) -> bool {
    let more = rows.len() > PAGE as usize;
    rows.truncate(PAGE as usize);
    more
}

fn position(text: &str) -> Option<LogPosition> {
    let (micros, id) = text.split_once('.')?;
    Some(LogPosition {
        completed_at: Timestamp::from_micros(micros.parse().ok()?),
        id: id.parse().ok()?,
    })
}
