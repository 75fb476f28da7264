//! Work orders, log entries and attempts as rows.

use brokkr_api::{Attempt, AttemptEnding, Ending, Targeting, WorkOrder, WorkOrderLog, WorkOrderStatus};

use super::colour::Tone;
use super::{Around, Cell, Column, Row, age};

/// The tone of a state.
pub(crate) fn status_tone(status: WorkOrderStatus) -> Tone {
    match status {
        WorkOrderStatus::Completed => Tone::Good,
        WorkOrderStatus::Failed | WorkOrderStatus::Lost | WorkOrderStatus::Expired => Tone::Bad,
        WorkOrderStatus::Claimed | WorkOrderStatus::RetryPending => Tone::Busy,
        WorkOrderStatus::Cancelled => Tone::Quiet,
        WorkOrderStatus::Pending | WorkOrderStatus::Scheduled => Tone::Plain,
    }
}

/// The tone of an ending.
pub(crate) fn ending_tone(ending: Ending) -> Tone {
    match ending {
        Ending::Succeeded => Tone::Good,
        Ending::Failed | Ending::Lost | Ending::Expired => Tone::Bad,
        Ending::Cancelled => Tone::Quiet,
    }
}

/// Whom an order is meant for, in the words of `brokkr submit`.
pub(crate) fn targets(targeting: &Targeting, around: &Around) -> String {
    let agents = targeting
        .agent_ids
        .iter()
        .map(|id| format!("agent {}", around.agent(Some(*id))));
    let labels = targeting.labels.iter().map(|label| format!("label {label}"));
    let annotations = targeting
        .annotations
        .iter()
        .map(|(key, value)| format!("annotation {key}={value}"));
    agents
        .chain(labels)
        .chain(annotations)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Row for WorkOrder {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID"),
        Column::new("TYPE"),
        Column::new("STATUS"),
        Column::new("ATTEMPT"),
        Column::new("AGENT"),
        Column::new("AGE"),
        Column::wide("RETRIES"),
        Column::wide("LOST"),
        Column::wide("PRIORITY"),
        Column::wide("TARGETS").of_text(),
        Column::wide("NEXT"),
        Column::wide("LAST ERROR").of_text(),
    ];

    fn name(&self) -> String {
        format!("order/{}", self.id)
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        let status = match self.cancel_requested_at {
            Some(_) if !self.status.ended() => "CANCELLING",
            _ => self.status.as_str(),
        };
        let next = self
            .next_retry_after
            .or(self.run_at.filter(|_| self.status == WorkOrderStatus::Scheduled));
        vec![
            self.id.into(),
            self.work_type.as_str().into(),
            Cell::toned(status, status_tone(self.status)),
            self.attempt.into(),
            around.agent(self.claimed_by).into(),
            age::since(self.created_at, around.now).into(),
            format!("{}/{}", self.retry_count + self.lost_count, self.max_retries).into(),
            self.lost_count.into(),
            self.priority.into(),
            targets(&self.targeting, around).into(),
            next.map_or_else(String::new, |time| age::relative(time, around.now))
                .into(),
            self.last_error.as_deref().unwrap_or_default().into(),
        ]
    }
}

impl Row for WorkOrderLog {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID"),
        Column::new("TYPE"),
        Column::new("ENDING"),
        Column::new("ATTEMPT"),
        Column::new("AGENT"),
        Column::new("TOOK"),
        Column::new("ENDED"),
        Column::wide("LOST"),
        Column::wide("EXIT"),
        Column::wide("CLASS"),
        Column::wide("MESSAGE").of_text(),
    ];

    fn name(&self) -> String {
        format!("order/{}", self.id)
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        vec![
            self.id.into(),
            self.work_type.as_str().into(),
            Cell::toned(self.ending.as_str(), ending_tone(self.ending)),
            self.attempt.into(),
            around.agent(self.claimed_by).into(),
            self.claimed_at
                .map_or_else(String::new, |start| age::between(start, self.completed_at))
                .into(),
            age::relative(self.completed_at, around.now).into(),
            self.lost_count.into(),
            self.exit_code
                .map_or_else(String::new, |code| code.to_string())
                .into(),
            self.class
                .map_or_else(String::new, |class| class.to_string())
                .into(),
            self.result_message.as_deref().unwrap_or_default().into(),
        ]
    }
}

impl Row for Attempt {
    const COLUMNS: &'static [Column] = &[
        Column::new("ATTEMPT"),
        Column::new("AGENT"),
        Column::new("STARTED"),
        Column::new("TOOK"),
        Column::new("ENDING"),
        Column::new("EXIT"),
        Column::wide("CLASS"),
        Column::wide("MESSAGE").of_text(),
    ];

    fn name(&self) -> String {
        self.attempt.to_string()
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        let ending = match self.ending {
            Some(ending) => Cell::toned(ending.as_str(), attempt_tone(ending)),
            None => Cell::toned("running", Tone::Busy),
        };
        vec![
            self.attempt.into(),
            around.agent(Some(self.agent_id)).into(),
            age::relative(self.claimed_at, around.now).into(),
            age::between(self.claimed_at, self.ended_at.unwrap_or(around.now)).into(),
            ending,
            self.exit_code
                .map_or_else(String::new, |code| code.to_string())
                .into(),
            self.class
                .map_or_else(String::new, |class| class.to_string())
                .into(),
            self.message.as_deref().unwrap_or_default().into(),
        ]
    }
}

fn attempt_tone(ending: AttemptEnding) -> Tone {
    match ending {
        AttemptEnding::Succeeded => Tone::Good,
        AttemptEnding::Failed | AttemptEnding::Lost => Tone::Bad,
        AttemptEnding::Cancelled | AttemptEnding::Released => Tone::Quiet,
    }
}
