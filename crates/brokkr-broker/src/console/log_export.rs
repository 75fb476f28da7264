//! The log as a file, for other programs. It is read and sent a few orders at a time, however long it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use brokkr_api::WorkOrderLog;
use csv::{Terminator, WriterBuilder};
use serde::Serialize;
use tracing::error;

use super::log_filter::{Asked, Part};
use super::page::Trouble;
use super::session::{ConsoleReader, Session};
use crate::app::console_sessions::SessionToken;
use crate::app::log::LogEntry;
use crate::app::{App, DalError};
use crate::error_chain::chain;

/// How many orders are read at a time. Each may have a megabyte of YAML.
const READ: u32 = 50;
/// What spreadsheets take for the beginning of a formula, also in the wide letters of East Asian keyboards.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
const COLUMNS: [&str; 16] = [
    "id",
    "work_type",
    "ending",
    "class",
    "exit_code",
    "message",
    "attempt",
    "retries_attempted",
    "infrastructure_retries_attempted",
    "lost_count",
    "agent_id",
    "submitted_by",
    "created_at",
    "claimed_at",
    "completed_at",
    "retry_of",
];

/// Why an export ends before its end. The connection is closed then, so that nobody takes a part for the whole.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("its session is over")]
    SignedOut,
    #[error("could not read the log")]
    Storage(#[from] DalError),
    #[error("could not write an order as a row")]
    Row(#[from] csv::Error),
    #[error("could not write an order as JSON")]
    Json(#[from] serde_json::Error),
    #[error("could not write what is sent")]
    Write(#[from] io::Error),
}

/// Orders in one form of a file.
trait Form: Send + 'static {
    const NAME: &'static str;
    const CONTENT_TYPE: &'static str;

    /// What stands before the first order.
    fn begin(text: &mut Vec<u8>) -> Result<(), ExportError>;
    fn write(text: &mut Vec<u8>, entries: Vec<LogEntry>) -> Result<(), ExportError>;
}

struct Csv;
struct JsonLines;

/// An order that ended, as one line.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    entry: WorkOrderLog,
    submitted_by: String,
    metadata: BTreeMap<String, String>,
}

pub(super) async fn csv(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    export::<Csv>(app, session, &asked)
}

pub(super) async fn json_lines(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    export::<JsonLines>(app, session, &asked)
}

fn export<F: Form>(app: App, session: Session, asked: &Asked) -> Result<Response, Trouble> {
    let part = asked.part().map_err(|sentence| Trouble::bad(&sentence))?;
    let mut head = Vec::new();
    F::begin(&mut head).map_err(|error| Trouble::defect(&error))?;
    let pages = futures_util::stream::try_unfold(Some((head, part)), move |left| {
        let (app, token) = (app.clone(), session.token.clone());
        async move {
            let Some((text, part)) = left else { return Ok(None) };
            let read = next::<F>(&app, &token, text, part).await;
            read.map(Some)
                .inspect_err(|error| error!(error = %chain(error), "an export ended before its end"))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, F::CONTENT_TYPE.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", F::NAME),
        ),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// The text of the next few orders, after `text`, and what is left after them.
async fn next<F: Form>(
    app: &App,
    token: &SessionToken,
    mut text: Vec<u8>,
    part: Part,
) -> Result<(Vec<u8>, Option<(Vec<u8>, Part)>), ExportError> {
    if app.session(token).await?.is_none() {
        return Err(ExportError::SignedOut);
    }
    let found = app.find_in_log(part.filter.clone(), part.after, READ).await?;
    let is_more = found.rows.len() >= READ as usize;
    let last = found.rows.last().filter(|_| is_more).map(LogEntry::position);
    F::write(&mut text, found.rows)?;
    let left = last.or(found.looked_until).map(|last| {
        let part = Part {
            after: Some(last),
            ..part
        };
        (Vec::new(), part)
    });
    Ok((text, left))
}

impl Form for Csv {
    const NAME: &'static str = "work-order-log.csv";
    const CONTENT_TYPE: &'static str = "text/csv; charset=utf-8; header=present";

    fn begin(text: &mut Vec<u8>) -> Result<(), ExportError> {
        let mut writer = rows(text);
        writer.write_record(COLUMNS)?;
        Ok(writer.flush()?)
    }

    fn write(text: &mut Vec<u8>, entries: Vec<LogEntry>) -> Result<(), ExportError> {
        let mut writer = rows(text);
        for entry in entries {
            writer.write_record(record(entry))?;
        }
        Ok(writer.flush()?)
    }
}

impl Form for JsonLines {
    const NAME: &'static str = "work-order-log.jsonl";
    const CONTENT_TYPE: &'static str = "application/x-ndjson";

    fn begin(_: &mut Vec<u8>) -> Result<(), ExportError> {
        Ok(())
    }

    fn write(text: &mut Vec<u8>, entries: Vec<LogEntry>) -> Result<(), ExportError> {
        for entry in entries {
            let line = Line {
                submitted_by: entry.submitted_by.clone(),
                metadata: entry.metadata.clone(),
                entry: entry.into(),
            };
            serde_json::to_writer(&mut *text, &line)?;
            text.push(b'\n');
        }
        Ok(())
    }
}

/// As RFC 4180 has it.
fn rows(text: &mut Vec<u8>) -> csv::Writer<&mut Vec<u8>> {
    WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(text)
}

/// The fields of [`COLUMNS`]. What strangers wrote begins no formula; what the broker wrote, such as a number below zero, stays.
fn record(entry: LogEntry) -> [String; COLUMNS.len()] {
    let submitted_by = harmless(&entry.submitted_by).into_owned();
    let entry = WorkOrderLog::from(entry);
    let text = |text: Option<&str>| harmless(text.unwrap_or_default()).into_owned();
    let some = |text: Option<String>| text.unwrap_or_default();
    [
        entry.id.to_string(),
        text(Some(&entry.work_type)),
        entry.ending.to_string(),
        some(entry.class.map(|class| class.to_string())),
        some(entry.exit_code.map(|code| code.to_string())),
        text(entry.result_message.as_deref()),
        entry.attempt.to_string(),
        entry.retries_attempted.to_string(),
        entry.infrastructure_retries_attempted.to_string(),
        entry.lost_count.to_string(),
        some(entry.claimed_by.map(|agent| agent.to_string())),
        submitted_by,
        entry.created_at.to_string(),
        some(entry.claimed_at.map(|at| at.to_string())),
        entry.completed_at.to_string(),
        some(entry.retry_of.map(|order| order.to_string())),
    ]
}

/// The text as a spreadsheet shows it and does not calculate it: with `'` before what could begin a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_formula = text.trim_start().starts_with(FORMULA);
    if is_formula || text.starts_with(char::is_control) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn no_text_begins_a_formula() {
        for text in [
            "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "\u{0}=1",
        ] {
            assert_eq!(harmless(text), format!("'{text}"), "{text:?}");
        }
        for text in ["", "a=1", "'=1", "exit 1", "–"] {
            assert_eq!(harmless(text), text);
        }
    }
}
