//! What agents say of themselves, on the wire.

use brokkr_api::{AgentReport as WireReport, HoldsBack as WireHoldsBack, WorkTypeReport as WireWorkType};
use brokkr_core::names::WorkType;
use brokkr_core::report::{AgentReport, HoldsBack, WorkTypeReport};
use brokkr_core::time::Timestamp;
use serde_json::json;

use super::on_wire::OnWire;
use super::problem::{Code, Problem};

const SLOTS_MAX: u32 = 100_000;
const WORK_TYPES_MAX: usize = 100;
const VERSION_CHARACTERS_MAX: usize = 64;
const UNAVAILABLE_CHARACTERS_MAX: usize = 256;

impl OnWire for HoldsBack {
    type Form = WireHoldsBack;

    fn on_wire(self) -> WireHoldsBack {
        match self {
            Self::WindowClosed => WireHoldsBack::WindowClosed,
            Self::Draining => WireHoldsBack::Draining,
        }
    }
}

impl OnWire for AgentReport {
    type Form = WireReport;

    fn on_wire(self) -> WireReport {
        let work_types = self.work_types.into_iter().map(|report| WireWorkType {
            work_type: report.work_type.into_string(),
            slots: report.slots.map(i64::from),
            unavailable: report.unavailable,
        });
        WireReport {
            slots: self.slots.into(),
            running: self.running.into(),
            work_types: work_types.collect(),
            version: self.version,
            window_opens_at: self.window_opens_at.on_wire(),
            holds_back: self.holds_back.on_wire(),
        }
    }
}

/// Checks what an agent says of itself.
pub(super) fn agent_report(report: WireReport) -> Result<AgentReport, Problem> {
    if report.work_types.len() > WORK_TYPES_MAX {
        let found = report.work_types.len();
        let rule = format!("must have at most {WORK_TYPES_MAX} entries, not {found}");
        return Err(invalid("report.work_types", &rule));
    }
    let window_opens_at = report.window_opens_at.map(|time| time.as_micros());
    if window_opens_at.is_some_and(|micros| micros < 0) {
        return Err(invalid("report.window_opens_at", "must not be before 1970"));
    }
    Ok(AgentReport {
        slots: slots("report.slots", report.slots)?,
        running: slots("report.running", report.running)?,
        work_types: report
            .work_types
            .into_iter()
            .map(work_type)
            .collect::<Result<_, _>>()?,
        version: printable("report.version", report.version, VERSION_CHARACTERS_MAX)?,
        window_opens_at: window_opens_at.map(Timestamp::from_micros),
        holds_back: report.holds_back.map(holds_back),
    })
}

fn work_type(report: WireWorkType) -> Result<WorkTypeReport, Problem> {
    let unavailable = |text| printable("report.work_types.unavailable", text, UNAVAILABLE_CHARACTERS_MAX);
    Ok(WorkTypeReport {
        work_type: WorkType::parse(report.work_type)
            .map_err(|error| Problem::invalid_name(Code::InvalidRenewal, &error))?,
        slots: report
            .slots
            .map(|found| slots("report.work_types.slots", found))
            .transpose()?,
        unavailable: report.unavailable.map(unavailable).transpose()?,
    })
}

const fn holds_back(cause: WireHoldsBack) -> HoldsBack {
    match cause {
        WireHoldsBack::WindowClosed => HoldsBack::WindowClosed,
        WireHoldsBack::Draining => HoldsBack::Draining,
    }
}

fn slots(field: &'static str, found: i64) -> Result<u32, Problem> {
    let slots = u32::try_from(found).ok().filter(|slots| *slots <= SLOTS_MAX);
    slots.ok_or_else(|| invalid(field, &format!("must be between 0 and {SLOTS_MAX}, not {found}")))
}

fn printable(field: &'static str, text: String, characters_max: usize) -> Result<String, Problem> {
    if text.chars().count() <= characters_max && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let rule = format!("must have at most {characters_max} printable characters");
    Err(invalid(field, &rule))
}

fn invalid(field: &'static str, rule: &str) -> Problem {
    Problem::new(Code::InvalidRenewal, format!("{field} {rule}.")).with_details(json!({"field": field}))
}
