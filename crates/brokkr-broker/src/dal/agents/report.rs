//! What an agent says of itself, as columns.

use std::str::FromStr;

use brokkr_core::names::WorkType;
use brokkr_core::report::{AgentReport, HoldsBack, WorkTypeReport};
use brokkr_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dal::{BoxError, DalError, Row, Value, params};

/// One type of work. JSON, because no statement looks into it.
#[derive(Serialize, Deserialize)]
struct Stored {
    work_type: String,
    slots: Option<u32>,
    unavailable: Option<String>,
}

/// The columns of a report in the order of the statement that writes them.
pub(super) fn values(report: Option<&AgentReport>) -> Vec<Value> {
    params![
        report.map(|report| i64::from(report.slots)),
        report.map(|report| i64::from(report.running)),
        report.map(|report| write_work_types(&report.work_types)),
        report.map(|report| report.version.clone()),
        report.and_then(|report| report.window_opens_at),
        report.and_then(|report| report.holds_back).map(HoldsBack::as_str)
    ]
}

/// The report of an agent, and when it came.
pub(super) fn read(row: &Row) -> Result<Option<(AgentReport, Timestamp)>, DalError> {
    let Some(reported_at) = row.get("reported_at")? else {
        return Ok(None);
    };
    let report = AgentReport {
        slots: row.get("slots")?,
        running: row.get("running")?,
        work_types: row.get_with("work_types", |text: String| read_work_types(&text))?,
        version: row.get("version")?,
        window_opens_at: row.get("window_opens_at")?,
        holds_back: row.get_with("holds_back", |word: Option<String>| {
            word.as_deref().map(HoldsBack::from_str).transpose()
        })?,
    };
    Ok(Some((report, reported_at)))
}

fn write_work_types(work_types: &[WorkTypeReport]) -> String {
    let stored: Vec<_> = work_types
        .iter()
        .map(|report| Stored {
            work_type: report.work_type.to_string(),
            slots: report.slots,
            unavailable: report.unavailable.clone(),
        })
        .collect();
    // Texts and numbers always serialise.
    serde_json::to_string(&stored).unwrap_or_default()
}

fn read_work_types(text: &str) -> Result<Vec<WorkTypeReport>, BoxError> {
    let stored: Vec<Stored> = serde_json::from_str(text)?;
    stored
        .into_iter()
        .map(|stored| {
            Ok(WorkTypeReport {
                work_type: WorkType::parse(stored.work_type)?,
                slots: stored.slots,
                unavailable: stored.unavailable,
            })
        })
        .collect()
}
