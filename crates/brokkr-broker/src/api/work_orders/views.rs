//! Work orders and log entries as they are answered.

use brokkr_api::{
    Delivery as WireDelivery, Ending as WireEnding, FailureClass as WireClass, Targeting as WireTargeting,
    WorkOrder as WireOrder, WorkOrderLog, WorkOrderStatus,
};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Delivery, Ending, State};
use brokkr_core::limits::DeadlineSeconds;
use brokkr_core::retry::FailureClass;
use brokkr_core::routing::Targeting;
use serde_json::Value;

use crate::api::on_wire::OnWire;
use crate::app::log::LogEntry;
use crate::app::work_orders::{QueuedOrder, WorkOrder};

impl OnWire for Delivery {
    type Form = WireDelivery;

    fn on_wire(self) -> WireDelivery {
        match self {
            Self::AtLeastOnce => WireDelivery::AtLeastOnce,
            Self::AtMostOnce => WireDelivery::AtMostOnce,
        }
    }
}

impl OnWire for Ending {
    type Form = WireEnding;

    fn on_wire(self) -> WireEnding {
        match self {
            Self::Succeeded => WireEnding::Succeeded,
            Self::Failed => WireEnding::Failed,
            Self::Cancelled => WireEnding::Cancelled,
            Self::Lost => WireEnding::Lost,
            Self::Expired => WireEnding::Expired,
        }
    }
}

impl OnWire for FailureClass {
    type Form = WireClass;

    fn on_wire(self) -> WireClass {
        match self {
            Self::Infrastructure => WireClass::Infrastructure,
            Self::Work => WireClass::Work,
            Self::Refused => WireClass::Refused,
            Self::Deadline => WireClass::Deadline,
            Self::Cancelled => WireClass::Cancelled,
        }
    }
}

impl OnWire for Targeting {
    type Form = WireTargeting;

    fn on_wire(self) -> WireTargeting {
        let annotations = self.annotations().iter();
        WireTargeting {
            agent_ids: self.agents().iter().map(|agent| agent.as_uuid()).collect(),
            labels: self.labels().iter().map(ToString::to_string).collect(),
            annotations: annotations
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
        }
    }
}

fn status(state: State) -> WorkOrderStatus {
    match state {
        State::Scheduled { .. } => WorkOrderStatus::Scheduled,
        State::Claimed(_) => WorkOrderStatus::Claimed,
        State::RetryPending { .. } => WorkOrderStatus::RetryPending,
        // What was removed is not shown.
        State::Pending | State::Deleted => WorkOrderStatus::Pending,
        State::Ended(Ending::Succeeded) => WorkOrderStatus::Completed,
        State::Ended(Ending::Failed) => WorkOrderStatus::Failed,
        State::Ended(Ending::Cancelled) => WorkOrderStatus::Cancelled,
        State::Ended(Ending::Lost) => WorkOrderStatus::Lost,
        State::Ended(Ending::Expired) => WorkOrderStatus::Expired,
    }
}

impl From<QueuedOrder> for WireOrder {
    fn from(order: QueuedOrder) -> Self {
        let head = order.head;
        let life = head.life;
        let not_before = match life.state {
            State::RetryPending { not_before } => Some(not_before),
            _ => None,
        };
        let claim = head.claim;
        let (last_error, last_error_at) = head.last_error.map(|last| (last.message, last.at)).unzip();
        Self {
            id: head.id.as_uuid(),
            created_at: head.created_at.on_wire(),
            updated_at: head.updated_at.on_wire(),
            work_type: head.work_type.into_string(),
            yaml_content: order.yaml_content,
            status: status(life.state),
            claimed_by: claim.as_ref().map(|claim| claim.agent.as_uuid()),
            claimed_at: claim.as_ref().map(|claim| claim.claimed_at).on_wire(),
            claim_timeout_seconds: head.claim_timeout_seconds.get().into(),
            max_retries: life.policy.max_retries.into(),
            retry_count: life.retry_count.into(),
            backoff_seconds: life.policy.backoff_seconds.into(),
            next_retry_after: not_before.on_wire(),
            last_error,
            last_error_at: last_error_at.on_wire(),
            attempt: life.attempt.number(),
            lease_expires_at: claim.as_ref().map(|claim| claim.lease_expires_at).on_wire(),
            lost_count: life.lost_count.into(),
            cancel_requested_at: claim
                .and_then(|claim| claim.cancel)
                .map(|cancel| cancel.requested_at)
                .on_wire(),
            priority: head.priority.get().into(),
            deadline_seconds: head.deadline_seconds.map(DeadlineSeconds::get).map(i64::from),
            start_by: life.policy.start_by.on_wire(),
            run_at: head.run_at.on_wire(),
            delivery: life.policy.delivery.on_wire(),
            targeting: order.targeting.on_wire(),
            metadata: order.metadata,
            retry_of: head.retry_of.map(WorkOrderId::as_uuid),
            submitted_by: head.submitted_by,
            infrastructure_retries_max: life.policy.infrastructure_retries_max.into(),
            infrastructure_retry_count: life.infrastructure_retry_count.into(),
            backoff_jitter: life.policy.backoff_jitter,
        }
    }
}

