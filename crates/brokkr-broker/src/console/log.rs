//! The log: orders that ended, and how.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use brokkr_api::WorkOrderLog;
use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;

use super::listed::{FETCHED, Listed, name_of};
use super::log_filter::Asked;
use super::page::{Shell, Trouble, page};
use super::session::ConsoleReader;
use super::when::{When, span};
use crate::app::App;
use crate::app::log::LogEntry;
use crate::app::work_orders::Found;

const MICROS: i64 = 1_000_000;

struct Row {
    id: String,
    ending: &'static str,
    work_type: String,
    agent: Option<String>,
    attempt: i64,
    /// How many attempts were lost, if any was.
    lost: Option<i64>,
    /// From the claim to the end.
    took: String,
    submitted_by: String,
    ended: When,
    exit_code: String,
    /// The class of a failure and what was said of it.
    cause: String,
}

impl Row {
    fn new(entry: LogEntry, now: Timestamp) -> Row {
        let submitted_by = entry.submitted_by.clone();
        let lost = i64::from(entry.lost_count) + i64::from(entry.ending == Ending::Lost);
        let entry = WorkOrderLog::from(entry);
        let class = entry.class.map(|class| class.to_string());
        let cause: Vec<String> = [class, entry.result_message].into_iter().flatten().collect();
        Row {
            id: entry.id.to_string(),
            ending: entry.ending.as_str(),
            work_type: entry.work_type,
            agent: entry.claimed_by.map(|agent| agent.to_string()),
            attempt: entry.attempt,
            lost: Some(lost).filter(|lost| *lost > 0),
            took: entry.claimed_at.map_or_else(String::new, |claimed_at| {
                span((entry.completed_at.as_micros() - claimed_at.as_micros()) / MICROS)
            }),
            submitted_by,
            exit_code: entry.exit_code.map_or_else(String::new, |code| code.to_string()),
            ended: When::new(entry.completed_at, now),
            cause: cause.join(": "),
        }
    }

    fn name(&self) -> &str {
        name_of(&self.id)
    }
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    shell: Shell,
    endings: [Ending; Ending::ALL.len()],
    query: String,
    asked: Asked,
    refusal: Option<String>,
    /// Whether entries may be found on later pages although there are few here.
    sifted: bool,
    entries: Listed<Row>,
}

/// Lists a page of the log, the latest ending first. What cannot be understood is said, and nothing is listed then.
pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let (status, refusal, found) = match asked.part() {
        Ok(part) => {
            let found = app.find_in_log(part.filter, part.after, FETCHED).await?;
            (StatusCode::OK, None, found)
        }
        Err(sentence) => (StatusCode::BAD_REQUEST, Some(sentence), Found::default()),
    };
    let now = app.now();
    let sifted = found.looked_until.is_some();
    let mut entries = Listed::new(found.rows, |last| asked.page_after(last.position()));
    entries.next = entries.next.or(found.looked_until.map(|at| asked.page_after(at)));
    let page = page(&LogPage {
        shell: Shell::new(&session, "log"),
        endings: Ending::ALL,
        query: asked.query(),
        refusal,
        sifted,
        entries: entries.map(|entry| Row::new(entry, now)),
        asked,
    })?;
    Ok((status, page).into_response())
}