impl From<LogEntry> for WireOrder {
    fn from(entry: LogEntry) -> Self {
        let (last_error, last_error_at) = entry.last_error.map(|last| (last.message, last.at)).unzip();
        Self {
            id: entry.id.as_uuid(),
            created_at: entry.created_at.on_wire(),
            updated_at: entry.completed_at.on_wire(),
            work_type: entry.work_type.into_string(),
            yaml_content: entry.yaml_content,
            status: status(State::Ended(entry.ending)),
            claimed_by: entry.claimed_by.map(AgentId::as_uuid),
            claimed_at: entry.claimed_at.on_wire(),
            claim_timeout_seconds: entry.claim_timeout_seconds.get().into(),
            max_retries: entry.policy.max_retries.into(),
            retry_count: entry.retries_attempted.into(),
            backoff_seconds: entry.policy.backoff_seconds.into(),
            next_retry_after: None,
            last_error,
            last_error_at: last_error_at.on_wire(),
            attempt: entry.attempt.number(),
            lease_expires_at: None,
            lost_count: entry.lost_count.into(),
            cancel_requested_at: entry.cancel.map(|cancel| cancel.requested_at).on_wire(),
            priority: entry.priority.get().into(),
            deadline_seconds: entry.deadline_seconds.map(DeadlineSeconds::get).map(i64::from),
            start_by: entry.policy.start_by.on_wire(),
            run_at: entry.run_at.on_wire(),
            delivery: entry.policy.delivery.on_wire(),
            targeting: entry.targeting.on_wire(),
            metadata: entry.metadata,
            retry_of: entry.retry_of.map(WorkOrderId::as_uuid),
            submitted_by: entry.submitted_by,
            infrastructure_retries_max: entry.policy.infrastructure_retries_max.into(),
            infrastructure_retry_count: entry.infrastructure_retries_attempted.into(),
            backoff_jitter: entry.policy.backoff_jitter,
        }
    }
}

impl From<WorkOrder> for WireOrder {
    fn from(order: WorkOrder) -> Self {
        match order {
            WorkOrder::Queued(order) => (*order).into(),
            WorkOrder::Ended(entry) => (*entry).into(),
        }
    }
}

impl From<LogEntry> for WorkOrderLog {
    fn from(entry: LogEntry) -> Self {
        Self {
            id: entry.id.as_uuid(),
            work_type: entry.work_type.into_string(),
            created_at: entry.created_at.on_wire(),
            claimed_at: entry.claimed_at.on_wire(),
            completed_at: entry.completed_at.on_wire(),
            claimed_by: entry.claimed_by.map(AgentId::as_uuid),
            success: entry.ending == Ending::Succeeded,
            retries_attempted: entry.retries_attempted.into(),
            result_message: entry.report.message,
            yaml_content: entry.yaml_content,
            ending: entry.ending.on_wire(),
            attempt: entry.attempt.number(),
            class: entry.report.class.on_wire(),
            exit_code: entry.report.exit_code,
            result: entry.report.result.as_deref().map(json),
            lost_count: entry.lost_count.into(),
            retry_of: entry.retry_of.map(WorkOrderId::as_uuid),
            infrastructure_retries_attempted: entry.infrastructure_retries_attempted.into(),
        }
    }
}

/// JSON that was checked when it came. One that somebody has written into the database by hand is shown as a text.
pub(in crate::api) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
